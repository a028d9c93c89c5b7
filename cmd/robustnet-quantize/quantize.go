package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/memory"
	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/internal/shell"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/compare"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

const runHelp = `Run makes three models of a float one, from one calibration:

  model.cpu-int8.onnx  INT8 for ONNX Runtime on CPUs
  model.trt-int8.onnx  INT8 for TensorRT, FP16 elsewhere
  model.trt-fp16.onnx  FP16 for TensorRT

Calibration looks at --count pictures of --calibrate: folders, labelled sets as
'robustnet-train check' has them, or video files; labels are not needed. With
--calibrate-styles each picture is also seen in other light and weather, so that ranges hold
where the camera's pictures differ from those of the calibration. calibration.json holds what
was seen, for --calibration to start from.

Every model is scored on every domain of --eval. If one loses more than --max-drop points of
mIoU against the float model, run names the layers to blame and exits with 3; with --auto-keep it
leaves in float as few layers as it takes.

TensorRT is not needed: its models are scored on ONNX Runtime, operator by operator as they are
written. report.html shows it all.`

type runOptions struct {
	model, out, calibration, onnxRuntime string
	calibrate, evaluations, keep         []string
	count, threads, latencyRuns, ranking int
	seed                                 uint64
	styles, equalise, biasCorrection     bool
	adaround                             bool
	autoKeep, naive, json, sensitivity   bool
	method                               string
	percentile, maxDrop                  float64
	maxWidth                             int

	sensors  *telemetry.Sensors
	changed  func(flag string) bool
	stdout   io.Writer
	log      io.Writer
	progress *terminal.Progress
}

func newRun() *cobra.Command {
	o := runOptions{sensors: telemetry.Open("/")}
	cmd := &cobra.Command{
		Use:     "run --model MODEL.onnx --calibrate PICTURES --eval SOURCE... --out DIR",
		Short:   "Make INT8 and FP16 models and hold them to the float model's accuracy",
		Long:    runHelp,
		Example: "  robustnet-quantize run --model model.onnx --calibrate drive.mp4 --eval camvid=camvid:day_val --max-drop 0.5 --out q/",
		Args:    cli.Positional(cobra.NoArgs),
	}
	o.addFlags(cmd.Flags())
	o.changed = cmd.Flags().Changed
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.stdout, o.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		o.progress = terminal.NewProgress(o.log)
		return o.run(cmd.Context())
	}
	return cmd
}

func (o *runOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&o.model, "model", "", "float model file")
	flags.StringArrayVar(&o.calibrate, "calibrate", nil, "pictures to calibrate on: folder, [NAME=]LAYOUT=DIR[:SPLIT], or video file; may be repeated")
	flags.StringArrayVar(&o.evaluations, "eval", nil, "labelled domain to score on: [NAME=]LAYOUT=DIR[:SPLIT]; may be repeated")
	flags.StringVar(&o.out, "out", "", "folder to write to")
	flags.Float64Var(&o.maxDrop, "max-drop", 0.5, "greatest loss of mIoU in points on any domain")
	flags.IntVar(&o.count, "count", 100, "number of pictures to calibrate on; 0 for all")
	flags.Uint64Var(&o.seed, "seed", 1, "seed that picks pictures and makes styles")
	flags.BoolVar(&o.styles, "calibrate-styles", false, "calibrate in other light and weather, too")
	flags.StringVar(&o.calibration, "calibration", "", "calibration.json of an earlier run, in place of --calibrate")
	flags.StringVar(&o.method, "range", string(histogram.MSE), "how ranges are chosen: minmax, percentile, entropy or mse")
	flags.Float64Var(&o.percentile, "percentile", 99.99, "with --range percentile: percent of the values kept at either end")
	flags.BoolVar(&o.equalise, "equalise", true, "even the channels between layers, which takes a second calibration")
	flags.BoolVar(&o.biasCorrection, "bias-correction", true, "take out of biases what rounding the weights adds on average")
	flags.BoolVar(&o.adaround, "adaround", false, "round weights up or down with regard to what their layers read; takes a further pass")
	flags.StringArrayVar(&o.keep, "keep", nil, "layer to leave in float; may be repeated")
	flags.BoolVar(&o.autoKeep, "auto-keep", false, "leave as few layers in float as --max-drop takes")
	flags.BoolVar(&o.sensitivity, "sensitivity", false, "rank the layers by their harm even if nothing is lost")
	flags.IntVar(&o.ranking, "rank-pictures", 8, "number of pictures of --eval that layers are ranked by, spread over the domains")
	flags.BoolVar(&o.naive, "naive", false, "score min-max ranges with one scale for all weights of a layer, too, for contrast")
	flags.IntVar(&o.maxWidth, "max-width", 0, "width in pixels beyond which pictures and labels of --eval are shrunk (default none)")
	flags.IntVar(&o.latencyRuns, "runs", 30, "number of frames for the latency; 0 leaves it out")
	flags.IntVar(&o.threads, "threads", 0, "CPU threads (default one for each core)")
	flags.BoolVar(&o.json, "json", false, "print report.json")
	flags.StringVar(&o.onnxRuntime, "onnxruntime", os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "file of ONNX Runtime; ROBUSTNET_MODEL_LIBRARY")
}

