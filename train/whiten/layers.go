package whiten

import (
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Switchable is Switchable Whitening of type BW + IW (Pan et al., ICCV 2019): each group of
// channels is whitened with a mixture of the batch's statistics and the picture's own.
type Switchable struct {
	// MeanWeight and CovWeight [2] mix batch and instance statistics after a softmax.
	MeanWeight, CovWeight *torch.Tensor
	// RunningMean [g, c, 1] and RunningCov [g, c, c] stand for the batch's in inference.
	// Training moves them by 1 % towards the batch's.
	RunningMean, RunningCov *torch.Tensor
	// Group, if not nil, are the processes whose batches together make up the statistics.
	Group *torch.Group
}

// Apply whitens x [B, g·c, H, W].
func (w Switchable) Apply(s *torch.Scope, x *torch.Tensor, training bool) *torch.Tensor {
	b, g, c := x.Dim(0), w.RunningMean.Dim(0), w.RunningMean.Dim(1)
	n := x.Dim(2) * x.Dim(3)
	batchMean, batchCov := w.RunningMean, w.RunningCov
	if training {
		batchMean, batchCov = statistics(s, byGroup(s, x, g), w.Group)
		follow(s, w.RunningMean, batchMean, 0.01)
		follow(s, w.RunningCov, batchCov, 0.01)
	}
	own := s.Reshape(x, b*g, c, n)
	mean, cov := statistics(s, own, nil)
	mean = mix(s, w.MeanWeight, perPicture(s, batchMean, b), mean)
	cov = mix(s, w.CovWeight, perPicture(s, batchCov, b), cov)
	cov = s.Add(cov, s.MulScalar(s.Eye(c, x.DType()), eps))
	white := s.BatchMatMul(inverseSquareRoot(s, cov), s.Sub(own, mean))
	return s.Reshape(white, x.Shape()...)
}

// mix weighs two tensors by the softmax of weight [2].
func mix(s *torch.Scope, weight, a, b *torch.Tensor) *torch.Tensor {
	share := s.Softmax(weight, 0)
	return s.Add(s.Mul(a, s.Narrow(share, 0, 0, 1)), s.Mul(b, s.Narrow(share, 0, 1, 1)))
}

// perPicture repeats statistics [g, …] of the batch for each of b pictures: [b·g, …].
func perPicture(s *torch.Scope, t *torch.Tensor, b int) *torch.Tensor {
	all := make([]*torch.Tensor, b)
	for i := range all {
		all[i] = t
	}
	return s.Concat(0, all...)
}

// Iterative is IterNorm (Huang et al., CVPR 2019): each group of channels is whitened with
// the batch's statistics, the inverse square root by Newton's iteration.
type Iterative struct {
	// RunningMean [g, c, 1] and RunningWhitener [g, c, c] are used in inference. Training
	// moves them by 10 % towards the batch's.
	RunningMean, RunningWhitener *torch.Tensor
	// Group, if not nil, are the processes whose batches together make up the statistics.
	Group *torch.Group
}

// Apply whitens x [B, g·c, H, W].
func (w Iterative) Apply(s *torch.Scope, x *torch.Tensor, training bool) *torch.Tensor {
	g, c := w.RunningMean.Dim(0), w.RunningMean.Dim(1)
	groups := byGroup(s, x, g)
	mean, whitener := w.RunningMean, w.RunningWhitener
	if training {
		var cov *torch.Tensor
		mean, cov = statistics(s, groups, w.Group)
		whitener = inverseSquareRoot(s, s.Add(cov, s.MulScalar(s.Eye(c, x.DType()), eps)))
		follow(s, w.RunningMean, mean, 0.1)
		follow(s, w.RunningWhitener, whitener, 0.1)
	}
	white := s.BatchMatMul(whitener, s.Sub(groups, mean))
	white = s.Reshape(white, g*c, x.Dim(0), x.Dim(2), x.Dim(3))
	return s.Transpose(white, 0, 1)
}

// byGroup lays x [B, g·c, H, W] out as [g, c, B·H·W].
func byGroup(s *torch.Scope, x *torch.Tensor, g int) *torch.Tensor {
	return s.Reshape(s.Transpose(x, 0, 1), g, x.Dim(1)/max(g, 1), x.Dim(0)*x.Dim(2)*x.Dim(3))
}

// statistics returns the mean [g, c, 1] and the biased covariance [g, c, c] of x [g, c, n],
// or, with a group, of the x of all its members together, which have the same shape.
func statistics(s *torch.Scope, x *torch.Tensor, group *torch.Group) (mean, cov *torch.Tensor) {
	mean = meanOverRanks(s, s.MeanDims(x, true, 2), group)
	centred := s.Sub(x, mean)
	cov = s.BatchMatMul(centred, s.Transpose(centred, 1, 2))
	return mean, meanOverRanks(s, s.MulScalar(cov, 1/float64(max(x.Dim(2), 1))), group)
}

// meanOverRanks returns the mean over the members of a group; without one, x.
func meanOverRanks(s *torch.Scope, x *torch.Tensor, group *torch.Group) *torch.Tensor {
	if group == nil {
		return x
	}
	return s.MulScalar(s.AllReduceSum(group, x), 1/float64(group.World()))
}

// follow moves running statistics towards the batch's.
func follow(s *torch.Scope, running, batch *torch.Tensor, share float64) {
	s.NoGrad(func(s *torch.Scope) {
		s.MulInPlace(running, 1-share)
		s.AddInPlace(running, batch, share)
	})
}

// inverseSquareRoot returns cov^(−1/2) [g, c, c] of positive definite matrices by Newton's
// iteration on the matrix divided by its trace.
func inverseSquareRoot(s *torch.Scope, cov *torch.Tensor) *torch.Tensor {
	c := cov.Dim(1)
	eye := s.Eye(c, cov.DType())
	trace := s.SumDims(s.Mul(cov, eye), true, 1, 2)
	normal := s.Div(cov, trace)
	p := s.Expand(eye, cov.Dim(0), c, c)
	for range nn.NewtonSteps {
		cube := s.BatchMatMul(s.BatchMatMul(p, p), p)
		p = s.BatchMatMulAdd(p, cube, normal, 1.5, -0.5)
	}
	return s.Div(p, s.Sqrt(trace))
}
