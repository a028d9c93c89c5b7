package latency_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt"
)

// fake takes the times that it is told to, one run after the other, on the clock of a bubble.
type fake struct {
	name    string
	infer   []time.Duration // the last one goes on
	scaling time.Duration
	threads int

	runs  int
	order *[]string // of the runs of all engines
	frame *camera.Frame
	each  func(run int) error // before a run
}

func (f *fake) Card() *trt.Card { return &trt.Card{Name: f.name} }

func (f *fake) Describe() trt.Description { return trt.Description{Threads: f.threads} }

func (f *fake) Run(frame *camera.Frame) (trt.Result, error) {
	f.runs++
	f.frame = frame
	if f.order != nil {
		*f.order = append(*f.order, f.name)
	}
	if f.each != nil {
		if err := f.each(f.runs); err != nil {
			return trt.Result{}, err
		}
	}
	infer := f.infer[min(f.runs, len(f.infer))-1]
	time.Sleep(f.scaling + infer)
	return trt.Result{Preprocess: f.scaling, Infer: infer}, nil
}

func (f *fake) Interrupt() {}

func (f *fake) Close() error { return nil }

// ms makes durations of milliseconds.
func ms(values ...int) []time.Duration {
	durations := make([]time.Duration, len(values))
	for i, v := range values {
		durations[i] = time.Duration(v) * time.Millisecond
	}
	return durations
}

func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		// Two turns of warming up, with times that would show, and ten that count.
		a := &fake{name: "a", threads: 3, scaling: 2 * time.Millisecond, order: &order,
			infer: ms(900, 900, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)}
		b := &fake{name: "b", threads: 1, order: &order,
			infer: ms(900, 900, 5, 10, 15, 20, 25, 45, 35, 40, 45, 100)}
		c := &fake{name: "c", threads: 1, order: &order, infer: ms(7)}
		frame := camera.NewPool(4, 2).Get()
		var told []int
		got, _, err := latency.Measure(t.Context(), []trt.Engine{a, b, c}, frame, latency.Options{Warmup: 2, Runs: 10}, func(done, total int) {
			if total != 36 {
				t.Errorf("progress: %d runs in all, want 36", total)
			}
			told = append(told, done)
		})
		if err != nil {
			t.Fatal(err)
		}
		// Of ten values, 5 do not exceed the 5th, 9 the 9th, and for 99 % it takes all.
		// The ratios of b are 0.5 but for 45/60 and 100/100, those of c 7/10 … 7/100, of which
		// the 5th from below is 7/60.
		cpu := latency.CPU()
		want := []report.Latency{
			{CPU: cpu, Threads: 3, Warmup: 2, Runs: 10, Infer: report.Spread{P50: 50, P90: 90, P99: 100}, Whole: report.Spread{P50: 52, P90: 92, P99: 102}, Ratio: 1},
			{CPU: cpu, Threads: 1, Warmup: 2, Runs: 10, Infer: report.Spread{P50: 25, P90: 45, P99: 100}, Whole: report.Spread{P50: 25, P90: 45, P99: 100}, Ratio: 0.5},
			{CPU: cpu, Threads: 1, Warmup: 2, Runs: 10, Infer: report.Spread{P50: 7, P90: 7, P99: 7}, Whole: report.Spread{P50: 7, P90: 7, P99: 7}, Ratio: 7. / 60},
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("engine %d: got %+v, want %+v", i, got[i], want[i])
			}
		}
		if len(got) != 3 || a.frame != frame || c.frame != frame {
			t.Errorf("%d results; the engines have seen %p and %p, want %p", len(got), a.frame, c.frame, frame)
		}
		if first := strings.Join(order[:12], ""); first != "abcbcacababc" || len(order) != 36 {
			t.Errorf("%d runs, the first in the order %s", len(order), first)
		}
		if !slices.IsSorted(told) || len(told) != 36 || told[0] != 1 || told[35] != 36 {
			t.Errorf("progress: %v", told)
		}
	})
}

