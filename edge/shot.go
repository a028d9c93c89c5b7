package edge

import (
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
)

// shot is a frame with what the network made of it. It has one owner at a time, as a
// frame has.
type shot struct {
	frame  *camera.Frame
	mask   []uint8
	ratios []float64 // share of the mask's pixels by class id
	// preprocess and infer are the network's times.
	preprocess, infer time.Duration

	pool *shotPool
}

// fill copies the result, because the engine overwrites it with the next frame.
func (s *shot) fill(r trt.Result) {
	copy(s.mask, r.Mask)
	s.preprocess, s.infer = r.Preprocess, r.Infer
	var counts [256]int32
	for _, id := range r.Mask {
		counts[id]++
	}
	for id := range s.ratios {
		s.ratios[id] = float64(counts[id]) / float64(len(r.Mask))
	}
}

// Release gives the frame and the shot back.
func (s *shot) Release() {
	if s.frame != nil {
		s.frame.Release()
		s.frame = nil
	}
	s.pool.put(s)
}

// shotPool recycles shots, so that a steady stream allocates none.
type shotPool struct {
	free            chan *shot
	pixels, classes int
}

// shotsInFlight is one each in the network, the slot, the presenter and the snapshot, and
// one that a picture is being made from.
const shotsInFlight = 5

func newShotPool(pixels, classes int) *shotPool {
	return &shotPool{free: make(chan *shot, shotsInFlight), pixels: pixels, classes: classes}
}

func (p *shotPool) get() *shot {
	select {
	case s := <-p.free:
		return s
	default:
		return &shot{mask: make([]uint8, p.pixels), ratios: make([]float64, p.classes), pool: p}
	}
}

func (p *shotPool) put(s *shot) {
	select {
	case p.free <- s:
	default:
	}
}
