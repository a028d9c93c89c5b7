package main

import (
	"context"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/rebuild"
	"github.com/robustnet-edge/robustnet/train/report"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

const reconstructHelp = `Reconstruct shows what the network's shallow features still know of a picture: small decoders
are trained to rebuild pictures from them, one from the whitened features and one, to compare,
from the same features before they are whitened or from those of another run (--against).
Where whitening works, the scene comes back without the light and colours of its picture.

The decoders are trained on the first --on. Four pictures that they were not trained on, of all
--on in turn, are written into the run's folder figures, and into its report.`

const reconstructExamples = `  robustnet-train reconstruct --run runs/isw --on camvid=camvid:day_train --on camvid=camvid:dusk_target
  robustnet-train reconstruct --run runs/isw --against runs/base --on scenes=day --on scenes=night --max-time 5m`

// The pictures of the command.
const (
	shownPictures    = 4
	trainingPictures = 200
	cropSide         = 128
)

type reconstructOptions struct {
	computeFlags
	run, against string
	on           []string
	iterations   int
	maxTime      time.Duration
	maxWidth     int
	seed         uint64
}

func newReconstruct() *cobra.Command {
	var o reconstructOptions
	cmd := &cobra.Command{
		Use:     "reconstruct --run RUN --on LAYOUT=DIR[:SPLIT]",
		Short:   "Rebuild pictures from whitened features",
		Long:    reconstructHelp,
		Example: reconstructExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.run, "run", "", "run folder of a network with whitened layers")
	flags.StringArrayVar(&o.on, "on", nil, "LAYOUT=DIR[:SPLIT] of pictures; may be repeated")
	flags.StringVar(&o.against, "against", "", "run folder to compare with (default: the run's own features before they are whitened)")
	flags.IntVar(&o.iterations, "iterations", 400, "steps in which each decoder is trained")
	flags.DurationVar(&o.maxTime, "max-time", 0, "end the training of both after so long, such as 5m")
	flags.IntVar(&o.maxWidth, "max-width", 320, "shrink wider pictures to this width, pixels")
	flags.Uint64Var(&o.seed, "seed", 1, "of all random numbers")
	o.add(flags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.reconstruct(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (o *reconstructOptions) reconstruct(ctx context.Context, out, log io.Writer) error {
	switch {
	case o.run == "" || len(o.on) == 0:
		return cli.Usagef("say with --run which run to look into, and with --on at which pictures, such as --on camvid=camvid:day_train")
	case o.iterations < 1:
		return cli.Usagef("--iterations %d: 1 or more are possible", o.iterations)
	case o.maxTime < 0:
		return cli.Usagef("--max-time %v: 0 is no limit", o.maxTime)
	case o.maxWidth < 64:
		return cli.Usagef("--max-width %d: 64 or more are possible", o.maxWidth)
	}
	r, err := trainrun.Open(o.run)
	if err != nil {
		return err
	}
	if r.Net.Taps[0].Norm == nn.NoNorm {
		return fmt.Errorf("%s has no whitened layers; give a run that has, and this one as --against", o.run)
	}
	c := reconstruction{reconstructOptions: o, run: r, log: log}
	if o.against != "" {
		if c.other, err = trainrun.Open(o.against); err != nil {
			return fmt.Errorf("--against: %w", err)
		}
	}
	if err := c.read(ctx); err != nil {
		return stopped(ctx, err)
	}
	err = o.onTorch(func(s *torch.Scope) error { return c.compute(ctx, s) })
	if err != nil {
		return stopped(ctx, err)
	}
	if err := rebuild.WriteFigures(o.run, c.shown); err != nil {
		return err
	}
	if err := report.Write(o.run, nil); err != nil {
		return err
	}
	return c.report(out)
}

// reconstruction is one run of the command.
type reconstruction struct {
	*reconstructOptions
	run, other *trainrun.Run
	log        io.Writer
	training   []*data.Picture
	shown      []rebuild.Figure
	from       []string // of which set each shown picture is
	notes      []string
}

// read reads the pictures to be shown, of all sets in turn, and those to train on: others of
// the first set.
func (c *reconstruction) read(ctx context.Context) error {
	var first *data.Set
	shown := map[int]bool{}
	for i, source := range c.on {
		set, err := sources.Open(source)
		if err != nil {
			return err
		}
		share := (shownPictures - i + len(c.on) - 1) / len(c.on)
		for _, n := range data.Spread(max(share, 0), set.Len()) {
			p, err := c.picture(set, n)
			if err != nil {
				return err
			}
			c.shown, c.from = append(c.shown, rebuild.Figure{Image: p}), append(c.from, set.Name)
			if i == 0 {
				shown[n] = true
			}
		}
		if i == 0 {
			first = set
		}
	}
	for _, n := range data.Spread(trainingPictures, first.Len()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if shown[n] {
			continue
		}
		p, err := c.picture(first, n)
		if err != nil {
			return err
		}
		c.training = append(c.training, p)
	}
	if len(c.training) == 0 {
		return fmt.Errorf("--on %s has %d pictures; %d are shown, and others are needed to train on", c.on[0], first.Len(), len(shown))
	}
	return nil
}

func (c *reconstruction) picture(set *data.Set, n int) (*data.Picture, error) {
	p, err := set.Read(n)
	if err != nil {
		return nil, err
	}
	p.Labels = nil
	if p, err = evaluate.Shrink(p, c.maxWidth); err != nil {
		return nil, err
	}
	const smallest = 32
	if min(p.Width, p.Height) < smallest {
		return nil, fmt.Errorf("%s of %s has %d x %d pixels; %d or more in both directions are needed, at most %d wide",
			set.Sample(n).Name, set.Name, p.Width, p.Height, smallest, c.maxWidth)
	}
	return p, nil
}

// compute trains both decoders and lets them rebuild the shown pictures.
func (c *reconstruction) compute(ctx context.Context, s *torch.Scope) error {
	m, err := model.New(s, c.run.Net, c.run.Weights)
	if err != nil {
		return err
	}
	base := rebuild.Before(m)
	if c.other != nil {
		other, err := model.New(s, c.other.Net, c.other.Weights)
		if err != nil {
			return err
		}
		base = rebuild.Behind(other)
	}
	for _, part := range []struct {
		name     string
		features rebuild.Features
		to       func(*rebuild.Figure) **data.Picture
	}{
		{"base", base, func(f *rebuild.Figure) **data.Picture { return &f.Base }},
		{"whitened", rebuild.Behind(m), func(f *rebuild.Figure) **data.Picture { return &f.Whitened }},
	} {
		decoder, err := c.train(ctx, s, part.name, part.features)
		if err != nil {
			return err
		}
		for i := range c.shown {
			if *part.to(&c.shown[i]), err = decoder.Rebuild(s, c.shown[i].Image); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *reconstruction) train(ctx context.Context, s *torch.Scope, name string, f rebuild.Features) (*rebuild.Decoder, error) {
	side := cropSide
	for _, p := range c.training {
		side = min(side, p.Width, p.Height)
	}
	d := rebuild.NewDecoder(s, f, c.seed)
	shown := terminal.NewProgress(c.log)
	defer shown.Clear()
	progress := func(done int) { shown.Show("decoder of "+name, done, c.iterations) }
	done, err := d.Train(ctx, s, c.training, rebuild.Options{
		Iterations: c.iterations, Batch: 4, Side: side, MaxTime: (c.maxTime + 1) / 2, Seed: c.seed, Progress: progress,
	})
	if done < c.iterations && err == nil {
		c.notes = append(c.notes, fmt.Sprintf("time was up for the decoder of %s after %d of %d iterations", name, done, c.iterations))
	}
	return d, err
}

// report says how far the colours of the rebuilt pictures are from those of the pictures.
func (c *reconstruction) report(out io.Writer) error {
	for _, note := range c.notes {
		fmt.Fprintln(out, note)
	}
	t := terminal.Table{Left: []bool{true, false, false}}
	t.Row("colours off by, of 255", "base", "whitened")
	for i, f := range c.shown {
		t.Row(fmt.Sprintf("%d  %s", i, c.from[i]), fmt.Sprintf("%.1f", f.ColorError(f.Base)), fmt.Sprintf("%.1f", f.ColorError(f.Whitened)))
	}
	_, err := fmt.Fprintf(out, "%swrote %d pictures of each kind into %s\n", t.String(), len(c.shown), filepath.Join(c.run.Dir, trainrun.FiguresDir))
	return err
}
