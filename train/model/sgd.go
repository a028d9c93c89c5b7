package model

import "github.com/robustnet-edge/robustnet/train/torch"

// SGD is stochastic gradient descent with momentum as PyTorch defines it, without dampening
// or Nesterov's variant: v ← Momentum·v + g + WeightDecay·p, then p ← p − lr·v. Weight decay
// applies to every parameter, those of norms included, as published.
type SGD struct {
	Momentum, WeightDecay float64

	params, velocity []*torch.Tensor
}

// NewSGD returns an optimiser of all parameters of m with the published momentum of 0.9 and
// weight decay of 5e-4. Its memory belongs to s.
func NewSGD(s *torch.Scope, m *Model) *SGD {
	o := &SGD{Momentum: 0.9, WeightDecay: 5e-4}
	for _, key := range m.Trained() {
		p := m.weights[key]
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
