package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

const benchHelp = `Bench compares how long model files take on ONNX Runtime's CPU kernels, or TensorRT engines on
their GPU. All models are in
memory at once and run in turns on the same picture, so that whatever else the machine does hits
all of them alike: the ratio is the median of a model's time in the network divided by the first
model's in the same turn. Beside the network it prints the whole time, scaling of the picture
included. The same file may be named twice, which shows how far two equal models differ.

Models for TensorRT run here, too, but slowly: their speed says nothing about TensorRT. Engines,
as 'robustnet-quantize build' makes them, run on the GPU, beside model files if those are named,
too. --layers adds the time of each of an engine's layers, the median of as many runs; these are
without the CUDA graph, so that layers together take longer than the network does.

Power mode and clocks are printed as far as the machine tells them. If clocks were held back
meanwhile, for heat or because of the power supply, the result is marked invalid.

Interrupted, it prints what the complete turns gave.`

const benchExamples = `  robustnet-quantize bench model.onnx q/model.cpu-int8.onnx
  robustnet-quantize bench model.onnx q/model.cpu-int8.onnx --threads 4 --runs 200 --json
  robustnet-quantize bench model.onnx --picture street.jpg
  robustnet-quantize bench fp16.engine int8.engine --layers`

// maxTurns and maxThreads keep mistyped numbers from taking all memory.
const (
	maxTurns   = 1_000_000
	maxThreads = 1024
)

type benchOptions struct {
	latency.Options
	threads              int
	picture, onnxRuntime string
	tensorrt             string
	layers, json         bool

	out, log io.Writer
}

func newBench() *cobra.Command {
	o := benchOptions{Options: latency.Options{Sensors: telemetry.Open("/")}}
	cmd := &cobra.Command{
		Use:     "bench MODEL.onnx|MODEL.engine...",
		Short:   "Compare the speed of model files",
		Long:    benchHelp,
		Example: benchExamples,
		Args:    cli.Positional(cobra.MinimumNArgs(1)),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&o.Runs, "runs", 50, "turns that count")
	flags.IntVar(&o.Warmup, "warmup", 5, "turns before that do not")
	flags.IntVar(&o.threads, "threads", 0, "CPU threads of the network (default all cores but one)")
	flags.StringVar(&o.picture, "picture", "", "JPEG or PNG file to run on (default a synthetic street of 1280×720 pixels)")
	flags.BoolVar(&o.layers, "layers", false, "add the time of every layer of the engines")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.onnxRuntime, "onnxruntime", os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "file of ONNX Runtime; ROBUSTNET_MODEL_LIBRARY")
	flags.StringVar(&o.tensorrt, "tensorrt", "", "file of the TensorRT shim; ROBUSTNET_TENSORRT_LIBRARY")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.out, o.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.bench(cmd.Context(), args)
	}
	return cmd
}

func (o *benchOptions) check(paths []string) error {
	switch {
	case o.layers && !slices.ContainsFunc(paths, isEngine):
		return cli.Usagef("--layers: name an engine, such as model.engine; 'robustnet-quantize info --layers' lists the layers of model files")
	case o.Runs < 1 || o.Runs > maxTurns:
		return cli.Usagef("--runs %d: 1 to %d are possible", o.Runs, maxTurns)
	case o.Warmup < 0 || o.Warmup > maxTurns:
		return cli.Usagef("--warmup %d: 0 to %d are possible", o.Warmup, maxTurns)
	case o.threads < 0 || o.threads > maxThreads:
		return cli.Usagef("--threads %d: 1 to %d are possible, 0 for all cores but one", o.threads, maxThreads)
	}
	return nil
}

func (o *benchOptions) bench(ctx context.Context, paths []string) error {
	if err := o.check(paths); err != nil {
		return err
	}
	frame, pictured, err := o.frame()
	if err != nil {
		return err
	}
	r := benchReport{Picture: pictured, Options: o.Options}
	models, err := o.open(ctx, paths, &r)
	if err == nil {
		err = o.measure(ctx, models, frame, &r)
	}
	if err == nil {
		err = o.profile(ctx, models, &r)
	}
	for _, m := range models {
		err = errors.Join(err, m.Close())
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(o.log, "stopped before the first turn was complete")
		return nil
	case err != nil:
		return err
	}
	return r.write(o.out, o.json)
}

