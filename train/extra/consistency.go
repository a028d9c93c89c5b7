package extra

import (
	"fmt"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// Consistency returns the mean over all pixels of the Jensen-Shannon divergence between the
// class probabilities of two views of the same pictures, in nats: 0 where they agree, ln 2 at
// most. The views are logits [B, C, H, W] of one shape, and both get a gradient. It is the
// style consistency of SHADE (Zhao et al., "Style-Hallucinated Dual Consistency Learning for
// Domain Generalized Semantic Segmentation", ECCV 2022): with m = (p + q) / 2,
//
//	JSD = (KL(p ‖ m) + KL(q ‖ m)) / 2.
//
// Pixels without a label count, too, for none is needed. Other shapes are a failure of s.
func Consistency(s *torch.Scope, a, b *torch.Tensor) (divergence *torch.Tensor) {
	if s.Err() != nil {
		return nil
	}
	shape := a.Shape()
	if len(shape) != 4 || a.Numel() == 0 || !slices.Equal(shape, b.Shape()) {
		s.Fail(fmt.Errorf("consistency of logits %v and %v: want one shape [B, C, H, W] that is not empty", shape, b.Shape()))
		return nil
	}
	s.In(func(s *torch.Scope) {
		// In logarithms, for a probability may be too small for a float32.
		logP, logQ := s.Call("log_softmax.int", a, 1), s.Call("log_softmax.int", b, 1)
		logM := s.AddScalar(s.Call("logaddexp", logP, logQ), -math.Ln2)
		sum := s.Add(
			s.Sum(s.Mul(s.Call("exp", logP), s.Sub(logP, logM))),
			s.Sum(s.Mul(s.Call("exp", logQ), s.Sub(logQ, logM))))
		pixels := shape[0] * shape[2] * shape[3]
		divergence = s.Return(s.MulScalar(sum, 0.5/float64(pixels)))
	})
	return divergence
}
