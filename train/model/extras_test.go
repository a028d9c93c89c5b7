package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestTwoViews gives two views that are alike: batch norms see the same statistics, so that
// all terms are those of one view, and nothing diverges.
func TestTwoViews(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		m.DropChannels = 0
		x, labels := batch(s, 5, 2, 32, 48)
		o := objective(t, s, m.Net, nn.ISW)
		one, _ := m.Losses(s, x, nil, labels, o)
		o.Consistency = 10
		two, features := m.Losses(s, x, x, labels, o)
		for name, pair := range map[string][2]*torch.Tensor{
			"ce": {one.CE, two.CE}, "aux": {one.Aux, two.Aux}, "whitening": {one.Whitening, two.Whitening}, "total": {one.Total, two.Total},
		} {
			if a, b := s.Item(pair[0]), s.Item(pair[1]); !(math.Abs(a-b) <= 1e-4*a) {
				t.Errorf("%s is %v of one view, %v of both", name, a, b)
			}
		}
		if v := s.Item(two.Consistency); !(math.Abs(v) < 1e-6) {
			t.Errorf("equal views diverge by %v", v)
		}
		if features[0].Dim(0) != 4 || one.Consistency != nil {
			t.Errorf("features of %d pictures, want 4; consistency of one view %v", features[0].Dim(0), one.Consistency)
		}
	})
}

// TestConsistencyTerm has views that differ: the total has the weighted term, and its
// gradient changes.
func TestConsistencyTerm(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		m.DropChannels = 0
		x, labels := batch(s, 5, 2, 32, 48)
		styled := s.AddScalar(s.MulScalar(s.Mul(x, x), 0.7), -0.5)
		gradient := func(weight float64) (Losses, []float32) {
			l, _ := m.Losses(s, x, styled, labels, Objective{AuxWeight: 0.4, Consistency: weight})
			s.Backward(l.Total)
			g := gradients(s, m)["layer0.0.0.weight"]
			s.ZeroGrad(m.Value("layer0.0.0.weight"))
			return l, g
		}
		without, g0 := gradient(0)
		with, g1 := gradient(3)
		divergence := s.Item(with.Consistency)
		if !(divergence > 1e-3 && divergence < math.Ln2) {
			t.Errorf("the views diverge by %v", divergence)
		}
		if got, want := s.Item(with.Total), s.Item(without.Total)+3*divergence; !(math.Abs(got-want) < 1e-4) {
			t.Errorf("the total is %v, want %v", got, want)
		}
		if d := difference(g0, g1); !(d > 1e-3) {
			t.Errorf("the gradient differs by %v only", d)
		}
	})
}

func TestConsistencyNeedsASecondView(t *testing.T) {
	err := torchtest.Library(t).Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		m := load(t, s, small(func(*nn.Spec) {}))
		x, labels := batch(s, 5, 2, 32, 32)
		m.Losses(s, x, nil, labels, Objective{Consistency: 1})
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "no second view") {
		t.Errorf("error %v", err)
	}
}

// TestMixStyle holds the stem's output and what whitening makes of it against those without.
func TestMixStyle(t *testing.T) {
	for name, spec := range various() {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) {
				m := load(t, s, spec)
				m.DropChannels = 0
				x, _ := batch(s, spec.Classes, 3, 32, 48)
				x = s.Mul(x, s.FromFloat32([]float32{0.3, 1, 2}, 3, 1, 1, 1)) // pictures of other contrasts
				stem := slices.IndexFunc(m.Net.Nodes, func(n nn.Node) bool { return n.Op == nn.ReLU || n.Op == nn.ReLU6 })
				forward := func(p float64, seed uint64, mode Mode) (stemMeans, tap, logits []float32) {
					m.MixStyle, m.StepSeed = p, seed
					out := m.Forward(s, x, mode, stem, m.Net.Taps[len(m.Net.Taps)-1].After, m.Net.Logits)
					return s.Float32s(s.MeanDims(out[0], false, 2, 3)), s.Float32s(out[1]), s.Float32s(out[2])
				}
				plainMeans, plainTap, plain := forward(0, 1, Training)
				means, tap, mixed := forward(1, 1, Training)
				if d := difference(plain, mixed); !(d > 1e-2) {
					t.Errorf("logits differ by %v only", d)
				}
				if d := difference(plainTap, tap); !(d > 1e-2) {
					t.Errorf("the last tap differs by %v only: a norm took the change back", d)
				}
				channels := len(means) / 3
				for i, v := range means {
					c := i % channels
					of := []float32{plainMeans[c], plainMeans[channels+c], plainMeans[2*channels+c]}
					if slack := float32(1e-5); v < slices.Min(of)-slack || v > slices.Max(of)+slack {
						t.Errorf("channel %d has a mean of %v, which is no mix of %v", c, v, of)
					}
				}
				if _, _, again := forward(1, 1, Training); !slices.Equal(mixed, again) {
					t.Error("the same seed mixes otherwise")
				}
				if _, _, other := forward(1, 2, Training); slices.Equal(mixed, other) {
					t.Error("another seed mixes the same")
				}
				_, _, inference := forward(1, 1, Inference)
				if _, _, want := forward(0, 1, Inference); !slices.Equal(inference, want) {
					t.Error("inference mixes styles")
				}
			})
		})
	}
}
