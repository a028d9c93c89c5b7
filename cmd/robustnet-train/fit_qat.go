package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/ranks"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// fineTuning is the part of the schedule and of the learning rate that fine-tuning takes by
// default.
const fineTuning = 10

// checkRounded refuses what cannot be meant with --qat.
func (o *fitOptions) checkRounded() error {
	if o.resume == "" {
		return cli.Usagef("--qat fine-tunes a finished training: name it with --resume")
	}
	if o.out == "" && !o.dryRun {
		return cli.Usagef("say with --out which run folder to make of %s", o.resume)
	}
	known := append(slices.Clone(resumable), "qat", "out", "iterations", "lr")
	if given := o.others(known); given != nil {
		return cli.Usagef("%s: fine-tuning keeps the settings of %s; besides --qat, --resume and --out, give --iterations, --lr, %s at most",
			strings.Join(given, ", "), o.resume, strings.Join(resumable[1:], ", "))
	}
	return nil
}

// createRounded makes the run folder that fine-tunes a finished training as its INT8 model
// computes; only the first process writes it.
func (o *fitOptions) createRounded(ranked ranks.Config) (*trainrun.Run, error) {
	base, err := trainrun.Open(o.resume)
	if err != nil {
		return nil, err
	}
	c := base.Config
	if c.Training == nil || base.Progress.Iterations < c.Training.Iterations {
		return nil, fmt.Errorf("--resume %s: it is no finished training, which --qat fine-tunes; train it to its end first", o.resume)
	}
	if c.Rounding, err = rounding(base, o.qat); err != nil {
		return nil, fmt.Errorf("--qat: %w", err)
	}
	t := *c.Training
	t.Iterations, t.LearningRate = max(1, t.Iterations/fineTuning), t.LearningRate/fineTuning
	if o.flags.Changed("iterations") {
		t.Iterations = o.recipe.given.Iterations
	}
	if o.flags.Changed("lr") {
		t.LearningRate = o.recipe.given.LearningRate
	}
	if t.ValidateEvery > 0 {
		t.ValidateEvery = max(1, t.Iterations/10)
	}
	t.Masks.After = 0 // they have been selected
	c.Training = &t
	c.Origin = fmt.Sprintf("fine-tuned for INT8 from %s, weights %s", o.resume, base.Weights.Hash())
	if err := c.Validate(); err != nil {
		return nil, cli.AsUsage(err)
	}
	first := trainrun.Checkpoint{Weights: base.Weights, Masks: base.Masks}
	if ranked.Rank != 0 || o.dryRun {
		return trainrun.New(o.out, c, first)
	}
	return trainrun.Create(o.out, c, first)
}

// rounding chooses the grids of the run's convolutions by a calibration table of a model that was
// exported from it: names of tensors are the same for every size. They are the grids without
// evened channels, which are the coarser ones: weights are not moved between layers in training.
func rounding(r *trainrun.Run, path string) (*trainrun.Rounding, error) {
	table, err := quantize.ReadTable(path)
	if err != nil {
		return nil, err
	}
	const side = 256 // any will do
	m, err := export.Model(r.Net, r.Weights, export.Options{Size: nn.Size{Height: side, Width: side},
		Card: trt.Card{Classes: r.Config.Labels.Classes, Ignore: r.Config.Labels.Ignore}})
	if err != nil {
		return nil, err
	}
	network, err := quantize.Open(m)
	if err != nil {
		return nil, err
	}
	placer, err := network.Placer(table, histogram.Choice{Method: histogram.MSE})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	inputs := placer.Magnitudes(quantize.Options{})
	// Norms that are exported as convolutions stay in float here.
	convolutions := map[string]bool{}
	for _, n := range r.Net.Nodes {
		convolutions[n.Key] = convolutions[n.Key] || n.Op == nn.Conv
	}
	maps.DeleteFunc(inputs, func(key string, _ float64) bool { return !convolutions[key] })
	if err := (model.Rounding{Inputs: inputs}).Check(r.Net); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &trainrun.Rounding{Calibration: table.Pictures.Hash, Inputs: inputs}, nil
}
