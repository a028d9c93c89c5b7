package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/corrupt"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
)

const evalHelp = `Eval compares models on labelled pictures: run folders, also of trainings that go on, and
model files that 'export' wrote. Of a folder it takes the last checkpoint, unless another one is
named, such as RUN/best.safetensors. Each model is run on each domain, and mean intersection over
union (mIoU) over the classes, pixel accuracy and speed are printed, in points of 100.

By default a run sees each picture once, whole and at its own size, which is the published
protocol. Model files see it at the size that they were exported for. Where a model and a
domain have different classes, they are compared in the coarser ones, if a map is known.

With --corruptions every domain is scored clean and once for each kind of corruption and each
severity, in the manner of ImageNet-C (Hendrycks & Dietterich, ICLR 2019). The relative
robustness is the mean over these scores divided by the clean one.

Sources are as 'robustnet-train check' has them. Interrupted, it prints what is finished.`

const evalExamples = `  robustnet-train eval --model runs/isw --on camvid=camvid:dusk_target
  robustnet-train eval --model runs/base --model runs/isw --model isw.onnx \
      --on dusk=camvid=camvid:dusk_target --on india=idd=idd_lite --csv accuracy.csv
  robustnet-train eval --model runs/isw --on cityscapes=/data/cityscapes:val --device cuda \
      --scales 0.5,1,2 --flip --window 1024
  robustnet-train eval --model runs/isw --on camvid=camvid:day_val --corruptions --severities 1,3,5`

type evalOptions struct {
	models, sources            []string
	json, classes, corruptions bool
	confusion                  bool
	csv, figures, onnxRuntime  string
	worst                      int
	inference                  evaluate.Inference
	kinds                      []string
	severities                 []int
	computeFlags

	conditions []condition // the clean pictures' first
	changed    func(flag string) bool
	out, log   io.Writer
}

// condition is what is done to pictures: nothing if the kind is empty.
type condition struct {
	kind     corrupt.Kind
	severity int
}

func newEval() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:     "eval --model RUN|MODEL.onnx... --on SOURCE...",
		Short:   "Measure and compare the accuracy of models on data sets",
		Long:    evalHelp,
		Example: evalExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.models, "model", nil, "run folder, checkpoint in one, or model file ending in .onnx; may be repeated")
	flags.StringArrayVar(&o.sources, "on", nil, "domain: [NAME=]LAYOUT=DIR[:SPLIT]; may be repeated")
	flags.BoolVar(&o.classes, "classes", false, "print the IoU of every class, also with several domains")
	flags.BoolVar(&o.confusion, "confusion", false, "print which classes are taken for which, in percent of the true class")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.csv, "csv", "", "file to write every figure to, a line each")
	flags.Float64SliceVar(&o.inference.Scales, "scales", nil, "runs: scales of the picture whose logits are averaged (default 1)")
	flags.BoolVar(&o.inference.Flip, "flip", false, "runs: average with the mirrored picture")
	flags.IntVar(&o.inference.Window, "window", 0, "runs: side in pixels of sliding windows, overlapping by a third (default whole pictures)")
	flags.IntVar(&o.inference.MaxWidth, "max-width", 0, "width in pixels beyond which pictures and labels are shrunk (default none)")
	flags.IntVar(&o.inference.Square, "centre-square", 0, "height in pixels to scale pictures to, of which the centre square is scored: 1536 is usual for Mapillary")
	flags.BoolVar(&o.corruptions, "corruptions", false, "score corrupted pictures, too")
	flags.StringSliceVar(&o.kinds, "kinds", nil, "corruptions to apply (default all: "+strings.Join(texts(corrupt.Kinds()), ", ")+")")
	flags.IntSliceVar(&o.severities, "severities", []int{1, 2, 3, 4, 5}, "severities of corruptions")
	flags.StringVar(&o.figures, "figures", "", "folder for pictures of each model's worst results")
	flags.IntVar(&o.worst, "worst", 4, "with --figures: number of pictures for each model and domain")
	o.computeFlags.add(flags)
	flags.StringVar(&o.onnxRuntime, "onnxruntime", os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "file of ONNX Runtime, which runs model files; ROBUSTNET_MODEL_LIBRARY")
	flags.Lookup("scales").DefValue = "" // the help says it in words
	o.changed = flags.Changed
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.out, o.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.run(cmd.Context())
	}
	return cmd
}

// check reads the flags that are no mere values.
func (o *evalOptions) check() error {
	switch {
	case len(o.models) == 0:
		return cli.Usagef("say with --model which run folder or model file to evaluate")
	case len(o.sources) == 0:
		return cli.Usagef("say with --on which pictures to evaluate on, as in --on camvid=camvid:dusk_target")
	case o.worst < 1 || o.worst > 1000:
		return cli.Usagef("--worst %d: 1 to 1000 are possible", o.worst)
	case o.changed("worst") && o.figures == "":
		return cli.Usagef("--worst is for --figures; name a folder there")
	}
	if err := o.inference.Validate(); err != nil {
		return cli.AsUsage(err)
	}
	return o.chooseConditions()
}

