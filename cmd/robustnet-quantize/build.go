package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/memory"
	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
)

const buildHelp = `Build makes a TensorRT engine of a model file, on the GPU on which it is to run: model.trt-int8.onnx
or model.trt-fp16.onnx as 'robustnet-quantize run' writes them. It takes minutes, in which
TensorRT tries what is fastest on this GPU; the timings are kept in --timing-cache, so that the
next build is far quicker.

Beside the engine, which is a plan that other tools read as well, it writes ENGINE.json, which
says for which GPU and TensorRT the engine is. 'robustnet-edge --model ENGINE' takes it on no
other. At the end the engine is loaded and run.

A model of FP32 makes an engine of FP32, unless --weak lets TensorRT choose FP16, which versions
before 11 can.`

const buildExamples = `  robustnet-quantize build --model q/model.trt-int8.onnx --out model.engine
  robustnet-quantize build --model q/model.trt-fp16.onnx --out model.engine --level 5 --workspace 1024`

type buildOptions struct {
	model, out, timings, library string
	level, workspace, runs       int
	weak, detailed, json         bool

	sensors  *telemetry.Sensors
	stdout   io.Writer
	log      io.Writer
	progress *terminal.Progress
}

func newBuild() *cobra.Command {
	o := buildOptions{sensors: telemetry.Open("/")}
	cmd := &cobra.Command{
		Use:     "build --model MODEL.onnx --out MODEL.engine",
		Short:   "Build a TensorRT engine on the GPU on which it is to run",
		Long:    buildHelp,
		Example: buildExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.model, "model", "", "model file for TensorRT")
	flags.StringVar(&o.out, "out", "", "engine file to write (default the model's name, ending in .engine)")
	flags.StringVar(&o.timings, "timing-cache", "", "file that keeps the timings of builds (default one for this GPU and version, beside the engine)")
	flags.IntVar(&o.level, "level", nvinfer.DefaultLevel, "optimisation level, 0 to 5: the higher, the longer the search")
	flags.IntVar(&o.workspace, "workspace", 0, "bound on the scratch memory in MiB; 0 leaves it to TensorRT")
	flags.BoolVar(&o.weak, "weak", false, "let TensorRT choose FP16, and INT8 where the model has Q/DQ, for a model of FP32")
	flags.BoolVar(&o.detailed, "detailed", false, "keep the precision and kernel of each layer in the engine")
	flags.IntVar(&o.runs, "runs", 50, "number of frames for the latency; 0 leaves it out")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.library, "tensorrt", "", "file of the TensorRT shim; ROBUSTNET_TENSORRT_LIBRARY")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.stdout, o.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		o.progress = terminal.NewProgress(o.log)
		return o.build(cmd.Context())
	}
	return cmd
}

// maxWorkspace is in MiB, beyond the memory of any GPU.
const maxWorkspace = 1 << 20

func (o *buildOptions) check() error {
	switch {
	case o.model == "":
		return cli.Usagef("say with --model which model file to build, such as q/model.trt-int8.onnx")
	case o.level < 0 || o.level > 5:
		return cli.Usagef("--level %d: 0 to 5 are possible", o.level)
	case o.workspace < 0 || o.workspace > maxWorkspace || o.runs < 0 || o.runs > maxTurns:
		return cli.Usagef("--workspace is 0 to %d, --runs 0 to %d", maxWorkspace, maxTurns)
	}
	if o.out == "" {
		o.out = strings.TrimSuffix(o.model, ".onnx") + nvinfer.FileEnding
	}
	if filepath.Ext(o.out) != nvinfer.FileEnding {
		return cli.Usagef("--out %s: the name of an engine ends in %s", o.out, nvinfer.FileEnding)
	}
	return nil
}

// built is what build tells. Its JSON form is an interface.
type built struct {
	Engine  string          `json:"engine"`
	Bytes   int             `json:"bytes"`
	Seconds float64         `json:"seconds"`
	Sidecar nvinfer.Sidecar `json:"description"`
	// Infer is the time of a run in milliseconds, null where it was not measured.
	Infer *spread `json:"infer"`
	// Conditions are those under which it was, nil as Infer.
	Conditions *report.Conditions `json:"conditions,omitempty"`
}

