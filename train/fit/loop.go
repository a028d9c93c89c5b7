package fit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/report"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// train runs the loop.
func (t *trainer) train(ctx context.Context, s *torch.Scope) (outcome Outcome, err error) {
	t.saved, t.reported = time.Now(), time.Now()
	if t.MaxTime > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, t.MaxTime, errTimeUp)
		defer stop()
	}
	if err := t.restore(s); err != nil {
		return outcome, err
	}
	if t.first() {
		if t.metrics, err = run.OpenMetrics(t.run.Dir, t.progress.Iterations); err != nil {
			return outcome, err
		}
		defer func() { err = errors.Join(err, t.metrics.Close()) }()
		if t.progress.Iterations == 0 {
			if err := covariances(s, t.model, t.sources[0], t.run.Dir, false); err != nil {
				return outcome, err
			}
		}
	}
	// A search may take long, and shows its own progress. Ctrl-C ends it.
	if !t.complete() {
		if err := t.feed.Ready(ctx); err != nil && ctx.Err() == nil {
			return outcome, err
		}
	}
	for {
		if t.validates() {
			if err := t.validate(ctx, s); err != nil {
				return outcome, err
			}
		}
		reason, done, err := t.ending(ctx, s)
		if err != nil {
			return outcome, err
		}
		if reason != "" {
			return t.finish(ctx, s, Outcome{Done: done, Reason: reason, Iterations: t.progress.Iterations})
		}
		if t.selectsMasks() {
			if _, err := t.save(s); err != nil {
				return outcome, err
			}
			if err := t.selectMasks(ctx, s); err != nil {
				return outcome, fmt.Errorf("select masks: %w", err)
			}
			if t.masks == nil {
				continue // interrupted, to be ended
			}
		}
		if err := t.iterate(s); err != nil {
			return outcome, err
		}
		if err := t.log(); err != nil {
			return outcome, err
		}
		if err := t.keep(s); err != nil {
			return outcome, err
		}
	}
}

// keep saves a checkpoint when one is due, and rewrites the report now and then.
func (t *trainer) keep(s *torch.Scope) error {
	if time.Since(t.saved) < t.SaveEvery {
		return nil
	}
	// A training that is resumed here has no metrics of the iterations before.
	if err := t.flush(); err != nil {
		return err
	}
	if _, err := t.save(s); err != nil {
		return err
	}
	t.saved = time.Now()
	if !t.first() || time.Since(t.reported) < time.Minute {
		return nil
	}
	t.reported = t.saved
	return report.Write(t.run.Dir, nil)
}

// restore puts the last checkpoint on the device.
func (t *trainer) restore(s *torch.Scope) (err error) {
	if t.model, err = model.New(s, t.run.Net, t.run.Weights); err != nil {
		return err
	}
	t.model.Group, t.model.MixStyle, t.model.DropChannels = t.Group, t.config.Extras.MixStyle, t.config.AuxDropout
	if r := t.run.Config.Rounding; r != nil {
		t.model.Rounding = &model.Rounding{Inputs: r.Inputs}
		if err := t.model.Rounding.Check(t.run.Net); err != nil {
			return err
		}
	}
	t.model.Broadcast(s)
	t.sgd = model.NewSGD(s, t.model)
	t.sgd.Momentum, t.sgd.WeightDecay = t.config.Momentum, t.config.WeightDecay
	if err := t.sgd.Fill(s, t.run.Velocity); err != nil {
		return err
	}
	if len(t.run.Masks) > 0 {
		t.masks = map[string]whiten.Mask{}
		for _, tap := range t.run.Net.Collected() {
			if t.masks[tap.Name], err = whiten.ParseMask(tap.Channels, t.run.Masks[tap.Name]); err != nil {
				return fmt.Errorf("mask of %s: %w", tap.Name, err)
			}
		}
	}
	if err := t.checkAlike(s); err != nil {
		return err
	}
	// What the folder held is on the device now.
	t.run.Checkpoint = run.Checkpoint{Progress: t.progress}
	if t.first() {
		t.progress.Recount(t.validator.evaluations)
	}
	return errors.Join(t.share(s), t.aim(s))
}

// aim makes the objective for the masks that there are.
func (t *trainer) aim(s *torch.Scope) (err error) {
	t.objective = model.Objective{}
	if w := t.run.Config.Whitening; w != nil && (t.run.Config.Method != nn.ISW || t.masks != nil) {
		if t.objective, err = model.NewObjective(s, t.run.Net, *w, t.masks); err != nil {
			return err
		}
	}
	t.objective.AuxWeight = t.config.AuxWeight
	t.objective.Consistency = t.config.Extras.Consistency
	return nil
}

// complete says whether no iteration is left.
func (t *trainer) complete() bool { return t.progress.Iterations >= t.config.Iterations }