// chooseConditions fills conditions.
func (o *evalOptions) chooseConditions() error {
	o.conditions = []condition{{}}
	for _, flag := range []string{"kinds", "severities"} {
		if !o.corruptions && o.changed(flag) {
			return cli.Usagef("--%s is for --corruptions; give that, too", flag)
		}
	}
	if !o.corruptions {
		return nil
	}
	kinds := corrupt.Kinds()
	if len(o.kinds) > 0 {
		kinds = nil
	}
	for _, name := range o.kinds {
		kind, err := corrupt.Parse(name)
		if err != nil {
			return cli.Usagef("--kinds: %w", err)
		}
		kinds = append(kinds, kind)
	}
	for _, kind := range kinds {
		for _, severity := range o.severities {
			if severity < 1 || severity > corrupt.MaxSeverity {
				return cli.Usagef("--severities %d: 1 to %d are possible", severity, corrupt.MaxSeverity)
			}
			c := condition{kind, severity}
			if slices.Contains(o.conditions, c) {
				return cli.Usagef("corruption %s of severity %d is named twice", kind, severity)
			}
			o.conditions = append(o.conditions, c)
		}
	}
	return nil
}

func (o *evalOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	models, err := o.openModels()
	if err != nil {
		return err
	}
	domains, err := o.openDomains(models)
	if err != nil {
		return err
	}
	if o.csv != "" {
		if err := checkTarget("--csv", o.csv); err != nil {
			return err
		}
	}
	if o.figures != "" {
		if err := os.MkdirAll(o.figures, 0o755); err != nil {
			return fmt.Errorf("--figures: %w", err)
		}
	}
	report := evalReport{Inference: o.describe()}
	err = o.measure(ctx, models, domains, &report)
	if ctx.Err() != nil {
		report.Stopped, err = true, nil
	}
	if len(report.Results) == 0 {
		if report.Stopped {
			fmt.Fprintln(o.log, "stopped before the first result")
		}
		return err
	}
	report.summarise(len(o.conditions) - 1)
	if werr := o.write(report, models, domains); err == nil {
		err = werr
	}
	return err
}

// openDomains opens all sources and checks that every model can be scored on them, before
// the first picture is segmented.
func (o *evalOptions) openDomains(models []*evalModel) ([]*data.Set, error) {
	domains, err := sources.Domains("--on", o.sources)
	if err != nil {
		return nil, err
	}
	for _, set := range domains {
		for _, m := range models {
			if _, err := evaluate.NewScoring(m.classes, set); err != nil {
				return nil, fmt.Errorf("evaluate %s on %s: %w", m.name, set.Name, err)
			}
		}
	}
	return domains, nil
}

// measure fills the report with the results of one model after the other.
func (o *evalOptions) measure(ctx context.Context, models []*evalModel, domains []*data.Set, report *evalReport) error {
	several := len(models)*len(domains)*len(o.conditions) > 1
	for _, m := range models {
		err := m.with(ctx, o, func(p evaluate.Predictor) error {
			for _, domain := range domains {
				for _, c := range o.conditions {
					result, err := o.score(ctx, m, p, domain, c)
					if err != nil {
						return fmt.Errorf("evaluate %s: %w", m.name, err)
					}
					report.Results = append(report.Results, result)
					if several {
						fmt.Fprintln(o.log, result.line())
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *evalOptions) score(ctx context.Context, m *evalModel, p evaluate.Predictor, domain *data.Set, c condition) (evalResult, error) {
	scorer := evaluate.Scorer{Predictor: p, Classes: m.classes}
	if c.kind != "" {
		scorer.Change = func(i int, p *data.Picture) ([]uint8, error) {
			return corrupt.Apply(c.kind, c.severity, uint64(i), p.RGB, p.Width, p.Height)
		}
	}
	scoring, err := evaluate.NewScoring(m.classes, domain)
	if err != nil {
		return evalResult{}, err
	}
	worst := evaluate.Worst{Limit: o.worst}
	drawn := o.figures != "" && c.kind == ""
	done, stage, shown := 0, m.name+" on "+domain.Name+c.suffix(), terminal.NewProgress(o.log)
	defer shown.Clear()
	var faults error
	scorer.Each = func(i int, p *data.Picture, prediction []uint8) {
		done++
		shown.Show(stage, done, domain.Len())
		if drawn {
			e, err := scoring.Exhibit(domain.Sample(i).Name, p, prediction)
			worst.Add(e)
			faults = errors.Join(faults, err)
		}
	}
	result, err := scorer.Score(ctx, domain)
	if err = errors.Join(err, faults); err == nil && drawn {
		err = writeFigures(o.figures, m.name, domain.Name, worst.Exhibits)
	}
	return newEvalResult(m, result, c), err
}

// suffix names the condition after a domain.
func (c condition) suffix() string {
	if c.kind == "" {
		return ""
	}
	return fmt.Sprintf(", %s %d", c.kind, c.severity)
}
