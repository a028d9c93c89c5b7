package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
)

// headline is the top of the page.
type headline struct {
	Name, Method, Trunk, Details string
	State, Reason                string
	Iteration, Iterations        int
	// Percent is how much of the training is done.
	Percent int
	Time    string
	// Adapted says which pictures of a target the network saw, if it did.
	Adapted string
	Domains []domainFigure
}

// domainFigure is the accuracy on one domain, in points.
type domainFigure struct {
	run.Evaluation
	// Change is against the evaluation before, at iteration Since, if HasChange.
	Change    float64
	Since     int
	HasChange bool
}

// Direction is "up" or "down", for the eye.
func (f domainFigure) Direction() string {
	switch text := change(f.Change); {
	case text == "±0.0":
		return "same"
	case f.Change > 0:
		return "up"
	}
	return "down"
}

func newHeadline(r record) headline {
	h := headline{
		Name: r.name(), Method: page.MethodName(r.Config.Method), Trunk: trunkName(r.Config.Network), Details: details(r.Config),
		State: r.Status.State, Reason: r.Status.Reason, Adapted: r.Config.Adapted,
		Iteration: r.Status.Iteration, Iterations: r.Status.Iterations,
	}
	if h.State == "" {
		h.State = "not trained here"
	}
	if h.Iterations > 0 {
		h.Percent = min(100*h.Iteration/h.Iterations, 100)
	}
	if r.Status.Seconds > 0 {
		h.Time = duration(r.Status.Seconds)
	}
	for _, last := range run.LastEvaluations(r.Evaluations) {
		f := domainFigure{Evaluation: last}
		before := slices.DeleteFunc(slices.Clone(r.Evaluations), func(e run.Evaluation) bool {
			return e.Domain != last.Domain || e.Adapted != last.Adapted || e.Iteration >= last.Iteration
		})
		for _, previous := range run.LastEvaluations(before) {
			f.Change, f.Since, f.HasChange = last.MIoU-previous.MIoU, previous.Iteration, true
		}
		h.Domains = append(h.Domains, f)
	}
	return h
}

func trunkName(s nn.Spec) string {
	name := page.TrunkName(s.Trunk)
	if s.Width != 1 {
		name += fmt.Sprintf(" ×%v", s.Width)
	}
	return name
}

// extras are the additions to a training that a network does not show.
func extras(c run.Config) []string {
	t := c.Training
	if t == nil {
		return nil
	}
	var names []string
	for _, e := range []struct {
		name string
		on   bool
	}{
		{"PASTA", t.Augmentation.PASTA != augment.PASTA{}},
		{"consistency", t.Extras.Consistency > 0},
		{"MixStyle", t.Extras.MixStyle > 0},
		{"FDA", t.Augmentation.FDA.Probability > 0},
	} {
		if e.on {
			names = append(names, e.name)
		}
	}
	return names
}

func details(c run.Config) string {
	text := fmt.Sprintf("%s head, output stride %d, %d classes (%s)", c.Network.Head, c.Network.OutputStride, c.Network.Classes, c.Labels.Name)
	if w := c.Whitening; w != nil {
		text += fmt.Sprintf(", whitening weight λ = %v", w.Lambda)
		if w.Clusters > 0 {
			text += fmt.Sprintf(", %d clusters", w.Clusters)
		}
	}
	if names := extras(c); names != nil {
		text += ", trained with " + strings.Join(names, ", ")
	}
	return text
}
