// Command pipeline measures what the daemon costs around the network: throughput against
// the bare engine, the latency it adds, heap allocations per frame by package, and whether
// its memory stays flat. It runs the real daemon on a clip, with an RTSP viewer attached.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/file"
	"github.com/robustnet-edge/robustnet/edge"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// bench is one invocation's settings.
type bench struct {
	clip, model, library string
	threads, frames      int
	rounds               int
}

func main() {
	// Allocations are only counted when every one is sampled, from the start.
	measure := pflag.StringP("measure", "m", "throughput", "throughput, latency, allocations or memory")
	var b bench
	pflag.StringVar(&b.clip, "clip", "", "video file with the frames (required)")
	pflag.StringVar(&b.model, "model", "", "model file; empty for the embedded one")
	pflag.StringVar(&b.library, "onnxruntime", "build/lib/libonnxruntime.so.1", "libonnxruntime")
	pflag.IntVar(&b.threads, "threads", 0, "inference threads; 0 as the daemon chooses")
	pflag.IntVar(&b.frames, "frames", 300, "frames per round")
	pflag.IntVar(&b.rounds, "rounds", 5, "interleaved rounds (throughput)")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	kinds := map[string]func(context.Context) error{
		"throughput":  b.throughput,
		"latency":     b.latency,
		"allocations": b.allocations,
		"memory":      b.memory,
	}
	run, ok := kinds[*measure]
	if !ok || b.clip == "" {
		pflag.Usage()
		os.Exit(2)
	}
	if *measure == "allocations" {
		runtime.MemProfileRate = 1
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func (b *bench) engine() (*ort.Engine, error) {
	o := ort.Options{Library: b.library, Threads: b.threads}
	if b.model == "" {
		return ort.Load(models.DefaultName, models.Default, o)
	}
	return ort.Open(b.model, o)
}

// countingEngine tells when frames went through the engine. It calls after with the number
// of frames so far.
type countingEngine struct {
	trt.Engine
	runs  atomic.Int64
	first time.Time // end of the first run
	last  time.Time // end of the latest run
	after func(runs int64)
}

func (e *countingEngine) Run(f *camera.Frame) (trt.Result, error) {
	r, err := e.Engine.Run(f)
	e.last = time.Now()
	n := e.runs.Add(1)
	if n == 1 {
		e.first = e.last
	}
	if e.after != nil {
		e.after(n)
	}
	return r, err
}

// daemon runs the daemon on the clip until frames were shown, with an RTSP viewer that
// copies the stream to nowhere. poll, if any, is called with the page's address meanwhile.
func (b *bench) daemon(ctx context.Context, engine trt.Engine, options string, frames int, poll func(context.Context, string)) error {
	cfg := config.Default()
	cfg.Camera.URI = "file:" + b.clip + "?" + options
	cfg.Stream.RTSP, cfg.Stream.RTPPort = "127.0.0.1:18554", 0
	cfg.HTTP.Address = "127.0.0.1:18080"
	cfg.Output.Frames = frames
	d, err := edge.New(edge.Options{
		Config:  cfg,
		Openers: camera.Openers{"file": file.Open},
		Engine:  engine,
		Log:     zerolog.New(os.Stderr).Level(zerolog.WarnLevel),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	viewer := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp",
		"-i", "rtsp://"+cfg.Stream.RTSP+"/overlay", "-c", "copy", "-f", "null", "-")
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The server waits for the first frame before it describes the stream, so the
		// viewer may start at once, but not before the port is taken.
		for ctx.Err() == nil && viewer.Process == nil {
			if resp, err := http.Get("http://" + cfg.HTTP.Address + "/healthz"); err == nil {
				resp.Body.Close()
				if err := viewer.Start(); err != nil {
					fmt.Fprintln(os.Stderr, "pipeline: start the viewer:", err)
					return
				}
			}
		}
		if poll != nil {
			poll(ctx, "http://"+cfg.HTTP.Address)
		}
	}()
	err = d.Run(ctx)
	cancel()
	<-done
	if viewer.Process != nil {
		_ = viewer.Wait() // ended by us
	}
	return err
}

// throughput compares frames per second of the daemon with those of the engine alone on the
// same frames, in interleaved rounds.
func (b *bench) throughput(ctx context.Context) error {
	engine, err := b.engine()
	if err != nil {
		return err
	}
	defer engine.Close()
	frames, err := b.decode(ctx)
	if err != nil {
		return err
	}
	var alone, whole, ratios []float64
	for range b.rounds {
		a, err := bare(engine, frames, b.frames)
		if err != nil {
			return err
		}
		counted := &countingEngine{Engine: engine}
		if err := b.daemon(ctx, counted, "pace=0&loop=1", b.frames, nil); err != nil {
			return err
		}
		w := float64(counted.runs.Load()-1) / counted.last.Sub(counted.first).Seconds()
		alone, whole, ratios = append(alone, a), append(whole, w), append(ratios, w/a)
	}
	d := engine.Describe()
	fmt.Printf("throughput  %s, %s, %d thread(s), %d×%d clip, %d rounds of %d frames\n",
		engine.Card().Name, d.Backend, d.Threads, frames[0].Width, frames[0].Height, b.rounds, b.frames)
	fmt.Printf("  engine alone  %6.2f frames/s (median; %s)\n", median(alone), spread(alone))
	fmt.Printf("  pipeline      %6.2f frames/s (median; %s)\n", median(whole), spread(whole))
	fmt.Printf("  ratio         %6.3f (median of pairs; %s)\n", median(ratios), spread(ratios))
	return nil
}

// decode reads up to 64 frames of the clip into memory.
func (b *bench) decode(ctx context.Context) ([]*camera.Frame, error) {
	uri, err := camera.ParseURI("file:" + b.clip + "?pace=0")
	if err != nil {
		return nil, err
	}
	src, err := file.Open(ctx, uri, camera.Want{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	var frames []*camera.Frame
	for len(frames) < 64 {
		f, err := src.Read(ctx)
		if err != nil {
			break
		}
		frames = append(frames, f)
	}
	if len(frames) == 0 {
		return nil, errors.New("the clip has no frames")
	}
	return frames, nil
}

// bare returns the engine's own rate in frames per second, scaling included.
func bare(engine trt.Engine, frames []*camera.Frame, n int) (float64, error) {
	var start time.Time
	for i := range n {
		if i == 1 {
			start = time.Now()
		}
		if _, err := engine.Run(frames[i%len(frames)]); err != nil {
			return 0, err
		}
	}
	return float64(n-1) / time.Since(start).Seconds(), nil
}

// latency reports what the daemon adds between capture and the encoded access unit, at the
// clip's own rate.
func (b *bench) latency(ctx context.Context) error {
	engine, err := b.engine()
	if err != nil {
		return err
	}
	defer engine.Close()
	var last web.Status
	err = b.daemon(ctx, engine, "loop=1", b.frames, func(ctx context.Context, page string) {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if s, err := fetchStatus(ctx, page); err == nil {
					last = s
				}
			}
		}
	})
	if err != nil {
		return err
	}
	p := last.Pipeline
	fmt.Printf("latency     %s, %d×%d at %.3g frames/s, %d frames, one RTSP viewer\n",
		last.Model.Name, last.Camera.Width, last.Camera.Height, last.Camera.FPS, b.frames)
	fmt.Printf("  segmented     %6.2f frames/s, dropped %v\n", p.FPS, p.Dropped)
	fmt.Printf("  inference     p50 %6.2f ms  p95 %6.2f ms\n", p.InferMS.P50, p.InferMS.P95)
	fmt.Printf("  added         p50 %6.2f ms  p95 %6.2f ms (capture to encoded access unit, less inference)\n",
		p.OverheadMS.P50, p.OverheadMS.P95)
	return nil
}

func fetchStatus(ctx context.Context, page string) (web.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"/api/v1/status", nil)
	if err != nil {
		return web.Status{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return web.Status{}, err
	}
	defer resp.Body.Close()
	var s web.Status
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s, err
}

// memory reports the resident set over a long run.
func (b *bench) memory(ctx context.Context) error {
	engine, err := b.engine()
	if err != nil {
		return err
	}
	defer engine.Close()
	const settled = 200 // pools, caches and heap have their size by then
	var early, late int64
	counted := &countingEngine{Engine: engine, after: func(n int64) {
		switch n {
		case settled:
			early = residentKiB()
		case int64(b.frames):
			late = residentKiB()
		}
	}}
	if err := b.daemon(ctx, counted, "pace=0&loop=1", b.frames+2, nil); err != nil {
		return err
	}
	fmt.Printf("memory      %s: resident set after %d frames %d KiB, after %d frames %d KiB (%+d KiB)\n",
		engine.Card().Name, settled, early, b.frames, late, late-early)
	return nil
}

func residentKiB() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
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