// frame returns what the models are to see, and tells what it is.
func (o *benchOptions) frame() (*camera.Frame, benchPicture, error) {
	if o.picture == "" {
		const width, height = 1280, 720
		street, err := scene.New(scene.Options{Width: width, Height: height, FPS: 30, Style: scene.Day, Seed: 1})
		if err != nil {
			return nil, benchPicture{}, fmt.Errorf("draw a street: %w", err)
		}
		f := camera.NewPool(width, height).Get()
		street.Render(0, f.Pix, nil)
		return f, benchPicture{"synthetic street", width, height}, nil
	}
	rgb, width, height, err := data.ReadRGB(o.picture)
	if err != nil {
		return nil, benchPicture{}, fmt.Errorf("--picture: %w", err)
	}
	if max(width, height) > camera.MaxSide {
		return nil, benchPicture{}, fmt.Errorf("--picture %s: it has %d×%d pixels; width and height must be at most %d", o.picture, width, height, camera.MaxSide)
	}
	p := data.Picture{RGB: rgb, Width: width, Height: height}
	return &camera.Frame{Pix: p.BGR(nil), Width: width, Height: height}, benchPicture{o.picture, width, height}, nil
}

// open loads all models. Those that it returns are to be closed, also after a failure.
func (o *benchOptions) open(ctx context.Context, paths []string, r *benchReport) (engines []trt.Engine, err error) {
	for i, path := range paths {
		if ctx.Err() != nil {
			return engines, ctx.Err()
		}
		open := o.openModel
		if isEngine(path) {
			open = o.openEngine
		}
		engine, m, err := open(path)
		if err != nil {
			return engines, err
		}
		engines = append(engines, engine)
		d := engine.Describe()
		r.runsOn(d)
		m.Name, m.File, m.Input = shownAs(paths, i), path, [2]int{d.InputHeight, d.InputWidth}
		r.Models = append(r.Models, m)
	}
	return engines, nil
}

// openModel loads a model file into ONNX Runtime.
func (o *benchOptions) openModel(path string) (trt.Engine, benchModel, error) {
	file, err := readModelFile(path)
	if err != nil {
		return nil, benchModel{}, err
	}
	engine, err := ort.Load(path, file, ort.Options{Library: o.onnxRuntime, Threads: o.threads})
	if err != nil {
		return nil, benchModel{}, err
	}
	return engine, benchModel{Size: int64(len(file)), Flavour: flavourOf(file)}, nil
}

func flavourOf(file []byte) inspect.Flavour {
	m, err := onnx.Unmarshal(file)
	if err != nil {
		return "unknown" // ONNX Runtime knows more of the schema, subgraphs for example
	}
	return inspect.Inspect(m).Flavour
}

// shownAs is the last part of the i-th path, or all of it where another one ends alike.
func shownAs(paths []string, i int) string {
	for _, other := range paths {
		if filepath.Clean(other) != filepath.Clean(paths[i]) && filepath.Base(other) == filepath.Base(paths[i]) {
			return paths[i]
		}
	}
	return filepath.Base(paths[i])
}

// measure fills the report.
func (o *benchOptions) measure(ctx context.Context, engines []trt.Engine, frame *camera.Frame, r *benchReport) error {
	for _, e := range engines {
		defer context.AfterFunc(ctx, e.Interrupt)()
	}
	shown := terminal.NewProgress(o.log)
	defer shown.Clear()
	measured, conditions, err := latency.Measure(ctx, engines, frame, o.Options, func(done, total int) { shown.Show("measuring", done, total) })
	if err != nil {
		return err
	}
	r.CPU, r.Conditions = measured[0].CPU, conditions
	for i := range measured {
		r.Models[i].Latency = measured[i]
	}
	r.Turns = measured[0].Runs
	r.Stopped = r.Turns < o.Runs
	r.Notes = r.notes()
	return nil
}