type spread struct {
	Runs int     `json:"runs"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

func (o *buildOptions) build(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	defer o.progress.Clear()
	m, err := o.open()
	if err != nil {
		return err
	}
	l, err := nvinfer.Load(o.library)
	if err != nil {
		return err
	}
	defer l.Close()
	d := l.Device()
	fmt.Fprintf(o.log, "TensorRT %s, CUDA %s, %s\n", d.TensorRT, d.CUDA, d.GPU)
	o.warnOfMemory()
	o.warnOfSilence(d)
	b, err := o.make(ctx, l, m)
	if errors.Is(err, nvinfer.ErrCancelled) && ctx.Err() != nil {
		o.progress.Clear()
		fmt.Fprintf(o.log, "stopped; %s was not written\n", o.out)
		return nil
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", o.model, err)
	}
	return o.print(b)
}

// source is the model that is built.
type source struct {
	graph  *onnx.Model
	card   *trt.Card
	origin nvinfer.Origin
}

// open reads the model and refuses those of which TensorRT makes nothing useful.
func (o *buildOptions) open() (m source, err error) {
	file, err := readModelFile(o.model)
	if err != nil {
		return m, err
	}
	if m.card, err = trt.ReadCard(file); err != nil {
		return m, fmt.Errorf("model %s: %w", o.model, err)
	}
	if m.graph, err = onnx.Unmarshal(file); err != nil {
		return m, fmt.Errorf("model %s: %w", o.model, err)
	}
	switch flavour := inspect.Inspect(m.graph).Flavour; {
	case flavour == inspect.CPUInt8:
		return m, fmt.Errorf("model %s is for ONNX Runtime on CPUs; build the .trt-int8.onnx of the same 'robustnet-quantize run'", o.model)
	case flavour == inspect.Float32 && !o.weak:
		fmt.Fprintf(o.log, "%s is a model of FP32 and makes a slow engine: build what 'robustnet-quantize run' makes of it, or give --weak\n", o.model)
	}
	m.origin, err = nvinfer.OriginOf(o.model, file)
	return m, err
}

// settings are those of the build.
func (o *buildOptions) settings() nvinfer.Build {
	return nvinfer.Build{Level: o.level, WorkspaceBytes: int64(o.workspace) << 20, Weak: o.weak, Detailed: o.detailed}
}

// warnOfMemory says where a build may be killed for want of memory.
func (o *buildOptions) warnOfMemory() {
	if free := memory.AvailableBytes(); free > 0 && free < nvinfer.BuilderBytes {
		fmt.Fprintf(o.log, "%s of memory are free, and a build takes about %s: close other programs, or a desktop session, or add swap\n", page.Bytes(free), page.Bytes(nvinfer.BuilderBytes))
	}
}

func (o *buildOptions) make(ctx context.Context, l *nvinfer.Library, m source) (*built, error) {
	start := time.Now()
	timings := o.timings
	if timings == "" {
		timings = filepath.Join(filepath.Dir(o.out), timingsName(l.Device()))
	}
	cache, err := os.ReadFile(timings)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("--timing-cache: %w", err)
	}
	plan, err := l.Build(ctx, m.graph, nvinfer.BuildOptions{Build: o.settings(), TimingCache: cache, Progress: o.show})
	o.progress.Clear()
	switch {
	case errors.Is(err, nvinfer.ErrMemory):
		return nil, fmt.Errorf("%w; close other programs, or a desktop session, add swap, or bound the scratch memory with --workspace", err)
	case err != nil:
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return nil, err
	}
	if len(plan.TimingCache) > 0 {
		if err := atomicfile.Bytes(timings, plan.TimingCache); err != nil {
			return nil, err
		}
	}
	b := &built{Engine: o.out, Bytes: len(plan.Bytes), Seconds: time.Since(start).Seconds()}
	card, err := json.Marshal(m.card)
	if err != nil {
		return nil, err
	}
	b.Sidecar = nvinfer.Sidecar{Program: cli.VersionLine(version), Card: card, Device: l.Device(), Model: m.origin, Build: o.settings()}
	if err := o.try(ctx, l, plan.Bytes, m.card, b); err != nil {
		return nil, err
	}
	return b, nvinfer.Save(o.out, plan.Bytes, b.Sidecar)
}

// show shows how far a build has come, and the time left.
func (o *buildOptions) show(phase string, share float64) {
	const parts = 1000
	o.progress.Show(strings.ToLower(phase), int(share*parts), parts)
}

// warnOfSilence says where a build neither tells how far it is nor can be stopped.
func (o *buildOptions) warnOfSilence(d nvinfer.Device) {
	if strings.HasPrefix(d.TensorRT, "8.") {
		fmt.Fprintln(o.log, "TensorRT 8 does not tell how far a build is; Ctrl-C ends it when it is done, and a second one at once")
	}
}

// timingsName is that of the file of timings for a device, which are for no other.
func timingsName(d nvinfer.Device) string {
	gpu := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(d.GPU))
	return fmt.Sprintf("tensorrt-%s-%s.timings", d.TensorRT, strings.Trim(gpu, "-"))
}

// try runs the engine, so that one that does not work is not kept.
func (o *buildOptions) try(ctx context.Context, l *nvinfer.Library, plan []byte, card *trt.Card, b *built) (err error) {
	engine, err := l.Engine(plan, card)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	b.Sidecar.Captured, b.Sidecar.Refused = engine.Captured()
	if o.runs == 0 {
		return nil
	}
	f := &camera.Frame{Pix: make([]byte, card.Input.Width*card.Input.Height*3), Width: card.Input.Width, Height: card.Input.Height}
	measured, conditions, err := latency.Measure(ctx, []trt.Engine{engine}, f, latency.Options{Runs: o.runs, Sensors: o.sensors}, nil)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // the engine is good, whatever time it takes
	}
	if err != nil {
		return err
	}
	b.Infer = &spread{measured[0].Runs, measured[0].Infer.P50, measured[0].Infer.P99}
	b.Conditions = &conditions
	return nil
}

func (o *buildOptions) print(b *built) error {
	if o.json {
		e := json.NewEncoder(o.stdout)
		e.SetIndent("", "  ")
		return e.Encode(b)
	}
	text := fmt.Sprintf("wrote %s, %s, in %s\n", b.Engine, page.Bytes(int64(b.Bytes)), page.Duration(b.Seconds))
	if b.Infer != nil {
		text += fmt.Sprintf("network: %.2f ms (median of %d), %.2f ms (99 %%)\n", b.Infer.P50, b.Infer.Runs, b.Infer.P99)
		for _, line := range b.Conditions.Lines() {
			text += line + "\n"
		}
		if warning := b.Conditions.Warning(); warning != "" {
			text += "these times are " + warning + "\n"
		}
	}
	if !b.Sidecar.Captured {
		text += "without a CUDA graph: " + b.Sidecar.Refused + "\n"
	}
	text += "next: robustnet-edge --model " + b.Engine + " --camera /dev/video0\n"
	_, err := io.WriteString(o.stdout, text)
	return err
}
