package extra

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robustnet-edge/robustnet/train/torch"
)

const (
	// betaShape is both parameters of the distribution of the shares, as published: most
	// pictures keep their style, or take nearly all of another's.
	betaShape = 0.1
	// styleEps is added to variances, as published.
	styleEps = 1e-6
)

// Mix says whose style each picture of a batch takes, and how much of it.
type Mix struct {
	// Partner is the picture whose style is mixed in.
	Partner []int
	// Keep is the share, 0 to 1, of its own style that each picture keeps.
	Keep []float32
}

// DrawMix draws a mix for a batch of n pictures: partners are a permutation, shares are of the
// distribution Beta(0.1, 0.1). With probability 1 − p it is nil, and styles stay.
func DrawMix(rng *rand.Rand, n int, p float64) *Mix {
	if rng.Float64() >= p {
		return nil
	}
	m := &Mix{Partner: rng.Perm(n), Keep: make([]float32, n)}
	for i := range m.Keep {
		m.Keep[i] = float32(symmetricBeta(rng, betaShape))
	}
	return m
}

// symmetricBeta draws a number of the distribution Beta(a, a), for a up to 1, by Jöhnk's
// method.
func symmetricBeta(rng *rand.Rand, a float64) float64 {
	for {
		x, y := math.Pow(rng.Float64(), 1/a), math.Pow(rng.Float64(), 1/a)
		if sum := x + y; sum > 0 && sum <= 1 {
			return x / sum
		}
	}
}

// MixStyle gives features x [B, C, H, W] the styles of a mix: each picture's mean μ and
// deviation σ of each channel become k·μ + (1 − k)·μ' and k·σ + (1 − k)·σ', where k is the
// share it keeps and μ', σ' are its partner's (Zhou et al., "Domain Generalization with
// MixStyle", ICLR 2021, equations 3 to 6). The statistics count as constants: no gradient
// flows through them. Without a mix it returns x.
//
// An instance norm without a nonlinearity before it takes the change back. Another number of
// pictures, or a single pixel, which has no variance, is a failure of s.
func MixStyle(s *torch.Scope, x *torch.Tensor, m *Mix) (mixed *torch.Tensor) {
	if m == nil || s.Err() != nil {
		return x
	}
	if x == nil || len(x.Shape()) != 4 || x.Dim(0) != len(m.Partner) || x.Dim(0) != len(m.Keep) || x.Dim(2)*x.Dim(3) < 2 {
		s.Fail(fmt.Errorf("mix the styles of features %v by a mix of %d pictures: want as many in [B, C, H, W], of 2 pixels or more", x.Shape(), len(m.Partner)))
		return nil
	}
	s.In(func(s *torch.Scope) {
		var scale, shift *torch.Tensor
		s.NoGrad(func(s *torch.Scope) {
			scale, shift = m.affine(s, x)
			s.Return(scale)
			s.Return(shift)
		})
		mixed = s.Return(s.Add(s.Mul(x, scale), shift))
	})
	return mixed
}

// affine returns the scale and shift [B, C, 1, 1] that change the styles of x.
func (m *Mix) affine(s *torch.Scope, x *torch.Tensor) (scale, shift *torch.Tensor) {
	n := len(m.Partner)
	partner := make([]int64, n)
	for i, p := range m.Partner {
		partner[i] = int64(p)
	}
	mean := s.MeanDims(x, true, 2, 3)
	const unbiased, keepDims = true, true
	deviation := s.Sqrt(s.AddScalar(s.Call("var.dim", x, []int{2, 3}, unbiased, keepDims), styleEps))
	order := s.FromInt64(partner, n)
	keep := s.To(s.FromFloat32(m.Keep, n, 1, 1, 1), x.DType())
	mix := func(own *torch.Tensor) *torch.Tensor {
		other := s.Call("index_select", own, 0, order)
		return s.Add(other, s.Mul(keep, s.Sub(own, other)))
	}
	scale = s.Div(mix(deviation), deviation)
	return scale, s.Sub(mix(mean), s.Mul(mean, scale))
}
