package fit

import (
	"math"
	"time"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// sums gathers what a line of metrics is the mean of.
type sums struct {
	iterations, passes, pictures int
	learningRate                 float64 // of the last iteration
	loss, ce, aux                float64
	whitening                    float64
	whitened                     int // passes with a whitening loss
	elapsed, waited              time.Duration
}

// pace is how fast iterations are taken, whatever comes between them.
type pace struct {
	iterations int
	elapsed    time.Duration
}

func (p *pace) add(d time.Duration) {
	p.iterations++
	p.elapsed += d
}

// of returns the time of so many iterations.
func (p *pace) of(iterations int) time.Duration {
	return time.Duration(float64(p.elapsed) / float64(p.iterations) * float64(iterations))
}

// addLosses counts the losses of a pass.
func (u *sums) addLosses(s *torch.Scope, l model.Losses) {
	if s.Err() != nil {
		return
	}
	u.loss += s.Item(l.Total)
	u.ce += s.Item(l.CE)
	u.aux += s.Item(l.Aux)
	if l.Whitening != nil {
		u.whitening += s.Item(l.Whitening)
		u.whitened++
	}
}

func (u *sums) add(o sums) {
	u.iterations += o.iterations
	u.passes += o.passes
	u.pictures += o.pictures
	u.learningRate = o.learningRate
	u.loss += o.loss
	u.ce += o.ce
	u.aux += o.aux
	u.whitening += o.whitening
	u.whitened += o.whitened
	u.elapsed += o.elapsed
	u.waited += o.waited
}

// metric returns the means.
func (u *sums) metric(iteration int) run.Metric {
	n := float64(u.passes)
	m := run.Metric{
		Iteration: iteration, LearningRate: u.learningRate,
		Loss: u.loss / n, CE: u.ce / n, Aux: u.aux / n, Whitening: math.NaN(),
		PicturesPerSecond: float64(u.pictures) / u.elapsed.Seconds(),
		WaitShare:         u.waited.Seconds() / u.elapsed.Seconds(),
	}
	if u.whitened > 0 {
		m.Whitening = u.whitening / float64(u.whitened)
	}
	return m
}

// log writes a line of metrics when one is due.
func (t *trainer) log() error {
	if t.progress.Iterations%t.config.LogEvery != 0 {
		return nil
	}
	if err := t.status("training", ""); err != nil {
		return err
	}
	return t.flush()
}

// flush writes a line of metrics about the iterations since the last one, if there are any.
func (t *trainer) flush() error {
	u := t.sums
	t.sums = sums{}
	if u.iterations == 0 || !t.first() {
		return nil
	}
	return t.metrics.Append(u.metric(t.progress.Iterations))
}

func (t *trainer) status(state, reason string) error {
	if !t.first() {
		return nil
	}
	return run.WriteStatus(t.run.Dir, run.Status{
		State: state, Iteration: t.progress.Iterations, Iterations: t.config.Iterations, Reason: reason, Seconds: t.progress.Seconds,
	})
}
