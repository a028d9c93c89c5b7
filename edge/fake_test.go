package edge

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
)

const (
	frameWidth, frameHeight = 64, 48
	maskWidth, maskHeight   = 16, 12
)

// fakeEngine answers every frame with a mask full of one class: the frame's first byte.
type fakeEngine struct {
	runs  atomic.Int64
	gate  *gate
	fail  error
	mask  [maskWidth * maskHeight]uint8
	style [2]float32
}

// gate holds up a network until the test lets it go on.
type gate struct {
	entered, step, open chan struct{}
	once                sync.Once
}

// interrupt lets all through, as a test does that closes open.
func (g *gate) interrupt() { g.once.Do(func() { close(g.open) }) }

func newGate() *gate {
	return &gate{entered: make(chan struct{}), step: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) pass() {
	select {
	case g.entered <- struct{}{}:
	case <-g.open:
	}
	select {
	case <-g.step:
	case <-g.open:
	}
}

func (e *fakeEngine) Card() *trt.Card {
	return &trt.Card{Name: "fake", Classes: []trt.Class{{Name: "sky", Color: [3]uint8{70, 130, 180}}, {Name: "road", Color: [3]uint8{128, 64, 128}}}}
}

func (e *fakeEngine) Describe() trt.Description {
	return trt.Description{Backend: "fake 1.0", Threads: 1, InputWidth: 32, InputHeight: 24, MaskWidth: maskWidth, MaskHeight: maskHeight, StyleLen: 2}
}

func (e *fakeEngine) Run(f *camera.Frame) (trt.Result, error) {
	if e.gate != nil {
		e.gate.pass()
	}
	e.runs.Add(1)
	if e.fail != nil {
		return trt.Result{}, e.fail
	}
	for i := range e.mask {
		e.mask[i] = f.Pix[0] % 2
	}
	return trt.Result{Mask: e.mask[:], Style: e.style[:], Infer: time.Millisecond}, nil
}

func (e *fakeEngine) Interrupt() {
	if e.gate != nil {
		e.gate.interrupt()
	}
}

func (e *fakeEngine) Close() error { return nil }

// fakeSource delivers frames whose first byte counts up from 0, as fast as it is read.
type fakeSource struct {
	live   bool
	frames int   // then end; 0 is endless
	end    error // what Read returns at the end
	tick   <-chan struct{}
	skip   uint64 // pictures given up before every frame
	// nameless frames are numbered by who writes them.
	nameless bool
	pool     *camera.Pool
	n        int
}

func (s *fakeSource) Info() camera.Info {
	return camera.Info{Name: "fake", Width: frameWidth, Height: frameHeight, FPS: 30, Live: s.live}
}

func (s *fakeSource) Read(ctx context.Context) (*camera.Frame, error) {
	if s.frames > 0 && s.n == s.frames {
		return nil, s.end
	}
	if s.tick != nil {
		select {
		case <-s.tick:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := s.pool.Get()
	for i := range f.Pix {
		f.Pix[i] = byte(s.n)
	}
	f.Captured, f.PTS = time.Now(), time.Duration(s.n)*time.Second/30
	f.Skipped = s.skip
	if !s.nameless {
		f.Name = fmt.Sprintf("picture-%03d", s.n)
	}
	s.n++
	return f, nil
}

func (s *fakeSource) Close() error { return nil }

// logBuffer is a log that is read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// closingEngine is another model, which remembers that it was closed.
type closingEngine struct {
	fakeEngine
	closed atomic.Bool
}

func (e *closingEngine) Card() *trt.Card {
	return &trt.Card{Name: "other", Classes: []trt.Class{{Name: "tree"}, {Name: "car"}, {Name: "sky"}}}
}

func (e *closingEngine) Describe() trt.Description {
	d := e.fakeEngine.Describe()
	d.Backend = "other 2.0"
	return d
}

func (e *closingEngine) Close() error {
	e.closed.Store(true)
	return nil
}
