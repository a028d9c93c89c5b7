package model

import (
	"fmt"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// NewSensitivities returns an empty average for each of the network's collected taps.
func (m *Model) NewSensitivities() []*whiten.Sensitivity {
	var all []*whiten.Sensitivity
	for _, tap := range m.Net.Collected() {
		all = append(all, whiten.NewSensitivity(tap.Channels))
	}
	return all
}

// CompareViews adds to each average how much the tap's covariances differ between two views
// of a picture, normalised and of shape [1, 3, H, W] each: one with another style, and the
// picture as it is. The network is in inference mode; it is computed up to the last tap only.
func (m *Model) CompareViews(s *torch.Scope, styled, plain *torch.Tensor, averages []*whiten.Sensitivity) error {
	taps := m.Net.Collected()
	nodes := make([]int, len(taps))
	for i, tap := range taps {
		nodes[i] = tap.After
	}
	s.NoGrad(func(s *torch.Scope) {
		for i, feature := range m.Forward(s, s.Concat(0, styled, plain), Inference, nodes...) {
			covariances := s.Float32s(whiten.Covariance(s, feature))
			if s.Err() != nil {
				return
			}
			half := len(covariances) / 2
			if err := averages[i].Add(covariances[:half], covariances[half:]); err != nil {
				s.Fail(fmt.Errorf("%s: %w", taps[i].Name, err))
				return
			}
		}
	})
	return s.Err()
}
