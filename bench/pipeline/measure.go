package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/file"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// The targets.
const (
	leastRatio  = 0.95 // of the bare engine's throughput
	mostAddedMS = 15.0 // 95th percentile
	mostGrowth  = 0.05 // of the resident set
	// mostObjects lets a rare object pass, but not one for each key frame, let alone frame.
	mostObjects = 0.01
)

// leastLatencies is the number below which a 95th percentile says little.
const leastLatencies = 100

// throughput compares frames per second of the daemon with those of the engine alone on the
// same frames, in interleaved rounds.
func (b *bench) throughput(ctx context.Context, engine *ort.Engine) error {
	frames, err := b.decode(ctx)
	if err != nil {
		return err
	}
	var alone, whole, ratios []float64
	for range b.rounds {
		a, err := bare(engine, frames)
		if err != nil {
			return err
		}
		timed := &meter{Engine: engine, frames: len(frames)}
		if _, err := b.daemon(ctx, timed, play{frames: len(frames)}); err != nil {
			return err
		}
		w := timed.rate()
		alone, whole, ratios = append(alone, a), append(whole, w), append(ratios, w/a)
	}
	d := engine.Describe()
	fmt.Printf("throughput  %s, %s, %d thread(s), %d×%d clip, %d rounds of %d frames, one RTSP viewer\n",
		engine.Card().Name, d.Backend, d.Threads, frames[0].Width, frames[0].Height, b.rounds, len(frames))
	fmt.Printf("  engine alone  %6.2f frames/s (median; %s)\n", median(alone), spread(alone))
	fmt.Printf("  pipeline      %6.2f frames/s (median; %s)\n", median(whole), spread(whole))
	fmt.Printf("  ratio         %6.3f (median of pairs; %s)\n", median(ratios), spread(ratios))
	b.target(median(ratios) >= leastRatio, "the pipeline has at least %v of the engine's throughput", leastRatio)
	return nil
}

// decode reads the clip's first frames into memory.
func (b *bench) decode(ctx context.Context) ([]*camera.Frame, error) {
	uri, err := camera.ParseURI(play{}.uri(b.clip))
	if err != nil {
		return nil, err
	}
	src, err := file.Open(ctx, uri, camera.Want{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	frames := make([]*camera.Frame, b.frames)
	for i := range frames {
		if frames[i], err = src.Read(ctx); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s has %d frames, but %d are to be measured", b.clip, i, b.frames)
		} else if err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// bare returns the engine's own rate in frames per second, scaling included.
func bare(engine trt.Engine, frames []*camera.Frame) (float64, error) {
	timed := &meter{Engine: engine, frames: len(frames)}
	for _, f := range frames {
		if _, err := timed.Run(f); err != nil {
			return 0, err
		}
	}
	return timed.rate(), nil
}

// latency reports what the daemon adds between capture and the encoded access unit, at the
// clip's own rate.
func (b *bench) latency(ctx context.Context, engine *ort.Engine) error {
	counted := &meter{Engine: engine}
	last, err := b.daemon(ctx, counted, play{live: true, frames: b.frames})
	if err != nil {
		return err
	}
	if counted.runs < leastLatencies {
		return fmt.Errorf("%d frames went through the model; use a longer clip, with %d", counted.runs, leastLatencies)
	}
	camera := last.Cameras[0]
	p, source := camera.Pipeline, camera.Source
	fmt.Printf("latency     %s, %d×%d at %.3g frames/s, %d frames, one RTSP viewer\n",
		last.Model.Name, source.Width, source.Height, source.FPS, counted.runs)
	fmt.Printf("  segmented     %6.2f frames/s, dropped %v\n", p.FPS, p.Dropped)
	fmt.Printf("  inference     p50 %6.2f ms  p95 %6.2f ms\n", p.InferMS.P50, p.InferMS.P95)
	fmt.Printf("  added         p50 %6.2f ms  p95 %6.2f ms (capture to encoded access unit, less inference)\n",
		p.OverheadMS.P50, p.OverheadMS.P95)
	if p.InferMS.P50*source.FPS > 1000 {
		fmt.Println("  no target: the network is slower than the clip, so that frames wait for it")
		return nil
	}
	b.target(p.OverheadMS.P95 > 0 && p.OverheadMS.P95 <= mostAddedMS, "the pipeline adds at most %v ms to 95 %% of the pictures", mostAddedMS)
	return nil
}

// memory reports the resident set over a long run.
func (b *bench) memory(ctx context.Context, engine *ort.Engine) error {
	// The Go heap takes several collections to find its size.
	const settled = 1000
	var early, late int64
	var readErr error
	counted := &meter{Engine: engine, after: func(runs int) {
		var err error
		switch runs {
		case settled:
			early, err = residentKiB()
		case settled + b.frames:
			late, err = residentKiB()
		}
		readErr = errors.Join(readErr, err)
	}}
	if _, err := b.daemon(ctx, counted, play{frames: settled + b.frames}); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	if late == 0 {
		return fmt.Errorf("%s has %d frames, but %d are needed", b.clip, counted.runs, settled+b.frames)
	}
	growth := float64(late-early) / float64(early)
	fmt.Printf("memory      %s: resident set after %d frames %d KiB, after %d more %d KiB (%+.1f %%)\n",
		engine.Card().Name, settled, early, b.frames, late, 100*growth)
	b.target(math.Abs(growth) <= mostGrowth, "the resident set changes by at most %v %%", 100*mostGrowth)
	return nil
}

func residentKiB() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the resident set: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib, nil
		}
	}
	return 0, errors.New("read the resident set: /proc/self/status has no line VmRSS")
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func spread(v []float64) string {
	return fmt.Sprintf("%.3g to %.3g", slices.Min(v), slices.Max(v))
}
