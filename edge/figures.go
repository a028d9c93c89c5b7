package edge

import (
	"slices"
	"sync"
	"time"

	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/web"
)

// figures keeps the timing of the most recent frames. It is safe for concurrent use, and
// adding to it allocates nothing.
type figures struct {
	mu       *sync.Mutex
	frames   ring[frameTiming]
	overhead ring[time.Duration]
	smooth   frameTiming // moving averages, for figures that people read
	dropped  uint64
}

type frameTiming struct {
	done       time.Time
	infer, age time.Duration
}

const (
	// figuresDepth covers seconds of a fast camera and minutes of a slow one.
	figuresDepth = 512
	// rateSpan is the time over which the frame rate is taken.
	rateSpan = 2 * time.Second
	// smoothing is the weight of the newest frame in the averages.
	smoothing = 0.1
)

func newFigures() figures { return figures{mu: new(sync.Mutex)} }

// reset forgets all, because another model takes other times.
func (f *figures) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames.n, f.overhead.n, f.smooth = 0, 0, frameTiming{}
}

// add records one presented frame.
func (f *figures) add(infer, age time.Duration, dropped uint64) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frames.n == 0 {
		f.smooth.infer, f.smooth.age = infer, age
	}
	f.smooth.infer += time.Duration(smoothing * float64(infer-f.smooth.infer))
	f.smooth.age += time.Duration(smoothing * float64(age-f.smooth.age))
	f.frames.add(frameTiming{done: now, infer: infer, age: age})
	f.dropped = dropped
}

// addOverhead records the time from capture to the encoded access unit less the network's.
func (f *figures) addOverhead(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overhead.add(d)
}

// onPicture returns what is drawn on the picture.
func (f *figures) onPicture() overlay.Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	return overlay.Figures{FPS: f.rate(time.Now()), Infer: f.smooth.infer, Latency: f.smooth.age, Dropped: f.dropped}
}

// pipeline returns the figures of the status report, without the drops.
func (f *figures) pipeline() web.PipelineStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	recent := f.frames.recent()
	infer := make([]time.Duration, len(recent))
	age := make([]time.Duration, len(recent))
	for i, t := range recent {
		infer[i], age[i] = t.infer, t.age
	}
	return web.PipelineStatus{
		FPS:        f.rate(time.Now()),
		InferMS:    quantiles(infer),
		LatencyMS:  quantiles(age),
		OverheadMS: quantiles(slices.Clone(f.overhead.recent())),
	}
}

// rate is the number of frames per second over rateSpan, or over the last two frames where
// that is longer. While the next frame is overdue, the wait for it counts, so that the rate
// of a stopped pipeline decays.
func (f *figures) rate(now time.Time) float64 {
	if f.frames.n < 2 {
		return 0
	}
	intervals := 1
	for intervals+1 < f.frames.n && now.Sub(f.frames.back(intervals+1).done) <= rateSpan {
		intervals++
	}
	newest := f.frames.back(0).done
	span := newest.Sub(f.frames.back(intervals).done)
	if wait := now.Sub(newest); wait > span/time.Duration(intervals) {
		span += wait
		intervals++
	}
	return float64(intervals) / span.Seconds()
}

// idle is the time since the newest frame was presented, and the network's usual time.
func (f *figures) idle() (since, infer time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frames.n == 0 {
		return 0, 0, false
	}
	return time.Since(f.frames.back(0).done), f.smooth.infer, true
}

// ring holds the newest figuresDepth values.
type ring[T any] struct {
	values [figuresDepth]T
	next   int
	n      int
}

func (r *ring[T]) add(v T) {
	r.values[r.next] = v
	r.next = (r.next + 1) % figuresDepth
	r.n = min(r.n+1, figuresDepth)
}

// back returns the i-th newest value, counted from 0.
func (r *ring[T]) back(i int) T {
	return r.values[(r.next-1-i+2*figuresDepth)%figuresDepth]
}

// recent returns the values in no particular order. They change with the next add.
func (r *ring[T]) recent() []T { return r.values[:r.n] }

// quantiles sorts d.
func quantiles(d []time.Duration) web.Quantiles {
	if len(d) == 0 {
		return web.Quantiles{}
	}
	slices.Sort(d)
	at := func(q float64) float64 {
		return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000
	}
	return web.Quantiles{P50: at(0.50), P95: at(0.95)}
}
