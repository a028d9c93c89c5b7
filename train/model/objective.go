package model

import (
	"fmt"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// IgnoredLabel marks pixels that count for nothing.
const IgnoredLabel = 255

// Objective is what training minimises: CE + AuxWeight·CE of the auxiliary head +
// WhitenWeight·(mean of the penalties).
type Objective struct {
	// AuxWeight is 0.4 in the published recipe.
	AuxWeight float64
	// WhitenWeight is the published code's wt_reg_weight, the paper's λ.
	WhitenWeight float64
	// Penalties has one entry for each of the network's collected taps, in their order, or
	// is empty while whitening is not penalised yet.
	Penalties []whiten.Penalty
}

// Losses are the terms of the objective for one batch, scalars.
type Losses struct {
	CE, Aux *torch.Tensor
	// Whitening is the mean of Layers; nil without penalties.
	Whitening *torch.Tensor
	Layers    []*torch.Tensor
	Total     *torch.Tensor
}

// Losses runs a forward pass in training mode over normalised pictures x [B, 3, H, W] and
// compares it with labels [B, H, W] of int64: class ids, or IgnoredLabel. Cross-entropy is
// the mean over the pixels that are not ignored. It also returns the collected features.
func (m *Model) Losses(s *torch.Scope, x, labels *torch.Tensor, o Objective) (Losses, []*torch.Tensor) {
	taps := m.Net.Collected()
	if len(o.Penalties) != 0 && len(o.Penalties) != len(taps) {
		s.Fail(fmt.Errorf("whitening loss: %d penalties for %d whitened layers", len(o.Penalties), len(taps)))
		return Losses{}, nil
	}
	nodes := []int{m.Net.Logits, m.Net.Aux}
	for _, t := range taps {
		nodes = append(nodes, t.After)
	}
	out := m.Forward(s, x, Training, nodes...)
	logits, aux, features := out[0], out[1], out[2:]

	l := Losses{
		CE:  s.CrossEntropy(logits, labels, IgnoredLabel),
		Aux: s.CrossEntropy(aux, shrinkLabels(s, labels, aux), IgnoredLabel),
	}
	s.Free(logits, aux)
	l.Total = s.Add(l.CE, s.MulScalar(l.Aux, o.AuxWeight))
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

// shrinkLabels scales labels [B, H, W] to the size of like by nearest neighbour.
func shrinkLabels(s *torch.Scope, labels, like *torch.Tensor) *torch.Tensor {
	b, h, w := labels.Dim(0), labels.Dim(1), labels.Dim(2)
	small := s.Call("upsample_nearest2d", s.To(s.Reshape(labels, b, 1, h, w), torch.Float32), []int{like.Dim(2), like.Dim(3)})
	return s.To(s.Reshape(small, b, like.Dim(2), like.Dim(3)), torch.Int64)
}
