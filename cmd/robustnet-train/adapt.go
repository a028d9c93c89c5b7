package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/adapt"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/report"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

const adaptHelp = `Adapt gives the batch norms of a run's network the statistics of unlabelled pictures (AdaBN,
Li et al. 2016) and writes a new run. Nothing else of the network changes, and the run stays
as it is.

An adapted network has seen its target. Its results there are not those of domain
generalisation; config.yaml of the new run, its evaluations and its report say so. --on
measures before and after.`

const adaptExamples = `  robustnet-train adapt --run runs/isw --images night/frames --out runs/isw-night
  robustnet-train adapt --run runs/isw --images camvid=camvid:dusk_target --limit 30 --on camvid=camvid:dusk_target`

type adaptOptions struct {
	computeFlags
	run, images, out       string
	limit, batch, maxWidth int
	skipUnreadable         bool
	on                     []string
}

func newAdapt() *cobra.Command {
	var o adaptOptions
	cmd := &cobra.Command{
		Use:     "adapt --run RUN --images DIR|LAYOUT=DIR[:SPLIT]",
		Short:   "Fit the batch norms of a run to unlabelled pictures",
		Long:    adaptHelp,
		Example: adaptExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.run, "run", "", "run folder")
	flags.StringVar(&o.images, "images", "", "folder of JPEG and PNG pictures of the target, or LAYOUT=DIR[:SPLIT], whose labels are not read")
	flags.StringVar(&o.out, "out", "", "run folder to make (default RUN-adapted)")
	flags.IntVar(&o.limit, "limit", 0, "take at most so many pictures, evenly spread; 0 takes all")
	flags.IntVar(&o.batch, "batch", 8, "pictures of one size that go through the network together, 2 or more")
	flags.IntVar(&o.maxWidth, "max-width", 0, "shrink wider pictures, also those of --on, to this width, pixels; 0 does not")
	flags.BoolVar(&o.skipUnreadable, "skip-unreadable", false, "pass over files that cannot be read")
	flags.StringArrayVar(&o.on, "on", nil, "LAYOUT=DIR[:SPLIT] to evaluate on before and after; may be repeated")
	o.add(flags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.adapt(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// check refuses what cannot be meant, and completes the flags.
func (o *adaptOptions) check() error {
	switch {
	case o.run == "" || o.images == "":
		return cli.Usagef("say with --run which run to adapt, and with --images to which pictures")
	case o.batch < 2:
		return cli.Usagef("--batch %d: 2 or more are possible", o.batch)
	case o.limit < 0 || o.limit == 1:
		return cli.Usagef("--limit %d: 2 or more are possible, 0 for all", o.limit)
	case o.maxWidth != 0 && o.maxWidth < 32:
		return cli.Usagef("--max-width %d: 32 or more are possible, 0 for no limit", o.maxWidth)
	}
	if o.out == "" {
		o.out = filepath.Clean(o.run) + "-adapted"
	}
	return checkVacant(o.out)
}

// checkVacant says in time, for what makes a run takes long, that the folder holds something.
func checkVacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if len(entries) > 0 {
		return fmt.Errorf("--out %s: the folder is not empty; name another one", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

func (o *adaptOptions) adapt(ctx context.Context, out, log io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	r, err := trainrun.Open(o.run)
	if err != nil {
		return err
	}
	pictures, from, err := sources.Pictures(o.images)
	if err != nil {
		return fmt.Errorf("--images: %w", err)
	}
	if o.limit > 0 {
		pictures = pictures.Subset(data.Spread(o.limit, pictures.Len()))
	}
	sets, err := openTargets(o.on, r)
	if err != nil {
		return err
	}
	a := adaptation{adaptOptions: o, run: r, sets: sets, shown: terminal.NewProgress(log), from: from,
		pictures: &adapt.Pictures{Set: pictures, MaxWidth: o.maxWidth, SkipUnreadable: o.skipUnreadable}}
	defer a.shown.Clear()
	err = o.onTorch(func(s *torch.Scope) error { return a.compute(ctx, s) })
	if err != nil {
		return stopped(ctx, err)
	}
	if err := a.write(); err != nil {
		return err
	}
	return a.report(out)
}

// openTargets opens labelled data sets whose classes can be compared with the run's.
func openTargets(texts []string, r *trainrun.Run) ([]*data.Set, error) {
	sets, err := sources.Domains("--on", texts)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if _, err := evaluate.NewScoring(r.Config.Labels, set); err != nil {
			return nil, fmt.Errorf("--on %s: %w", set.Name, err)
		}
	}
	return sets, nil
}

// adaptation is one run of the command.
type adaptation struct {
	*adaptOptions
	run           *trainrun.Run
	sets          []*data.Set
	pictures      *adapt.Pictures
	shown         *terminal.Progress
	from          string // where the pictures are, from every folder
	seen          adapt.Result
	before, after []trainrun.Evaluation
	weights       trainrun.Checkpoint
}

// compute adapts, and evaluates before and after.
func (a *adaptation) compute(ctx context.Context, s *torch.Scope) error {
	m, err := model.New(s, a.run.Net, a.run.Weights)
	if err != nil {
		return err
	}
	if a.before, err = a.evaluate(ctx, s, m, "before", a.run.Config.Adapted != ""); err != nil {
		return err
	}
	progress := func(done int) { a.shown.Show("adapting", done, a.pictures.Set.Len()) }
	a.seen, err = adapt.BatchNorm(ctx, s, m, a.pictures.All(), adapt.Options{Batch: a.batch, Progress: progress})
	a.shown.Clear()
	if err != nil {
		return err
	}
	if a.after, err = a.evaluate(ctx, s, m, "after", true); err != nil {
		return err
	}
	a.weights.Masks = a.run.Masks
	a.weights.Weights, err = m.State(s)
	return err
}

func (a *adaptation) evaluate(ctx context.Context, s *torch.Scope, m *model.Model, when string, adapted bool) ([]trainrun.Evaluation, error) {
	var all []trainrun.Evaluation
	predictor := evaluate.NewNetwork(s, m, evaluate.Inference{Framing: evaluate.Framing{MaxWidth: a.maxWidth}})
	for _, set := range a.sets {
		done, stage := 0, "evaluating on "+set.Name+" "+when
		result, err := evaluate.Score(ctx, predictor, a.run.Config.Labels, set, func(int, *data.Picture, []uint8) {
			done++
			a.shown.Show(stage, done, set.Len())
		})
		if err != nil {
			return nil, err
		}
		e := result.Evaluation(a.run.Progress.Iterations)
		e.Adapted = adapted
		all = append(all, e)
	}
	return all, nil
}

// write makes the new run. It has no training that could go on.
func (a *adaptation) write() error {
	c := a.run.Config
	c.Training = nil
	seen := fmt.Sprintf("%s, %d pictures", a.from, a.seen.Pictures)
	c.Origin += "; batch norms adapted to " + seen
	if c.Adapted != "" {
		seen = c.Adapted + "; then " + seen
	}
	c.Adapted = seen
	if _, err := trainrun.Create(a.out, c, a.weights); err != nil {
		return err
	}
	if len(a.sets) > 0 {
		if err := trainrun.WriteEvaluations(a.out, append(a.before, a.after...)); err != nil {
			return err
		}
	}
	return report.Write(a.out, nil)
}

// report says what was done and what it is worth.
func (a *adaptation) report(out io.Writer) error {
	for _, err := range a.pictures.Skipped {
		fmt.Fprintf(out, "passed over: %v\n", err)
	}
	fmt.Fprintf(out, "batch norms adapted to %d pictures\n", a.seen.Pictures)
	if a.seen.Left > 0 {
		fmt.Fprintf(out, "%d others have a size of their own and could not share a batch\n", a.seen.Left)
	}
	if len(a.sets) > 0 {
		t := terminal.Table{Left: []bool{true, false, false}}
		t.Row("mIoU on", "before", "adapted")
		for i, e := range a.after {
			t.Row(e.Domain, fmt.Sprintf("%.2f", a.before[i].MIoU), fmt.Sprintf("%.2f", e.MIoU))
		}
		fmt.Fprint(out, t.String())
	}
	_, err := fmt.Fprintf(out, "wrote %s; its network has seen the target: label its results as adapted\n", a.out)
	return err
}
