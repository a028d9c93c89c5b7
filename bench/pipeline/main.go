// Command pipeline measures what the daemon costs around the network: throughput against
// the bare engine, the latency it adds, heap allocations per frame by package, and whether
// its memory stays flat. It runs the real daemon on a clip, with an RTSP viewer attached,
// and compares the results with the project's targets.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

const exitCodes = `
Exit codes: 0 measured, 1 could not measure, 2 wrong usage, 3 a target is missed (with --gate).
`

// bench is one invocation's settings.
type bench struct {
	clip, model, library string
	threads, frames      int
	rounds               int

	missed bool // a target
}

func main() {
	measure := pflag.StringP("measure", "m", "throughput", "throughput, latency, allocations or memory")
	gate := pflag.Bool("gate", false, "exit with 3 if a target is missed")
	var b bench
	pflag.StringVar(&b.clip, "clip", "", "video file with the frames (required)")
	pflag.StringVar(&b.model, "model", "", "model file; empty for the embedded one")
	pflag.StringVar(&b.library, "onnxruntime", "build/lib/libonnxruntime.so.1", "libonnxruntime")
	pflag.IntVar(&b.threads, "threads", 0, "inference threads; 0 as the daemon chooses")
	pflag.IntVar(&b.frames, "frames", 200, "frames per round")
	pflag.IntVar(&b.rounds, "rounds", 5, "interleaved rounds (throughput)")
	pflag.Usage = func() {
		fmt.Fprint(os.Stderr, "Usage of pipeline:\n", pflag.CommandLine.FlagUsages(), exitCodes)
	}
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	kinds := map[string]measurement{
		"throughput":  b.valid(telemetry.Open("/"), b.throughput),
		"latency":     b.valid(telemetry.Open("/"), b.latency),
		"allocations": b.allocations,
		"memory":      b.memory,
	}
	run, ok := kinds[*measure]
	if !ok || b.clip == "" || b.frames < 2 || b.rounds < 1 || pflag.NArg() > 0 {
		pflag.Usage()
		os.Exit(2)
	}
	if *measure == "allocations" {
		// Allocations are only counted when every one is sampled, from the start.
		runtime.MemProfileRate = 1
	}
	if err := b.with(ctx, run); err != nil {
		fmt.Fprintf(os.Stderr, "pipeline: measure %s: %v\n", *measure, err)
		os.Exit(1)
	}
	if b.missed && *gate {
		os.Exit(3)
	}
}

// with loads the engine for a measurement.
func (b *bench) with(ctx context.Context, measure measurement) error {
	engine, err := b.engine()
	if err != nil {
		return err
	}
	return errors.Join(measure(ctx, engine), engine.Close())
}

// measurement is one of an engine.
type measurement = func(context.Context, *ort.Engine) error

// valid watches the machine's sensors during a measurement of times: where clocks were held back,
// for heat or by the supply, they are not those of the machine.
func (b *bench) valid(sensors *telemetry.Sensors, measure measurement) measurement {
	return func(ctx context.Context, engine *ort.Engine) error {
		watch := latency.NewWatch(sensors)
		done, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					watch.Look()
				}
			}
		}()
		err := measure(ctx, engine)
		close(done)
		<-watched
		if warning := watch.Conditions().Warning(); err == nil && warning != "" {
			b.target(false, "%s", warning)
		}
		return err
	}
}

func (b *bench) engine() (*ort.Engine, error) {
	o := ort.Options{Library: b.library, Threads: b.threads}
	if b.model == "" {
		return ort.Load(models.DefaultName, models.Default, o)
	}
	return ort.Open(b.model, o)
}

// target prints whether a result is what it should be.
func (b *bench) target(met bool, format string, args ...any) {
	word := "PASS"
	if !met {
		word, b.missed = "FAIL", true
	}
	fmt.Printf("  %s  %s\n", word, fmt.Sprintf(format, args...))
}