// check refuses what the flags cannot mean.
func (o *runOptions) check() error {
	switch {
	case o.model == "":
		return cli.Usagef("say with --model which model file to quantise")
	case o.out == "":
		return cli.Usagef("say with --out into which folder to write")
	case len(o.calibrate) == 0 && o.calibration == "":
		return cli.Usagef("say with --calibrate which pictures to calibrate on, as in --calibrate camvid=camvid:day_train")
	case len(o.calibrate) > 0 && o.calibration != "":
		return cli.Usagef("--calibration is in place of --calibrate; give one of them")
	case o.calibration != "" && o.adaround:
		return cli.Usagef("--adaround looks at pictures; give --calibrate in place of --calibration")
	case len(o.evaluations) == 0:
		return cli.Usagef("say with --eval which labelled pictures to score on, as in --eval camvid=camvid:day_val")
	case o.calibration != "" && (o.styles || o.changed("count") || o.changed("seed")):
		return cli.Usagef("--count, --seed and --calibrate-styles are for --calibrate; --calibration holds what was seen")
	case !(o.maxDrop >= 0 && o.maxDrop <= 100):
		return cli.Usagef("--max-drop %g: 0 to 100 points are possible", o.maxDrop)
	case o.count < 0 || o.threads < 0 || o.threads > maxThreads || o.latencyRuns < 0 || o.latencyRuns > maxTurns || o.ranking < 1:
		return cli.Usagef("--count is 0 or more, --threads 0 to %d, --runs 0 to %d, --rank-pictures 1 or more", maxThreads, maxTurns)
	case !(o.percentile > 50 && o.percentile <= 100):
		return cli.Usagef("--percentile %g: above 50 to 100 are possible", o.percentile)
	case o.changed("percentile") && o.method != string(histogram.Percentile):
		return cli.Usagef("--percentile is for --range percentile")
	}
	if _, err := histogram.ParseMethod(o.method); err != nil {
		return cli.Usagef("--range: %w", err)
	}
	return cli.AsUsageIf(evaluate.Inference{Framing: evaluate.Framing{MaxWidth: o.maxWidth}}.Validate())
}

// choice is how ranges are chosen.
func (o *runOptions) choice() histogram.Choice {
	c := histogram.Choice{Method: histogram.Method(o.method)}
	if c.Method == histogram.Percentile {
		c.Share = o.percentile / 100
	}
	return c
}

// job is a run of the command.
type job struct {
	*runOptions
	card    *trt.Card
	graph   *onnx.Model
	network *quantize.Network
	// equalised is the network with its channels evened, nil if that is not wanted.
	equalised *quantize.Network
	// float places by what was seen of network, placer by what was seen of equalised if it is
	// there.
	float, placer *quantize.Placer
	table         *quantize.Table
	grams         quantize.Grams // nil without --adaround
	// stem is the name of files without flavour and ending, and content that of the float model.
	stem       string
	content    []byte
	comparison *compare.Comparison
	variants   []*variant
	report     report.Report
}