// TestMeasureTwice has the same engine twice, and a network that takes no time.
func TestMeasureTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &fake{name: "e", infer: ms(0)}
		got, _, err := latency.Measure(t.Context(), []trt.Engine{e, e}, nil, latency.Options{Runs: 1}, nil)
		if err != nil || e.runs != 2 {
			t.Fatalf("%d runs, %v", e.runs, err)
		}
		for _, l := range got {
			if l.Ratio != 1 || l.Runs != 1 || l.Warmup != 0 || l.Infer != (report.Spread{}) {
				t.Errorf("got %+v", l)
			}
		}
	})
}

// TestMeasureStopped ends the context in a run of the second engine. The first turn is for
// warming up, and in the second and fourth it is this engine that begins.
func TestMeasureStopped(t *testing.T) {
	for name, c := range map[string]struct {
		run         int
		interrupted bool // the run fails because of it
		turns       int  // that are complete and count
	}{
		"warming up":                       {1, false, 0},
		"warming up, interrupted":          {1, true, 0},
		"before the end of the first":      {2, false, 0},
		"within the second, interrupted":   {3, true, 1},
		"at the end of the second":         {3, false, 2},
		"before the end of the third":      {4, false, 2},
		"within the fourth, interrupted":   {5, true, 3},
		"with the last run that there was": {5, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				first, second := &fake{name: "first", infer: ms(10)}, &fake{name: "second", infer: ms(20)}
				second.each = func(run int) error {
					if run < c.run {
						return nil
					}
					cancel()
					if c.interrupted {
						return trt.ErrInterrupted
					}
					return nil
				}
				got, _, err := latency.Measure(ctx, []trt.Engine{first, second}, nil, latency.Options{Warmup: 1, Runs: 4}, nil)
				if second.runs != c.run {
					t.Errorf("%d runs after the context has ended in run %d", second.runs, c.run)
				}
				if c.turns == 0 {
					if !errors.Is(err, context.Canceled) || got != nil {
						t.Errorf("got %v, %v; want the context's error", got, err)
					}
					return
				}
				if err != nil || len(got) != 2 || got[0].Runs != c.turns || got[1].Runs != c.turns || got[1].Ratio != 2 {
					t.Errorf("got %+v, %v; want %d turns", got, err, c.turns)
				}
			})
		})
	}
}

func TestMeasureFails(t *testing.T) {
	fault := errors.New("out of memory")
	broken := &fake{name: "broken", infer: ms(1), each: func(run int) error {
		if run == 2 {
			return fault
		}
		return nil
	}}
	sound := &fake{name: "sound", infer: ms(1)}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for want, c := range map[string]struct {
		ctx     context.Context
		engines []trt.Engine
		o       latency.Options
		cause   error
	}{
		"measure latency: run model broken: out of memory":                  {t.Context(), []trt.Engine{sound, broken}, latency.Options{Runs: 3}, fault},
		"measure latency: run model interrupted: inference was interrupted": {t.Context(), []trt.Engine{&fake{name: "interrupted", each: func(int) error { return trt.ErrInterrupted }}}, latency.Options{Runs: 3}, trt.ErrInterrupted},
		"measure latency: context canceled":                                 {ended, []trt.Engine{sound}, latency.Options{Runs: 3}, context.Canceled},
		"measure latency: there is no model":                                {t.Context(), nil, latency.Options{Runs: 3}, nil},
		"measure latency: 0 runs; 1 or more are possible":                   {t.Context(), []trt.Engine{sound}, latency.Options{}, nil},
		"measure latency: -1 turns to warm up; 0 or more are possible":      {t.Context(), []trt.Engine{sound}, latency.Options{Warmup: -1, Runs: 1}, nil},
	} {
		t.Run(want, func(t *testing.T) {
			got, _, err := latency.Measure(c.ctx, c.engines, nil, c.o, nil)
			if got != nil || err == nil || err.Error() != want || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("got %v, %v; want %q", got, err, want)
			}
		})
	}
}
