package model

import (
	"math/rand/v2"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// AverageGradients replaces the gradients by their means over all processes, which are those
// of the joined batch. Without a Group it does nothing. Every process calls it, between
// Backward and the optimiser's step.
func (m *Model) AverageGradients(s *torch.Scope) {
	if m.Group == nil {
		return
	}
	s.In(func(s *torch.Scope) {
		var grads []*torch.Tensor
		for _, key := range m.Trained() {
			if g := s.Grad(m.weights[key]); g != nil {
				grads = append(grads, g)
			}
		}
		s.AllReduce(m.Group, grads...)
		for _, g := range grads {
			s.MulInPlace(g, 1/float64(m.Group.World()))
		}
	})
}

// Broadcast gives all processes the weights of the first, so that they begin alike.
func (m *Model) Broadcast(s *torch.Scope) {
	if m.Group == nil {
		return
	}
	var weights []*torch.Tensor
	for _, p := range m.Net.Params() {
		weights = append(weights, m.weights[p.Key])
	}
	s.Broadcast(m.Group, 0, weights...)
}

// MeanOfRanks returns the means of numbers over all processes, such as of losses that are to
// be shown: those of the joined batch. Without a Group they are the numbers themselves.
func (m *Model) MeanOfRanks(s *torch.Scope, values ...float64) []float64 {
	if m.Group == nil {
		return values
	}
	var means []float64
	s.In(func(s *torch.Scope) {
		t := s.FromFloat64(values, len(values))
		s.AllReduce(m.Group, t)
		s.MulInPlace(t, 1/float64(m.Group.World()))
		means = s.Float64s(t)
	})
	return means
}

// MergeSensitivities makes averages those over the pictures of all processes, so that all
// select the same masks.
func (m *Model) MergeSensitivities(s *torch.Scope, averages []*whiten.Sensitivity) error {
	if m.Group == nil {
		return nil
	}
	for _, a := range averages {
		var sum []float32
		var pictures int64
		s.In(func(s *torch.Scope) {
			own, n := a.Sum()
			sums, count := s.FromFloat32(own, len(own)), s.FromInt64([]int64{int64(n)}, 1)
			s.AllReduce(m.Group, sums, count)
			if sum = s.Float32s(sums); s.Err() == nil {
				pictures = s.Int64s(count)[0]
			}
		})
		if s.Err() != nil {
			return s.Err()
		}
		if err := a.SetSum(sum, int(pictures)); err != nil {
			return err
		}
	}
	return s.Err()
}

// batchNorm is batch normalisation in training with the statistics of all processes' batches
// together. Like PyTorch's SyncBatchNorm it moves the running variance towards the unbiased
// one of all of them.
func (p *pass) batchNorm(n nn.Node, x *torch.Tensor) *torch.Tensor {
	var y *torch.Tensor
	p.s.In(func(s *torch.Scope) {
		c := x.Dim(1)
		own := float64(x.Numel() / max(c, 1))
		sums := s.Concat(0, s.SumDims(x, false, 0, 2, 3), s.Full(x.DType(), own, 1))
		sums = s.AllReduceSum(p.Group, sums)
		count := s.Call("detach", s.Narrow(sums, 0, c, 1))
		mean := s.Div(s.Narrow(sums, 0, 0, c), count)
		// The variance is of what is left without the mean: the difference of the mean of the
		// squares and the square of the mean would have lost its digits.
		centred := s.Sub(x, s.Reshape(mean, 1, c, 1, 1))
		squares := s.AllReduceSum(p.Group, s.SumDims(s.Mul(centred, centred), false, 0, 2, 3))
		variance := s.Div(squares, count)
		s.NoGrad(func(s *torch.Scope) {
			unbiased := s.Div(squares, s.AddScalar(count, -1))
			for _, r := range []struct {
				name  string
				batch *torch.Tensor
			}{{"running_mean", mean}, {"running_var", unbiased}} {
				running := p.param(n, r.name)
				s.MulInPlace(running, 1-batchNormMomentum)
				s.AddInPlace(running, r.batch, batchNormMomentum)
			}
		})
		scale := s.Mul(p.param(n, "weight"), s.Call("rsqrt", s.AddScalar(variance, nn.NormEps)))
		scaled := s.Mul(centred, s.Reshape(scale, 1, c, 1, 1))
		y = s.Return(s.Add(scaled, s.Reshape(p.param(n, "bias"), 1, c, 1, 1)))
	})
	return y
}

// dropChannels zeroes whole channels of x [B, C, H, W] with the probability DropChannels and
// scales the rest by 1/(1-p). What is dropped depends on StepSeed and on the picture's place
// in the joined batch, of which this process has the rank-th part.
func (p *pass) dropChannels(x *torch.Tensor) *torch.Tensor {
	if p.mode != Training || p.DropChannels == 0 {
		return p.s.FeatureDropout(x, 0, false)
	}
	const stream = 1 << 32 // apart from other random numbers of the step
	b, c := x.Dim(0), x.Dim(1)
	part, rank, world := b/max(p.views, 1), 0, 1 // pictures of a view
	if p.Group != nil {
		rank, world = p.Group.Rank(), p.Group.World()
	}
	keep := make([]float32, 0, b*c)
	for i := range b {
		picture := i/part*part*world + rank*part + i%part
		rng := rand.New(rand.NewPCG(p.StepSeed, stream+uint64(picture)))
		for range c {
			scale := float32(0)
			if rng.Float64() >= p.DropChannels {
				scale = float32(1 / (1 - p.DropChannels))
			}
			keep = append(keep, scale)
		}
	}
	return p.s.Mul(x, p.s.FromFloat32(keep, b, c, 1, 1))
}