func (o *runOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	defer o.progress.Clear()
	// The models, which stay, are most of the heap: garbage is not to take as much again.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	j, err := o.open()
	if err != nil {
		return err
	}
	err = j.do(ctx)
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, trt.ErrInterrupted)) {
		o.progress.Clear()
		fmt.Fprintf(o.log, "stopped; what is in %s is not complete\n", o.out)
		if j.calibrated() {
			fmt.Fprintf(o.log, "go on without calibrating again: --calibration %s\n", shell.Quote(filepath.Join(o.out, tableFile)))
		}
		return nil
	}
	return err
}

// calibrated tells whether the table that is stored is all that a run with --calibration needs.
func (j *job) calibrated() bool {
	return j.table != nil && (!j.equalise || j.table.Equalised != nil) && !j.adaround
}

// open reads model and domains, so that faults show before anything takes long.
func (o *runOptions) open() (*job, error) {
	content, err := readModelFile(o.model)
	if err != nil {
		return nil, err
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", o.model, err)
	}
	m, err := onnx.Unmarshal(content)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", o.model, err)
	}
	network, err := quantize.Open(m)
	if err != nil {
		return nil, fmt.Errorf("quantise %s: %w", o.model, err)
	}
	domains, err := sources.Domains("--eval", o.evaluations)
	if err != nil {
		return nil, err
	}
	for _, set := range domains {
		if _, err := evaluate.NewScoring(labels.Set{Name: "its card", Classes: card.Classes, Ignore: card.Ignore}, set); err != nil {
			return nil, fmt.Errorf("--eval %s: %w", set.Name, err)
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	sum := sha256.Sum256(content)
	j := &job{runOptions: o, card: card, graph: m, network: network, content: content,
		stem:       strings.TrimSuffix(filepath.Base(o.model), ".onnx"),
		comparison: &compare.Comparison{Domains: domains, Framing: evaluate.Framing{MaxWidth: o.maxWidth}},
	}
	j.report = report.Report{
		Program: cli.VersionLine(version),
		Model: report.Model{Path: o.model, SHA256: hex.EncodeToString(sum[:]), Name: card.Name, Method: card.Method, Trunk: card.Trunk,
			Height: card.Input.Height, Width: card.Input.Width, Labels: card.Classes},
		Gate: report.Gate{MaxDrop: o.maxDrop, Kept: o.keep},
	}
	return j, j.checkKeep()
}

// checkKeep refuses names of layers that the model does not have.
func (j *job) checkKeep() error {
	if err := j.network.Check(quantize.Options{Keep: j.keep}); err != nil {
		return cli.Usagef("--keep: %w", err)
	}
	return nil
}

// options are those of the models with some layers left in float.
func (j *job) options(keep []string) quantize.Options {
	return quantize.Options{Keep: keep, CorrectBias: j.biasCorrection, Adapt: j.grams}
}

// do is the whole way from pictures to report.
func (j *job) do(ctx context.Context) error {
	start := time.Now()
	if err := j.calibrateModel(ctx); err != nil {
		return err
	}
	if err := j.place(); err != nil {
		return err
	}
	j.report.Calibration.Seconds, j.report.Calibration.PeakBytes = time.Since(start).Seconds(), memory.PeakBytes()
	fmt.Fprintf(j.log, "calibration and placement took %s and %s of memory at most\n",
		time.Since(start).Round(time.Second), page.Bytes(j.report.Calibration.PeakBytes))
	for _, v := range j.variants {
		if err := j.score(ctx, v); err != nil {
			return err
		}
	}
	if err := j.gate(ctx); err != nil {
		return err
	}
	// What was measured is written, whatever becomes of the rest.
	if err := errors.Join(j.measureLatency(ctx), j.drawSheets(ctx), j.write()); err != nil {
		return err
	}
	return j.verdict()
}
