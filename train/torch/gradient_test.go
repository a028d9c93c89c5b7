package torch_test

import (
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// chain is a small network with most kinds of layers, and its leaves.
type chain struct{ x, kernel, scale, shift, head *torch.Tensor }

func newChain(s *torch.Scope) chain {
	return chain{
		x:      s.RequireGrad(ramp(s, 2, 2, 4, 4)),
		kernel: s.RequireGrad(ramp(s, 3, 2, 3, 3)),
		scale:  s.RequireGrad(s.FromFloat32([]float32{1, 2, .5}, 3)),
		shift:  s.RequireGrad(s.FromFloat32([]float32{0, .5, -.5}, 3)),
		head:   s.RequireGrad(ramp(s, 2, 3, 1, 1)),
	}
}

func (c chain) loss(s *torch.Scope) *torch.Tensor {
	labels := s.FromInt64([]int64{0, 1, 1, 255, 1, 0, 0, 1}, 2, 2, 2)
	y := s.Conv2D(c.x, c.kernel, nil, torch.Conv{Padding: [2]int{1, 1}})
	y = s.BatchNorm(y, c.scale, c.shift, s.Zeros(torch.Float32, 3), s.Ones(torch.Float32, 3), true, .1, 1e-5)
	y = s.ReLU6InPlace(y)
	y = s.InstanceNorm(y, nil, nil, 1e-5)
	y = s.MaxPool2D(y, 2, 2, 0)
	y = s.Conv2D(y, c.head, nil, torch.Conv{})
	task := s.CrossEntropy(y, labels, 255)
	x := s.Reshape(c.x, 2, 2, 16)
	covariance := s.MulScalar(s.BatchMatMul(x, s.Transpose(x, 1, 2)), 1./15)
	return s.Add(task, s.Mean(s.Abs(covariance)))
}

// The values are from the same network in Python's torch 1.13.1.
func TestGradients(t *testing.T) {
	run(t, func(s *torch.Scope) {
		c := newChain(s)
		loss := c.loss(s)
		near(t, "loss", s, loss, []int{}, []float64{1.261234})
		if g := s.Grad(c.kernel); g != nil {
			t.Errorf("gradient before Backward: %v", s.Float32s(g))
		}
		s.Backward(loss)
		nearGradient := func(what string, leaf *torch.Tensor, want ...float64) {
			t.Helper()
			for i, got := range s.Float64s(s.Grad(leaf))[:len(want)] {
				// Sums of 32 terms near 1 in float32.
				if math.Abs(got-want[i]) > 4e-6 {
					t.Errorf("gradient of the %s at %d: %.7g, want %.7g", what, i, got, want[i])
				}
			}
		}
		nearGradient("picture", c.x, -0.03115567, 0.04657558, -0.04729518, 0.006099152, 0.04726693, 0.006008788, -0.05255312, 0.01704731,
			0.005751907, -0.004952687, -0.01349623, -0.0007192465, 0.05667365, -0.02661732, -0.005883366, 0.04062387)
		nearGradient("kernel", c.kernel, -0.03506801, 0.00908174, -0.01510229, 0.008067629, -0.03362275, 0.0190548, -0.001668117, 0.02817622, 0.01602122,
			0.009259517, -0.005503148, 0.01861318, 0.01959135, 0.01778631, -0.0241008, -0.0001430862, -0.03306353, 0.02746782)
		nearGradient("scale", c.scale, 1.647935e-06, 0.003715061, -0.1751589)
		nearGradient("shift", c.shift, 0.01783174, -0.0148587, -0.1755291)
		nearGradient("head", c.head, 0.1525304, 0.6243784, 0.3558578, -0.1525304, -0.6243784, -0.3558578)
	})
}

func TestGradientsAddUpUntilZeroGrad(t *testing.T) {
	run(t, func(s *torch.Scope) {
		w := s.RequireGrad(s.FromFloat32([]float32{2, 3}, 2))
		for range 2 {
			s.Backward(s.Sum(s.Mul(w, w)))
		}
		near(t, "twice", s, s.Grad(w), []int{2}, []float64{8, 12})
		s.ZeroGrad(w)
		if s.Grad(w) != nil {
			t.Error("there is a gradient after ZeroGrad")
		}
		s.Backward(s.Sum(w))
		near(t, "afterwards", s, s.Grad(w), []int{2}, []float64{1, 1})
	})
}

// A step of gradient descent changes a leaf that Backward then uses again.
func TestDescent(t *testing.T) {
	run(t, func(s *torch.Scope) {
		w := s.RequireGrad(s.FromFloat32([]float32{1, -2}, 2))
		for range 3 {
			s.In(func(in *torch.Scope) {
				in.Backward(in.Sum(in.Mul(w, w)))
				in.NoGrad(func(in *torch.Scope) {
					in.AddInPlace(w, in.Grad(w), -.25)
					in.ZeroGrad(w)
				})
			})
		}
		near(t, "weights halved three times", s, w, []int{2}, []float64{.125, -.25})
	})
}

func TestNoGrad(t *testing.T) {
	run(t, func(s *torch.Scope) {
		w := s.RequireGrad(ramp(s, 2))
		var constant *torch.Tensor
		s.NoGrad(func(in *torch.Scope) {
			in.In(func(in *torch.Scope) { constant = s.Sum(w) })
			constant = s.Add(constant, in.Return(in.Sum(w)))
			in.In(func(deeper *torch.Scope) { constant = in.Return(deeper.Return(deeper.Sum(w))) })
		})
		s.Backward(s.Mul(constant, s.Sum(w)))
		near(t, "gradient past a constant of 0.75", s, s.Grad(w), []int{2}, []float64{.75, .75})
	})
	err := runErr(t, func(s *torch.Scope) {
		s.NoGrad(func(in *torch.Scope) { s.Backward(in.Return(in.Sum(in.RequireGrad(ramp(in, 2))))) })
	})
	if err == nil {
		t.Error("Backward through what was not recorded: no error")
	}
}
