package conformance

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// training compares the losses of the training steps, the first step's gradients and
// covariances, and the logits after the last.
func (c *check) training() error {
	if len(c.ref.Steps) == 0 {
		return nil
	}
	if err := c.m.Fill(c.s, Weights(c.m.Net)); err != nil {
		return err
	}
	settings := whiten.Settings{Lambda: c.ref.WhitenWeight, RelaxDenom: c.ref.RelaxDenom}
	objective, err := model.NewObjective(c.s, c.m.Net, settings, c.selected)
	if err != nil {
		return err
	}
	labels := c.chooseLabels(objective)
	if err := c.m.Fill(c.s, Weights(c.m.Net)); err != nil {
		return err
	}
	optimiser := model.NewSGD(c.s, c.m)
	for i, want := range c.ref.Steps {
		c.s.In(func(s *torch.Scope) {
			losses, features := c.m.Losses(s, c.input, nil, labels, objective)
			c.losses(s, i, want, losses)
			s.Backward(losses.Total)
			if i == 0 {
				c.covariances(s, features)
				c.gradients(s)
			}
			optimiser.Step(s, learningRate)
		})
	}
	c.finalLogits()
	return nil
}

func (c *check) losses(s *torch.Scope, step int, want Step, got model.Losses) {
	name := func(q string) string { return fmt.Sprintf("step %d %s", step, q) }
	c.number(name("ce"), want.CE, s.Item(got.CE), 0, valueTolerance)
	c.number(name("aux"), want.Aux, s.Item(got.Aux), 0, valueTolerance)
	if got.Whitening != nil {
		c.number(name("whitening"), want.Whitening, s.Item(got.Whitening), 0, valueTolerance)
	}
	c.exact(name("whitened layers"), len(want.WhiteningLayer), len(got.Layers))
	for i, w := range want.WhiteningLayer[:min(len(want.WhiteningLayer), len(got.Layers))] {
		c.number(name(fmt.Sprintf("whitening layer %d", i)), w, s.Item(got.Layers[i]), 0, valueTolerance)
	}
	c.number(name("total"), want.Total, s.Item(got.Total), 0, valueTolerance)
}

func (c *check) covariances(s *torch.Scope, features []*torch.Tensor) {
	s.NoGrad(func(s *torch.Scope) {
		for i, f := range features {
			name := fmt.Sprintf("train_step0_layer%d_covariance", i)
			if want := c.ref.tensor(name); want != nil {
				c.values(name, want, s.Float32s(whiten.Covariance(s, f)), valueTolerance)
			}
		}
	})
}

// gradients compares each parameter's gradient by its norm, its sum and single entries.
func (c *check) gradients(s *torch.Scope) {
	for _, key := range slices.Sorted(maps.Keys(c.ref.Gradients)) {
		want, name := c.ref.Gradients[key], "gradient "+key
		t := c.m.Value(key)
		if t == nil {
			c.exact(name+" (parameter exists)", 1, 0)
			continue
		}
		g := s.Grad(t)
		if want == nil || g == nil {
			c.exact(name+" (exists)", boolToInt(want != nil), boolToInt(g != nil))
			continue
		}
		values := s.Float32s(g)
		sum, squares := 0.0, 0.0
		for _, v := range values {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		c.number(name+" l2", want.L2, math.Sqrt(squares), 0, gradientTolerance)
		c.number(name+" sum", want.Sum, sum, want.L2, gradientTolerance)
		for _, i := range slices.Sorted(maps.Keys(want.At)) {
			ours := math.NaN()
			if i >= 0 && i < len(values) {
				ours = float64(values[i])
			}
			c.number(fmt.Sprintf("%s [%d]", name, i), want.At[i], ours, want.L2, gradientTolerance)
		}
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// finalLogitsName is the tensor of the logits after the training steps.
const finalLogitsName = "eval_logits_image0_after_steps"

// finalLogits compares every fourth row and column of the first picture's logits after the
// training steps.
func (c *check) finalLogits() {
	want := c.ref.tensor(finalLogitsName)
	if want == nil {
		return
	}
	c.s.NoGrad(func(s *torch.Scope) {
		all := s.Float32s(c.m.Forward(s, c.input, model.Inference, c.m.Net.Logits)[0])
		if s.Err() != nil {
			return
		}
		h, w := c.ref.Input[2], c.ref.Input[3]
		var got []float32
		for class := range c.ref.Classes {
			for y := 0; y < h; y += 4 {
				for x := 0; x < w; x += 4 {
					got = append(got, all[(class*h+y)*w+x])
				}
			}
		}
		c.values(finalLogitsName, want, got, valueTolerance)
	})
}
