package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// TestSGD compares with torch.optim.SGD of PyTorch 1.13.1: parameters a, b and c, the loss
// 0.1·Σa³, in every other step + Σb², four steps of learning rates 0.1, 0.1, 0.05 and 0.2.
func TestSGD(t *testing.T) {
	for name, c := range map[string]struct {
		momentum, decay float64
		a, b            []float64
	}{
		"published": {0.9, 5e-4, []float64{0.696044505, -3.64114523, 0.420200348}, []float64{0.359399945, -0.119800009, 0.0299500022}},
		"stronger":  {0.5, 0.1, []float64{0.746575534, -2.86728859, 0.41678369}, []float64{0.744599879, -0.248199984, 0.0620499961}},
		"plain":     {0, 0, []float64{0.876745641, -2.65713716, 0.46777007}, []float64{1.44000006, -0.479999989, 0.119999997}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) {
				net := &nn.Network{
					Nodes: []nn.Node{{Op: nn.Input, Channels: 3}, {Op: nn.Affine, In: []int{0}, Key: "ab", Channels: 3, Affine: true}},
					Idle:  []nn.Param{{Key: "c", Shape: []int{2}, Role: nn.Scale}},
				}
				m, err := New(s, net, nn.State{
					"ab.weight": {Shape: []int{3}, Data: []float32{1, -2, 0.5}},
					"ab.bias":   {Shape: []int{3}, Data: []float32{3, -1, 0.25}},
					"c":         {Shape: []int{2}, Data: []float32{7, 8}},
				})
				if err != nil {
					t.Fatal(err)
				}
				a, b := m.Value("ab.weight"), m.Value("ab.bias")
				o := NewSGD(s, m)
				if o.Momentum != 0.9 || o.WeightDecay != 5e-4 {
					t.Errorf("momentum %v, weight decay %v are not the published ones", o.Momentum, o.WeightDecay)
				}
				o.Momentum, o.WeightDecay = c.momentum, c.decay
				for i, lr := range []float64{0.1, 0.1, 0.05, 0.2} {
					loss := s.MulScalar(s.Sum(s.Mul(a, s.Mul(a, a))), 0.1)
					if i%2 == 1 {
						loss = s.Add(loss, s.Sum(s.Mul(b, b)))
					}
					s.Backward(loss)
					o.Step(s, lr)
				}
				for key, want := range map[string][]float64{"ab.weight": c.a, "ab.bias": c.b, "c": {7, 8}} {
					got := s.Float64s(m.Value(key))
					if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 3e-7*math.Abs(b) }) {
						t.Errorf("%s is %.9g, want %.9g", key, got, want)
					}
				}
			})
		})
	}
}

func TestShrinkLabels(t *testing.T) {
	for _, c := range []struct{ h, w, smallH, smallW int }{
		{13, 9, 5, 5}, {97, 161, 13, 21}, {33, 31, 17, 16}, {64, 48, 8, 6}, {7, 5, 7, 5}, {3, 2, 7, 9}, {512, 768, 33, 1},
	} {
		run(t, func(s *torch.Scope) {
			ids := make([]int64, 2*c.h*c.w)
			for i := range ids {
				ids[i] = int64(i * 7 % 256)
			}
			var want []int64
			for b := range 2 {
				for y := range c.smallH {
					for x := range c.smallW {
						want = append(want, ids[(b*c.h+y*c.h/c.smallH)*c.w+x*c.w/c.smallW])
					}
				}
			}
			small := shrinkLabels(s, s.FromInt64(ids, 2, c.h, c.w), s.Zeros(torch.Float32, 2, 4, c.smallH, c.smallW))
			if got := s.Int64s(small); !slices.Equal(got, want) || !slices.Equal(small.Shape(), []int{2, c.smallH, c.smallW}) {
				t.Errorf("%v: wrong labels, of shape %v", c, small.Shape())
			}
		})
	}
}

// TestCrossEntropyGradient compares with finite differences.
func TestCrossEntropyGradient(t *testing.T) {
	run(t, func(s *torch.Scope) {
		const b, classes, h, w = 2, 3, 2, 3
		ids := []int64{0, 255, 2, 1, 1, 0, 255, 255, 2, 0, 1, 2}
		labels := s.FromInt64(ids, b, h, w)
		logits := make([]float64, b*classes*h*w)
		for i := range logits {
			logits[i] = 3 * math.Sin(float64(i*i))
		}
		loss := func(x []float64) *torch.Tensor {
			return s.CrossEntropy(s.RequireGrad(s.FromFloat64(x, b, classes, h, w)), labels, IgnoredLabel)
		}
		leaf := s.RequireGrad(s.FromFloat64(logits, b, classes, h, w))
		s.Backward(s.CrossEntropy(leaf, labels, IgnoredLabel))
		for i, got := range s.Float64s(s.Grad(leaf)) {
			const step = 1e-5
			up, down := slices.Clone(logits), slices.Clone(logits)
			up[i] += step
			down[i] -= step
			want := (s.Item(loss(up)) - s.Item(loss(down))) / (2 * step)
			if math.Abs(got-want) > 1e-9 {
				t.Errorf("gradient at %d is %v, by differences %v", i, got, want)
			}
			if pixel := i/(classes*h*w)*h*w + i%(h*w); ids[pixel] == IgnoredLabel && got != 0 {
				t.Errorf("the ignored pixel %d has the gradient %v", pixel, got)
			}
		}
	})
}

