package whiten

import (
	"fmt"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// eps is what the paper's code adds to variances and to the diagonal of covariances.
const eps = 1e-5

// Covariance returns the covariance of the channels of each picture [B, C, C] of features
// x [B, C, H, W] that an instance norm has centred: x̂ x̂ᵀ / (HW − 1) + 1e-5·I, as in the
// published code.
func Covariance(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return covariance(s, x, 1) }

// covariance treats each group of channels by itself: [B·groups, C/groups, C/groups].
func covariance(s *torch.Scope, x *torch.Tensor, groups int) *torch.Tensor {
	b, c, n := x.Dim(0)*groups, x.Dim(1)/groups, x.Dim(2)*x.Dim(3)
	flat := s.Reshape(x, b, c, n)
	product := s.BatchMatMul(flat, s.Transpose(flat, 1, 2))
	return s.Add(s.Call("div.Scalar", product, max(n-1, 1)), s.MulScalar(s.Eye(c, x.DType()), eps))
}

// Penalty is the whitening loss of one layer: for each picture the absolute covariances that
// the mask selects are summed, the margin is taken off, and the rest, if positive, is divided
// by the count; the loss is the mean over the pictures. With all covariances above the diagonal it is
// the paper's IW, with a margin IRW, with selected ones ISW.
type Penalty struct {
	// Mask is 1 where a covariance is penalised: [c, c] with c channels in a group.
	Mask *torch.Tensor
	// Groups divides the channels; covariances between groups are left alone.
	Groups int
	// Margin is the sum that is not penalised.
	Margin float64
	// Count is the number of penalised covariances.
	Count float64
}

// Of returns the penalty, a scalar, of features x [B, C, H, W] behind an instance norm.
func (p Penalty) Of(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	if p.Groups < 1 || !(p.Count > 0) {
		s.Fail(fmt.Errorf("whitening loss over %v covariances in %d groups: there is nothing to penalise", p.Count, p.Groups))
		return nil
	}
	cov := covariance(s, x, p.Groups)
	sum := s.SumDims(s.Abs(s.Mul(cov, p.Mask)), false, 1, 2)
	sum = s.SumDims(s.Reshape(sum, x.Dim(0), p.Groups), false, 1)
	penalty := s.ClampMin(s.Call("div.Scalar", s.AddScalar(sum, -p.Margin), p.Count), 0)
	return s.Call("div.Scalar", s.Sum(penalty), x.Dim(0))
}

// Penalty returns the loss over the mask's covariances, of which the sum up to margin is
// free. The mask's tensor belongs to s.
func (m Mask) Penalty(s *torch.Scope, margin int) Penalty {
	mask := s.To(s.FromUint8(m.entries, m.channels, m.channels), torch.Float32)
	return Penalty{Mask: mask, Groups: 1, Margin: float64(margin), Count: float64(m.ones)}
}

// GroupPenalty returns the loss over all covariances between channels of the same of several
// groups, as in group-wise whitening (GDWCT, Cho et al., CVPR 2019). The mask's tensor belongs
// to s. An error means that the groups do not divide the channels, or have one channel each.
func GroupPenalty(s *torch.Scope, channels, groups int) (Penalty, error) {
	if groups < 1 || channels%groups != 0 || channels/groups < 2 {
		return Penalty{}, fmt.Errorf("whiten %d channels in %d groups: choose a number of groups that divides them and leaves 2 channels or more to each", channels, groups)
	}
	p := AllPairs(channels/groups).Penalty(s, 0)
	p.Groups, p.Count = groups, p.Count*float64(groups)
	return p, nil
}
