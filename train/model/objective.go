package model

import (
	"errors"
	"fmt"

	"github.com/robustnet-edge/robustnet/train/extra"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// IgnoredLabel marks pixels that count for nothing.
const IgnoredLabel = 255

// Objective is what training minimises: CE + AuxWeight·CE of the auxiliary head +
// WhitenWeight·(mean of the penalties) + Consistency·(divergence of two views).
type Objective struct {
	// AuxWeight is 0.4 in the published recipe.
	AuxWeight float64
	// WhitenWeight is the published code's wt_reg_weight, the paper's λ.
	WhitenWeight float64
	// Penalties has one entry for each of the network's collected taps, in their order, or
	// is empty while whitening is not penalised yet.
	Penalties []whiten.Penalty
	// Consistency weighs the divergence of the predictions for two views, see
	// [extra.Consistency]; 0 does without.
	Consistency float64
}

// NewObjective returns the published objective for a network: each layer that is subject to a
// whitening loss is penalised over all covariances (IW), with a margin (IRW), in groups (GIW)
// or over the ones of its mask (ISW). Masks are by the names of the taps. The penalties'
// tensors belong to s.
func NewObjective(s *torch.Scope, net *nn.Network, w whiten.Settings, masks map[string]whiten.Mask) (Objective, error) {
	o := Objective{AuxWeight: 0.4, WhitenWeight: w.Lambda}
	for _, tap := range net.Collected() {
		mask, margin := whiten.AllPairs(tap.Channels), 0
		switch {
		case tap.Norm == nn.SelectiveWhitening:
			var ok bool
			if mask, ok = masks[tap.Name]; !ok {
				return Objective{}, fmt.Errorf("whiten %s selectively: it has no mask; select masks first", tap.Name)
			}
		case w.Groups > 1:
			p, err := whiten.GroupPenalty(s, tap.Channels, w.Groups)
			if err != nil {
				return Objective{}, fmt.Errorf("%s: %w", tap.Name, err)
			}
			o.Penalties = append(o.Penalties, p)
			continue
		default:
			margin = mask.Margin(w.RelaxDenom)
		}
		o.Penalties = append(o.Penalties, mask.Penalty(s, margin))
	}
	return o, s.Err()
}

// Losses are the terms of the objective for one batch, scalars.
type Losses struct {
	CE, Aux *torch.Tensor
	// Whitening is the mean of Layers; nil without penalties.
	Whitening *torch.Tensor
	Layers    []*torch.Tensor
	// Consistency is nil where it is not asked for.
	Consistency *torch.Tensor
	Total       *torch.Tensor
}

// Losses runs a forward pass in training mode over normalised pictures x [B, 3, H, W] and
// compares it with labels [B, H, W] of int64: class ids, or IgnoredLabel. Other labels are an
// error on the CPU and the end of the process on a GPU. Cross-entropy is the mean over the
// pixels that are not ignored, and 0 where all are. With penalties it also returns the
// features that they are about.
//
// Styled, unless nil, shows the pictures of x in another style. Then all terms are about both
// views, in one batch of 2·B with the same labels; consistency needs it.
func (m *Model) Losses(s *torch.Scope, x, styled, labels *torch.Tensor, o Objective) (Losses, []*torch.Tensor) {
	taps := m.Net.Collected()
	if len(o.Penalties) != 0 && len(o.Penalties) != len(taps) {
		s.Fail(fmt.Errorf("whitening loss: %d penalties for %d whitened layers", len(o.Penalties), len(taps)))
		return Losses{}, nil
	}
	if o.Consistency > 0 && styled == nil {
		s.Fail(errors.New("consistency: there is no second view of the pictures"))
		return Losses{}, nil
	}
	if styled != nil {
		x, labels = s.Concat(0, x, styled), s.Concat(0, labels, labels)
		m.views = 2
		defer func() { m.views = 0 }()
	}
	nodes := []int{m.Net.Logits, m.Net.Aux}
	for _, t := range taps[:len(o.Penalties)] {
		nodes = append(nodes, t.After)
	}
	out := m.Forward(s, x, Training, nodes...)
	logits, aux, features := out[0], out[1], out[2:]

	l := Losses{
		CE:  m.crossEntropy(s, logits, labels),
		Aux: m.crossEntropy(s, aux, shrinkLabels(s, labels, aux)),
	}
	l.Total = s.Add(l.CE, s.MulScalar(l.Aux, o.AuxWeight))
	if o.Consistency > 0 {
		b := logits.Dim(0) / 2
		l.Consistency = extra.Consistency(s, s.Narrow(logits, 0, 0, b), s.Narrow(logits, 0, b, b))
		l.Total = s.Add(l.Total, s.MulScalar(l.Consistency, o.Consistency))
	}
	s.Free(logits, aux)
	for i, p := range o.Penalties {
		l.Layers = append(l.Layers, p.Of(s, features[i]))
		if i == 0 {
			l.Whitening = l.Layers[0]
		} else {
			l.Whitening = s.Add(l.Whitening, l.Layers[i])
		}
	}
	if l.Whitening != nil {
		l.Whitening = s.Call("div.Scalar", l.Whitening, len(l.Layers))
		l.Total = s.Add(l.Total, s.MulScalar(l.Whitening, o.WhitenWeight))
	}
	return l, features
}

// crossEntropy is the mean over the pixels that are not ignored. PyTorch's is 0/0 where all
// are, which would ruin the weights for good.
func (m *Model) crossEntropy(s *torch.Scope, logits, labels *torch.Tensor) *torch.Tensor {
	if m.Literal && m.Group == nil {
		return s.CrossEntropy(logits, labels, IgnoredLabel)
	}
	const reduceBySum = 2
	sum := s.Call("cross_entropy_loss", logits, labels, nil, reduceBySum, IgnoredLabel)
	count := s.Sum(s.Call("ne.Scalar", labels, IgnoredLabel))
	if m.Group != nil {
		sum = s.MulScalar(sum, float64(m.Group.World()))
		s.AllReduce(m.Group, count)
	}
	return s.Div(sum, s.ClampMin(count, 1))
}

// shrinkLabels scales labels [B, H, W] to the size of like by nearest neighbour.
func shrinkLabels(s *torch.Scope, labels, like *torch.Tensor) *torch.Tensor {
	b, h, w := labels.Dim(0), labels.Dim(1), labels.Dim(2)
	small := s.Call("upsample_nearest2d", s.To(s.Reshape(labels, b, 1, h, w), torch.Float32), []int{like.Dim(2), like.Dim(3)})
	return s.To(s.Reshape(small, b, like.Dim(2), like.Dim(3)), torch.Int64)
}
