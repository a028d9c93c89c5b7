// Package latency measures how long models take, in turns, so that whatever else runs on the
// machine hits all of them alike.
package latency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt"
)

// Options say how often to measure.
type Options struct {
	// Warmup is the number of turns that do not count, and Runs the number of those that do.
	// In a turn every engine runs once.
	Warmup, Runs int
	// Sensors are the machine's, which are watched for what holds clocks back; nil watches none.
	Sensors *telemetry.Sensors
}

func (o Options) check() error {
	if o.Warmup < 0 {
		return fmt.Errorf("%d turns to warm up; 0 or more are possible", o.Warmup)
	}
	if o.Runs < 1 {
		return fmt.Errorf("%d runs; 1 or more are possible", o.Runs)
	}
	return nil
}

// Measure runs all engines on the frame in turns. The order within a turn rotates from one to
// the next. An engine may be there more than once. progress, if not nil, is told after each run
// how many there were, those of warming up included. Between the turns that count, it looks at
// the sensors, and returns the conditions that they tell.
//
// When ctx ends, Measure returns what the complete turns gave, or ctx's error if there is none:
// Runs of the results says how many there were. It does not interrupt a run; if the caller does
// so with [trt.Engine.Interrupt] because ctx has ended, that is no error.
func Measure(ctx context.Context, engines []trt.Engine, frame *camera.Frame, o Options, progress func(done, total int)) ([]report.Latency, report.Conditions, error) {
	var none report.Conditions
	if err := o.check(); err != nil {
		return nil, none, fmt.Errorf("measure latency: %w", err)
	}
	if len(engines) == 0 {
		return nil, none, errors.New("measure latency: there is no model")
	}
	m := measurement{engines: engines, frame: frame, Options: o, progress: progress}
	var watch *Watch
	for turn := range o.Warmup + o.Runs {
		if turn == o.Warmup {
			watch = NewWatch(o.Sensors)
		}
		times, err := m.turn(ctx, turn)
		if err != nil {
			if stopped := ctx.Err(); stopped != nil && (errors.Is(err, trt.ErrInterrupted) || errors.Is(err, stopped)) {
				break
			}
			return nil, none, fmt.Errorf("measure latency: %w", err)
		}
		if turn >= o.Warmup {
			m.turns = append(m.turns, times)
			watch.Look()
		}
	}
	if len(m.turns) == 0 {
		return nil, none, fmt.Errorf("measure latency: %w", ctx.Err())
	}
	return m.results(), watch.Conditions(), nil
}

// measurement is one that is under way.
type measurement struct {
	engines []trt.Engine
	frame   *camera.Frame
	Options
	progress func(done, total int)
	done     int
	turns    [][]sample // each in the order of engines
}

// sample is the time of one run.
type sample struct{ infer, whole time.Duration }

// turn runs each engine once. It returns nothing if not all of them ran.
func (m *measurement) turn(ctx context.Context, turn int) ([]sample, error) {
	n := len(m.engines)
	times := make([]sample, n)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := (turn + i) % n
		start := time.Now()
		r, err := m.engines[at].Run(m.frame)
		if err != nil {
			return nil, fmt.Errorf("run model %s: %w", m.engines[at].Card().Name, err)
		}
		times[at] = sample{r.Infer, time.Since(start)}
		m.done++
		if m.progress != nil {
			m.progress(m.done, (m.Warmup+m.Runs)*n)
		}
	}
	return times, nil
}

// results sums up each engine's times.
func (m *measurement) results() []report.Latency {
	cpu := CPU()
	results := make([]report.Latency, len(m.engines))
	for i, e := range m.engines {
		var infer, whole, ratios []float64
		for _, turn := range m.turns {
			infer = append(infer, milliseconds(turn[i].infer))
			whole = append(whole, milliseconds(turn[i].whole))
			// Clocks may be too coarse for a network of nothing.
			ratios = append(ratios, float64(max(turn[i].infer, 1))/float64(max(turn[0].infer, 1)))
		}
		results[i] = report.Latency{
			CPU: cpu, Threads: e.Describe().Threads, Warmup: m.Warmup, Runs: len(m.turns),
			Infer: spread(infer), Whole: spread(whole), Ratio: quantile(ratios, 0.5),
		}
	}
	return results
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func spread(times []float64) report.Spread {
	return report.Spread{P50: quantile(times, 0.5), P90: quantile(times, 0.9), P99: quantile(times, 0.99)}
}

// quantile is the least of the values that a share p of them does not exceed: always one that
// was measured. It sorts the values.
func quantile(values []float64, p float64) float64 {
	slices.Sort(values)
	return stat.Quantile(p, stat.Empirical, values, nil)
}