// ending says whether and why the training ends now, the same on all ranks.
func (t *trainer) ending(ctx context.Context, s *torch.Scope) (reason string, done bool, err error) {
	mine := goOn
	switch {
	case errors.Is(context.Cause(ctx), errTimeUp):
		mine = timeUp
	case ctx.Err() != nil:
		mine = interrupted
	}
	if mine, err = t.agree(s, mine); err != nil {
		return "", false, err
	}
	switch {
	case t.complete():
		return "the schedule is complete", true, nil
	case t.config.Patience > 0 && t.progress.Unimproved >= t.config.Patience:
		return fmt.Sprintf("no better validation than %.2f mIoU at iteration %d in %d validations",
			t.progress.BestMIoU, t.progress.BestIteration, t.progress.Unimproved), true, nil
	case mine == interrupted:
		return "interrupted", false, nil
	case mine == timeUp:
		return fmt.Sprintf("%v are over", t.MaxTime), false, nil
	}
	return "", false, nil
}

// finish saves the training, and validates one that is done.
func (t *trainer) finish(ctx context.Context, s *torch.Scope, o Outcome) (Outcome, error) {
	if err := t.flush(); err != nil {
		return o, err
	}
	weights, err := t.save(s)
	if err != nil {
		return o, err
	}
	if t.first() {
		o.Hash = weights.Hash()
	}
	if o.Done {
		if err := t.validate(ctx, s); err != nil {
			return o, err
		}
		if t.first() && t.validator.misses(t.progress.Iterations) {
			o.Done, o.Reason = false, "stopped in the last validation"
		}
	}
	state := "stopped"
	if o.Done {
		state = "done"
	}
	if err := t.status(state, o.Reason); err != nil || !t.first() {
		return o, err
	}
	return o, report.Write(t.run.Dir, nil)
}

// iterate takes one step for every source.
func (t *trainer) iterate(s *torch.Scope) error {
	start := time.Now()
	rate := t.config.Rate(t.progress.Iterations)
	sums := sums{learningRate: rate, iterations: 1}
	for range t.feed.BatchesPerIteration() / t.config.Accumulate {
		for range t.config.Accumulate {
			if err := t.pass(s, &sums); err != nil {
				return err
			}
		}
		t.model.AverageGradients(s)
		t.sgd.Step(s, rate)
	}
	if err := s.Err(); err != nil {
		return err
	}
	if err := t.joinLosses(s, &sums); err != nil {
		return err
	}
	t.progress.Iterations++
	if loss := sums.loss; math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss of iteration %d is %v; the last checkpoint is whole: lower the learning rate and start anew", t.progress.Iterations, loss)
	}
	sums.elapsed = time.Since(start)
	t.sums.add(sums)
	t.iterating.add(sums.elapsed)
	t.progress.Seconds += sums.elapsed.Seconds()
	if t.Events.Step != nil {
		t.Events.Step(Step{Metric: sums.metric(t.progress.Iterations), Iterations: t.config.Iterations,
			Elapsed: time.Duration(t.progress.Seconds * float64(time.Second)), Left: t.iterating.of(t.config.Iterations - t.progress.Iterations)})
	}
	return nil
}

// pass adds the gradients of one batch.
func (t *trainer) pass(s *torch.Scope, sums *sums) error {
	start := time.Now()
	batch, err := t.feed.Next(context.Background()) // an iteration is completed
	if err != nil {
		return err
	}
	defer t.feed.Release(batch)
	sums.waited += time.Since(start)
	t.model.StepSeed = batch.Random
	s.In(func(s *torch.Scope) {
		x := model.Pictures(s, batch.Pictures, batch.Size, batch.Side, batch.Side)
		labels := model.Labels(s, batch.Labels, batch.Size, batch.Side, batch.Side)
		var styled *torch.Tensor
		if batch.Styled != nil {
			styled = model.Pictures(s, batch.Styled, batch.Size, batch.Side, batch.Side)
		}
		losses, _ := t.model.Losses(s, x, styled, labels, t.objective)
		s.Backward(s.MulScalar(losses.Total, 1/float64(t.config.Accumulate)))
		sums.addLosses(s, losses)
	})
	sums.passes++
	sums.pictures += batch.Size * t.world()
	return s.Err()
}

// checkpoint reads the state back from the device.
func (t *trainer) checkpoint(s *torch.Scope) (c run.Checkpoint, err error) {
	c.Progress = t.progress
	if c.Weights, err = t.model.State(s); err != nil {
		return c, err
	}
	if c.Velocity, err = t.sgd.State(s); err != nil {
		return c, err
	}
	c.Masks = map[string][]uint8{}
	for name, mask := range t.masks {
		c.Masks[name] = mask.Uint8()
	}
	return c, nil
}

// save saves a checkpoint, if this process is the one that does, and returns its weights.
func (t *trainer) save(s *torch.Scope) (nn.State, error) {
	if !t.first() {
		return nil, nil
	}
	c, err := t.checkpoint(s)
	if err != nil {
		return nil, err
	}
	if err := t.run.Save(c); err != nil {
		return nil, err
	}
	t.run.Checkpoint = run.Checkpoint{Progress: c.Progress} // the rest would stay in memory for nothing
	return c.Weights, nil
}