func TestObjective(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		m.DropChannels = 0
		x, labels := batch(s, 5, 2, 40, 56)
		o := objective(t, s, m.Net, nn.IW)
		o.AuxWeight, o.WhitenWeight = 0.3, 0.7
		l, features := m.Losses(s, x, nil, labels, o)

		out := m.Forward(s, x, Training, m.Net.Logits, m.Net.Aux)
		h, w := out[1].Dim(2), out[1].Dim(3)
		near(t, "ce", s.Item(l.CE), crossEntropy(s.Float64s(out[0]), s.Int64s(labels), 5, 40*56))
		near(t, "aux", s.Item(l.Aux), crossEntropy(s.Float64s(out[1]), s.Int64s(shrinkLabels(s, labels, out[1])), 5, h*w))
		sum := 0.0
		for i, p := range o.Penalties {
			layer := s.Item(p.Of(s, features[i]))
			near(t, "whitening of a layer", s.Item(l.Layers[i]), layer)
			sum += layer
		}
		near(t, "whitening", s.Item(l.Whitening), sum/3)
		near(t, "total", s.Item(l.Total), s.Item(l.CE)+0.3*s.Item(l.Aux)+0.7*sum/3)

		l, features = m.Losses(s, x, nil, labels, Objective{AuxWeight: 0.3, WhitenWeight: 0.7})
		near(t, "total without penalties", s.Item(l.Total), s.Item(l.CE)+0.3*s.Item(l.Aux))
		if l.Whitening != nil || l.Layers != nil || len(features) != 0 {
			t.Errorf("without penalties: whitening %v of %d layers, %d features", l.Whitening, len(l.Layers), len(features))
		}
	})
}

// crossEntropy is the mean over the pixels of [B, classes, pixels] that are not ignored.
func crossEntropy(logits []float64, labels []int64, classes, pixels int) float64 {
	sum, counted := 0.0, 0.0
	for at, label := range labels {
		if label == IgnoredLabel {
			continue
		}
		total := 0.0
		pixel := func(class int) float64 { return logits[(at/pixels*classes+class)*pixels+at%pixels] }
		for class := range classes {
			total += math.Exp(pixel(class))
		}
		sum += math.Log(total) - pixel(int(label))
		counted++
	}
	return sum / counted
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 2e-6*math.Abs(want)) {
		t.Errorf("%s is %.9g, want %.9g", what, got, want)
	}
}

// TestAllIgnored has a batch from which nothing can be learnt, and nothing may be ruined.
func TestAllIgnored(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		x, _ := batch(s, 5, 2, 32, 32)
		labels := s.FromInt64(slices.Repeat([]int64{IgnoredLabel}, 2*32*32), 2, 32, 32)
		l, _ := m.Losses(s, x, nil, labels, Objective{AuxWeight: 0.4})
		if v := s.Item(l.Total); v != 0 {
			t.Errorf("the loss is %v", v)
		}
		s.Backward(l.Total)
		for key, g := range gradients(s, m) {
			if slices.ContainsFunc(g, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s has a gradient", key)
			}
		}
	})
}

func TestLossesRefuse(t *testing.T) {
	lib := torchtest.Library(t)
	for name, c := range map[string]struct {
		pictures int
		edit     func(*Objective)
		want     string
	}{
		"one picture":   {1, func(*Objective) {}, "batch norm aspp.img_conv.1 sees one value of each channel"},
		"one penalty":   {2, func(o *Objective) { o.Penalties = o.Penalties[:1] }, "1 penalties for 3 whitened layers"},
		"other layers":  {2, func(o *Objective) { slices.Reverse(o.Penalties) }, "must match"},
		"empty penalty": {2, func(o *Objective) { o.Penalties[1].Count = 0 }, "there is nothing to penalise"},
	} {
		t.Run(name, func(t *testing.T) {
			err := lib.Run(torch.Options{Threads: 2}, func(s *torch.Scope) error {
				m := load(t, s, small(func(*nn.Spec) {}))
				x, labels := batch(s, 5, c.pictures, 32, 32)
				o := objective(t, s, m.Net, nn.ISW)
				c.edit(&o)
				m.Losses(s, x, nil, labels, o)
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestNewObjectiveRefuses(t *testing.T) {
	run(t, func(s *torch.Scope) {
		for want, c := range map[string]struct {
			norm     nn.Norm
			settings whiten.Settings
		}{
			"whiten layer0.1 selectively: it has no mask": {nn.SelectiveWhitening, whiten.Settings{}},
			"layer0.1: whiten 8 channels in 3 groups: ":   {nn.InstanceWhitening, whiten.Settings{Groups: 3}},
			"layer0.1: whiten 8 channels in 8 groups: ":   {nn.InstanceWhitening, whiten.Settings{Groups: 8}},
		} {
			net, err := nn.New(small(func(s *nn.Spec) { s.Placement = nn.Placement{2: c.norm} }))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewObjective(s, net, c.settings, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	})
}
