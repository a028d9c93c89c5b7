package fit

import (
	"context"
	"fmt"
	"time"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/report"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// validator scores a training on its validation sets, and keeps what the report shows.
type validator struct {
	run         *run.Run
	sets        []*data.Set
	scorings    []*evaluate.Scoring // of the sets
	evaluations []run.Evaluation
	gallery     gallery
}

func newValidator(r *run.Run, c run.Training) (*validator, error) {
	v := &validator{run: r}
	for _, source := range c.Validation {
		set, err := data.Open(source)
		if err != nil {
			return nil, err
		}
		scoring, err := evaluate.NewScoring(r.Config.Labels, set)
		if err != nil {
			return nil, fmt.Errorf("validate on %s: %w", set.Name, err)
		}
		v.sets, v.scorings = append(v.sets, set), append(v.scorings, scoring)
	}
	all, err := run.ReadEvaluations(r.Dir)
	if err != nil {
		return nil, err
	}
	v.evaluations = run.EvaluationsUntil(all, r.Progress.Iterations)
	v.gallery = gallery{dir: r.Dir, samples: spread(v.sets)}
	return v, nil
}

// stale says whether the weights after so many iterations were not validated.
func (v *validator) stale(iterations int) bool {
	n := len(v.evaluations)
	return n == 0 || v.evaluations[n-1].Iteration != iterations
}

// misses says whether a validation after so many iterations was not completed.
func (v *validator) misses(iterations int) bool { return len(v.sets) > 0 && v.stale(iterations) }

// validates says whether the weights as they are are to be validated before the training goes
// on. One that was interrupted is made up for when the training is resumed.
func (t *trainer) validates() bool {
	i, every := t.progress.Iterations, t.config.ValidateEvery
	return every > 0 && i > 0 && i%every == 0 && !t.complete()
}

// validate scores the network as it is, unless that was done, and rewrites the report. The
// other processes wait.
func (t *trainer) validate(ctx context.Context, s *torch.Scope) error {
	start := time.Now()
	if t.first() && t.validator.stale(t.progress.Iterations) {
		if err := t.measure(ctx, s); err != nil {
			return err
		}
	}
	t.progress.Seconds += time.Since(start).Seconds()
	return t.share(s)
}

func (t *trainer) measure(ctx context.Context, s *torch.Scope) error {
	v := t.validator
	network := evaluate.NewNetwork(s, t.model, evaluate.Inference{})
	v.gallery.worst = evaluate.Worst{Limit: worstPictures}
	var now []run.Evaluation
	sum := 0.0
	for i, set := range v.sets {
		done := 0
		result, err := evaluate.Score(ctx, network, t.run.Config.Labels, set, func(n int, p *data.Picture, prediction []uint8) {
			v.gallery.see(i, n, set.Name+" "+set.Sample(n).Name, v.scorings[i], p, prediction)
			if done++; t.Events.Validating != nil {
				t.Events.Validating(set.Name, done, set.Len())
			}
		})
		if err != nil {
			if ctx.Err() != nil {
				return nil // the training ends; what is missing is validated when it goes on
			}
			return err
		}
		evaluation := result.Evaluation(t.progress.Iterations)
		evaluation.Adapted = t.run.Config.Adapted != ""
		now = append(now, evaluation)
		sum += evaluation.MIoU
	}
	if len(now) > 0 {
		if err := t.keepBest(s, sum/float64(len(now))); err != nil {
			return err
		}
	}
	v.evaluations = append(v.evaluations, now...)
	if err := v.write(); err != nil {
		return err
	}
	if err := covariances(s, t.model, t.sources[0], t.run.Dir, true); err != nil {
		return err
	}
	if t.Events.Validated != nil {
		t.Events.Validated(now)
	}
	if t.complete() {
		return nil // the report comes with the end
	}
	return report.Write(t.run.Dir, nil)
}

// keepBest saves the checkpoint if no validation before it was better.
func (t *trainer) keepBest(s *torch.Scope, miou float64) error {
	if !t.progress.Judge(miou) {
		return nil
	}
	c, err := t.checkpoint(s)
	if err != nil {
		return err
	}
	return t.run.SaveBest(c)
}

func (v *validator) write() error {
	if err := run.WriteEvaluations(v.run.Dir, v.evaluations); err != nil {
		return err
	}
	return v.gallery.write()
}
