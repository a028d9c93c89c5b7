// Package fit trains the network of a run: it feeds pictures, takes the optimiser's steps,
// selects the masks of instance selective whitening, validates, and keeps the run's folder so
// that a training that was stopped or killed goes on to the same weights.
package fit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/feed"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// Options say how a training computes. They do not change what comes out, but for rounding.
type Options struct {
	Device torch.Device
	// Threads is the number of CPU threads of libtorch; 0 is one for each that the process
	// may use.
	Threads int
	// Workers is the number of pictures that are prepared at a time; 0 is a sensible number.
	Workers int
	// CacheBytes is the memory for decoded pictures; 0 decodes them each time.
	CacheBytes int64
	// MaxTime stops the training after so long, to be resumed; 0 does not.
	MaxTime time.Duration
	// SaveEvery is the time between checkpoints; 0 is five minutes.
	SaveEvery time.Duration
	// Group are the processes that train together; nil is this one alone.
	Group *torch.Group
	// Events are told of what happens, on the goroutine of Run unless they say otherwise.
	Events Events
}

// Events are functions to be called; nil ones are not.
type Events struct {
	// Searching is called while pictures are searched for classes, before anything else and on
	// a goroutine of its own.
	Searching func(done, total int)
	// Step is called after each iteration.
	Step func(Step)
	// Masks is called after each pair of views, while masks are selected.
	Masks func(done, total int)
	// Validating is called after each picture of a validation.
	Validating func(domain string, done, total int)
	// Validated is called after each validation.
	Validated func([]run.Evaluation)
}

// Step is one iteration.
type Step struct {
	run.Metric
	// Iterations is the length of the schedule.
	Iterations int
	// Elapsed is the time since the training began, those before it was resumed included.
	Elapsed time.Duration
	// Left is how long the iterations that remain take, by those since the training was begun
	// or resumed.
	Left time.Duration
}

// Outcome is how a training ended.
type Outcome struct {
	// Done says that the schedule was completed, or that patience ended it; otherwise the
	// training can be resumed.
	Done bool
	// Reason says why it ended, in words.
	Reason string
	// Iterations is the number of iterations done.
	Iterations int
	// Hash is that of the weights, see [nn.State.Hash]; empty unless this process writes them.
	Hash string
}

// Run trains the network of r from where its last checkpoint stands. It blocks until the
// schedule is completed, ctx is cancelled, or time is up; a checkpoint is saved at the end of
// each. An error leaves the checkpoints before it as they were.
func Run(ctx context.Context, lib *torch.Library, r *run.Run, o Options) (Outcome, error) {
	t, err := newTrainer(r, o)
	if err != nil {
		return Outcome{}, fmt.Errorf("train %s: %w", r.Dir, err)
	}
	var outcome Outcome
	err = t.fed(ctx, lib, func(s *torch.Scope) (err error) {
		outcome, err = t.train(ctx, s)
		return err
	})
	if err != nil {
		return outcome, errors.Join(fmt.Errorf("train %s: %w", r.Dir, err), t.status("failed", err.Error()))
	}
	return outcome, nil
}

// trainer is one training.
type trainer struct {
	Options
	run     *run.Run
	config  run.Training
	sources []*data.Set
	feed    *feed.Feed

	saved     time.Time // when the last checkpoint was
	reported  time.Time // when the report was rewritten
	iterating pace
	progress  run.Progress
	model     *model.Model
	sgd       *model.SGD
	objective model.Objective
	masks     map[string]whiten.Mask
	metrics   *run.Metrics
	sums      sums
	validator *validator
}

func newTrainer(r *run.Run, o Options) (*trainer, error) {
	if r.Config.Training == nil {
		return nil, errors.New("the run was imported and has no training to go on with")
	}
	t := &trainer{Options: o, run: r, config: *r.Config.Training, progress: r.Progress}
	if t.SaveEvery == 0 {
		t.SaveEvery = 5 * time.Minute
	}
	classes := r.Config.Labels
	for _, source := range t.config.Sources {
		set, err := data.Open(source)
		if err != nil {
			return nil, err
		}
		if set, err = set.As(classes); err != nil {
			return nil, fmt.Errorf("train on %w", err)
		}
		t.sources = append(t.sources, set)
	}
	var targets *data.Set
	if t.config.Targets != "" {
		var err error
		if targets, _, err = data.OpenUnlabelled(t.config.Targets); err != nil {
			return nil, err
		}
	}
	share, err := t.config.Share(t.world())
	if err != nil {
		return nil, err
	}
	t.feed, err = feed.New(feed.Options{
		Sets: t.sources, Recipe: t.config.Augmentation, Batch: share, Accumulate: t.config.Accumulate, Seed: t.config.Seed,
		ClassUniform: t.config.ClassUniform, Tile: t.config.Tile, Concat: t.config.Mix, Rank: t.rank(), World: t.world(),
		Workers: o.Workers, CacheBytes: o.CacheBytes, TwoViews: t.config.Extras.Consistency > 0, Targets: targets,
		Indexed: o.Events.Searching,
	})
	if err != nil {
		return nil, err
	}
	if t.first() {
		t.validator, err = newValidator(r, t.config)
	}
	return t, err
}

// first says whether this process writes the run's files.
func (t *trainer) first() bool { return t.rank() == 0 }
