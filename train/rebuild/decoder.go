package rebuild

import (
	"math"
	"math/rand/v2"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// Decoder is the expanding half of a U-Net (Ronneberger et al., MICCAI 2015) whose contracting
// half is the network that the features come from. It has no norms, which would hide what the
// features know of colours.
type Decoder struct {
	features Features
	// levels read the features of the same place, and what the level below has made.
	levels []conv
	// finish works at the picture's size, and paint makes colours of it.
	finish, paint conv
}

const finishChannels = 24

// levelChannels returns the number of output channels of a level, 0 being the shallowest.
func levelChannels(level int) int { return min(32<<level, 128) }

// NewDecoder returns a fresh decoder. Its weights belong to s.
func NewDecoder(s *torch.Scope, f Features, seed uint64) *Decoder {
	rng := rand.New(rand.NewPCG(seed, 0x6465636f6465))
	d := &Decoder{features: f}
	deepest := len(f.channels) - 1
	for level, channels := range f.channels {
		if level < deepest {
			channels += levelChannels(level + 1)
		}
		d.levels = append(d.levels, newConv(s, rng, channels, levelChannels(level)))
	}
	d.finish = newConv(s, rng, levelChannels(0), finishChannels)
	d.paint = newConv(s, rng, finishChannels, 3)
	return d
}

// decode returns pictures [B, 3, height, width], normalised, from their features.
func (d *Decoder) decode(s *torch.Scope, features []*torch.Tensor, height, width int) (y *torch.Tensor) {
	s.In(func(s *torch.Scope) {
		for level := len(features) - 1; level >= 0; level-- {
			x := features[level]
			if y != nil {
				x = s.Concat(1, s.ResizeBilinear(y, x.Dim(2), x.Dim(3)), x)
			}
			y = s.ReLU(d.levels[level].apply(s, x))
		}
		y = s.ReLU(d.finish.apply(s, s.ResizeBilinear(y, height, width)))
		y = s.Return(d.paint.apply(s, y))
	})
	return y
}

func (d *Decoder) params() []*torch.Tensor {
	var all []*torch.Tensor
	for _, c := range append(d.levels[:len(d.levels):len(d.levels)], d.finish, d.paint) {
		all = append(all, c.weight, c.bias)
	}
	return all
}

// conv is a 3×3 convolution that keeps the size.
type conv struct{ weight, bias *torch.Tensor }

// newConv draws weights from He et al.'s normal distribution; biases are 0.
func newConv(s *torch.Scope, rng *rand.Rand, in, out int) conv {
	weights := make([]float32, out*in*9)
	deviation := math.Sqrt(2 / float64(in*9))
	for i := range weights {
		weights[i] = float32(deviation * rng.NormFloat64())
	}
	return conv{
		weight: s.RequireGrad(s.FromFloat32(weights, out, in, 3, 3)),
		bias:   s.RequireGrad(s.Zeros(torch.Float32, out)),
	}
}

func (c conv) apply(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Conv2D(x, c.weight, c.bias, torch.Conv{Padding: [2]int{1, 1}})
}

// adam is the optimiser of Kingma and Ba, "Adam: A Method for Stochastic Optimization" (ICLR
// 2015), algorithm 1, with their settings.
type adam struct {
	params, first, second []*torch.Tensor
	steps                 int
}

func newAdam(s *torch.Scope, params []*torch.Tensor) *adam {
	a := &adam{params: params}
	for _, p := range params {
		a.first = append(a.first, s.Zeros(p.DType(), p.Shape()...))
		a.second = append(a.second, s.Zeros(p.DType(), p.Shape()...))
	}
	return a
}

// step updates the parameters from their gradients, which it uses up.
func (a *adam) step(s *torch.Scope, rate float64) {
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	a.steps++
	scale1, scale2 := 1-math.Pow(beta1, float64(a.steps)), 1-math.Pow(beta2, float64(a.steps))
	s.NoGrad(func(s *torch.Scope) {
		for i, p := range a.params {
			g := s.Grad(p)
			if g == nil {
				continue
			}
			s.MulInPlace(a.first[i], beta1)
			s.AddInPlace(a.first[i], g, 1-beta1)
			s.MulInPlace(a.second[i], beta2)
			s.AddInPlace(a.second[i], s.Mul(g, g), 1-beta2)
			deviation := s.AddScalar(s.Sqrt(s.MulScalar(a.second[i], 1/scale2)), eps)
			s.AddInPlace(p, s.Div(a.first[i], deviation), -rate/scale1)
		}
		s.ZeroGrad(a.params...)
	})
}
