package model

import (
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// SGD is stochastic gradient descent with momentum as PyTorch defines it, without dampening
// or Nesterov's variant: v ← Momentum·v + g + WeightDecay·p, then p ← p − lr·v. Weight decay
// applies to every parameter, those of norms included, as published.
type SGD struct {
	Momentum, WeightDecay float64

	keys             []string
	params, velocity []*torch.Tensor
}

// NewSGD returns an optimiser of all parameters of m with the published momentum of 0.9 and
// weight decay of 5e-4. Its memory belongs to s.
func NewSGD(s *torch.Scope, m *Model) *SGD {
	o := &SGD{Momentum: 0.9, WeightDecay: 5e-4}
	for _, key := range m.Trained() {
		p := m.weights[key]
		o.keys = append(o.keys, key)
		o.params = append(o.params, p)
		o.velocity = append(o.velocity, s.Zeros(p.DType(), p.Shape()...))
	}
	return o
}

// Step updates the parameters from their gradients, which it uses up: afterwards there are
// none. Parameters without a gradient stay as they are.
func (o *SGD) Step(s *torch.Scope, lr float64) {
	s.NoGrad(func(s *torch.Scope) {
		for i, p := range o.params {
			g := s.Grad(p)
			if g == nil {
				continue
			}
			v := o.velocity[i]
			s.AddInPlace(g, p, o.WeightDecay)
			s.MulInPlace(v, o.Momentum)
			s.AddInPlace(v, g, 1)
			s.AddInPlace(p, v, -lr)
			s.Free(g)
		}
		s.ZeroGrad(o.params...)
	})
}

// State reads the velocities back, by the keys of their parameters.
func (o *SGD) State(s *torch.Scope) (nn.State, error) {
	state := nn.State{}
	for i, v := range o.velocity {
		state[o.keys[i]] = nn.Array{Shape: v.Shape(), Data: s.Float32s(v)}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read velocities: %w", err)
	}
	return state, nil
}

// Fill overwrites the velocities; none at all are zeros.
func (o *SGD) Fill(s *torch.Scope, state nn.State) error {
	if len(state) == 0 {
		return nil
	}
	for i, v := range o.velocity {
		a, ok := state[o.keys[i]]
		if !ok || !slices.Equal(a.Shape, v.Shape()) {
			return fmt.Errorf("set velocities: that of %s has shape %v, not %v; take the checkpoint of this very run", o.keys[i], a.Shape, v.Shape())
		}
		s.Write(v, a.Data)
	}
	return s.Err()
}
