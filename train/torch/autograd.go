package torch

// RequireGrad makes a tensor of floats a leaf that [Scope.Backward] computes a gradient for,
// and returns it.
func (s *Scope) RequireGrad(t *Tensor) *Tensor {
	s.onTensor("RequireGrad", t, s.run.failure.requireGrad)
	return t
}

// Backward adds the gradients of a tensor of one element to those of the leaves it was
// computed from, and forgets how it was computed.
func (s *Scope) Backward(loss *Tensor) {
	s.onTensor("Backward", loss, s.run.failure.backward)
}

// Grad returns the gradient that Backward left; nil if there is none.
func (s *Scope) Grad(t *Tensor) *Tensor {
	var grad *Tensor
	s.onTensor("Grad", t, func(handle int64) error {
		_, err := s.run.failure.grad(handle, s.run.results)
		if err == nil {
			grad, _ = s.adopt(s.run.results)
		}
		return err
	})
	return grad
}

// ZeroGrad forgets the gradients of tensors.
func (s *Scope) ZeroGrad(ts ...*Tensor) {
	if !s.ready("ZeroGrad") {
		return
	}
	handles := s.run.args[:0]
	for _, t := range ts {
		h, err := s.given(t)
		if err != nil {
			s.fail("ZeroGrad", []any{t}, err)
			return
		}
		handles = append(handles, h)
	}
	s.run.args = handles
	s.fail("ZeroGrad", []any{ts}, s.run.failure.clearGrads(handles))
}

// onTensor calls one of the shim's functions.
func (s *Scope) onTensor(op string, t *Tensor, f func(handle int64) error) {
	if !s.ready(op) {
		return
	}
	handle, err := s.given(t)
	if err == nil {
		err = f(handle)
	}
	s.fail(op, []any{t}, err)
}
