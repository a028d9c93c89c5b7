package model

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// run calls f, which must leave no failure behind.
func run(tb testing.TB, f func(s *torch.Scope)) {
	tb.Helper()
	err := torchtest.Library(tb).Run(torch.Options{Threads: 2}, func(s *torch.Scope) error {
		f(s)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// small is MobileNetV2 at half width with the lite head and ISW, the smallest network.
func small(edit func(*nn.Spec)) nn.Spec {
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 5
	edit(&spec)
	return spec
}

func load(tb testing.TB, s *torch.Scope, spec nn.Spec) *Model {
	tb.Helper()
	net, err := nn.New(spec)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := New(s, net, net.Init(3))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// batch returns pictures of a few waves and labels of which some are ignored.
func batch(s *torch.Scope, classes, b, h, w int) (x, labels *torch.Tensor) {
	pixels, ids := make([]float32, b*3*h*w), make([]int64, b*h*w)
	for i := range pixels {
		pixels[i] = float32(math.Sin(float64(i)*0.37) + math.Cos(float64(i*i%977)))
	}
	for i := range ids {
		if ids[i] = int64(i / 5 % (classes + 1)); ids[i] == int64(classes) {
			ids[i] = IgnoredLabel
		}
	}
	return s.FromFloat32(pixels, b, 3, h, w), s.FromInt64(ids, b, h, w)
}

// objective is that of the method, with every covariance for ISW.
func objective(tb testing.TB, s *torch.Scope, net *nn.Network, method nn.Method) Objective {
	tb.Helper()
	settings := whiten.Settings{Lambda: 0.6}
	switch method {
	case nn.GIW:
		settings.Groups = 2
	case nn.IRW:
		settings.RelaxDenom = 64
	}
	masks := map[string]whiten.Mask{}
	for _, tap := range net.Collected() {
		masks[tap.Name] = whiten.AllPairs(tap.Channels)
	}
	o, err := NewObjective(s, net, settings, masks)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// gradients returns those of all trained parameters that have one.
func gradients(s *torch.Scope, m *Model) map[string][]float32 {
	all := map[string][]float32{}
	for _, key := range m.Trained() {
		if g := s.Grad(m.Value(key)); g != nil {
			all[key] = s.Float32s(g)
		}
	}
	return all
}

// various are networks that have every operator among them.
func various() map[string]nn.Spec {
	place := func(n nn.Norm) func(*nn.Spec) {
		return func(s *nn.Spec) { s.Placement = nn.Placement{2: n, 3: n, 4: n} }
	}
	return map[string]nn.Spec{
		"base":     small(place(nn.NoNorm)),
		"isw":      small(func(s *nn.Spec) { s.Head, s.Rescale = nn.PaperHead, nn.AffineRescale }),
		"ibn":      small(place(nn.AffineInstanceNorm)),
		"sw":       small(place(nn.SwitchableWhitening)),
		"iternorm": small(place(nn.IterativeNorm)),
		"shuffle":  small(func(s *nn.Spec) { s.Trunk, s.Width = nn.ShuffleNetV2, 1 }),
		"resnet":   small(func(s *nn.Spec) { s.Trunk, s.Width = nn.ResNet50, 1 }),
	}
}

func TestForwardLeavesOnlyOutputs(t *testing.T) {
	lib := torchtest.Library(t)
	for name, spec := range various() {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) {
				m := load(t, s, spec)
				x, labels := batch(s, spec.Classes, 2, 32, 48)
				defer runtime.KeepAlive(labels) // the garbage collector would free them and change the count
				every := make([]int, len(m.Net.Nodes))
				for i := range every {
					every[i] = i
				}
				for _, mode := range []Mode{Inference, Training} {
					for _, nodes := range [][]int{{m.Net.Logits}, {m.Net.Logits, m.Net.Aux, m.Net.Taps[0].After}, every[1:]} {
						before := lib.Live()
						out := m.Forward(s, x, mode, nodes...)
						if s.Err() == nil && lib.Live() != before+len(out) {
							t.Errorf("mode %d, %d nodes: %d tensors more than before, %d of them returned", mode, len(nodes), lib.Live()-before, len(out))
						}
						s.Free(out...)
					}
				}
			})
		})
	}
}

// TestWorkingInPlace asks for every node, which forbids overwriting any.
func TestWorkingInPlace(t *testing.T) {
	for name, spec := range various() {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) {
				m := load(t, s, spec)
				x, labels := batch(s, spec.Classes, 2, 32, 48)
				every := make([]int, len(m.Net.Nodes))
				for i := range every {
					every[i] = i
				}
				same := func(what string, a, b []float32) {
					if !slices.Equal(a, b) {
						t.Errorf("%s differs", what)
					}
				}
				alone, all := m.Forward(s, x, Inference, m.Net.Logits), m.Forward(s, x, Inference, every...)
				same("output", s.Float32s(alone[0]), s.Float32s(all[m.Net.Logits]))

				o := Objective{AuxWeight: 0.4}
				s.Seed(8)
				losses, _ := m.Losses(s, x, nil, labels, o)
				s.Backward(losses.Total)
				grads := gradients(s, m)
				for _, key := range m.Trained() {
					s.ZeroGrad(m.Value(key))
				}
				s.Seed(8)
				all = m.Forward(s, x, Training, every...)
				aux := s.CrossEntropy(all[m.Net.Aux], shrinkLabels(s, labels, all[m.Net.Aux]), IgnoredLabel)
				total := s.Add(s.CrossEntropy(all[m.Net.Logits], labels, IgnoredLabel), s.MulScalar(aux, 0.4))
				s.Backward(total)
				if a, b := s.Item(losses.Total), s.Item(total); a != b {
					t.Errorf("the loss is %v in place, %v otherwise", a, b)
				}
				for key, g := range gradients(s, m) {
					same("gradient of "+key, grads[key], g)
				}
			})
		})
	}
}

// TestShortcuts compares with the literal operators at sizes of the deepest map, of stride 16,
// on both sides of the ASPP's dilations of 6, 12 and 18, and of the trunk's 2.
func TestShortcuts(t *testing.T) {
	const tolerance = 1e-5 // of the largest magnitude: rounding, through 60 layers
	for name, size := range map[string][2]int{
		"rows": {64, 320}, "columns": {320, 64}, "rows and columns": {96, 112}, "the trunk, too": {32, 16}, "nothing": {304, 304},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) {
				// Without instance norms, before which gradients of biases are 0 but for rounding.
				m := load(t, s, small(func(s *nn.Spec) { s.Head, s.Placement = nn.PaperHead, nn.Placement{} }))
				m.DropChannels = 0
				x, labels := batch(s, 5, 3, size[0], size[1])
				var logits [2][]float32
				var grads [2]map[string][]float32
				var losses [2][]float64
				for i, literal := range []bool{true, false} {
					m.Literal = literal
					if err := m.Fill(s, m.Net.Init(3)); err != nil { // training moves running statistics
						t.Fatal(err)
					}
					s.In(func(s *torch.Scope) {
						// In inference, because batch norms of three values would enlarge rounding.
						out := m.Forward(s, x, Inference, m.Net.Logits, m.Net.Aux)
						logits[i] = s.Float32s(out[0])
						s.Backward(s.Add(s.CrossEntropy(out[0], labels, IgnoredLabel), s.Mean(s.Mul(out[1], out[1]))))
						grads[i] = gradients(s, m)
						for _, key := range m.Trained() {
							s.ZeroGrad(m.Value(key))
						}
						l, _ := m.Losses(s, x, nil, labels, Objective{AuxWeight: 0.4})
						losses[i] = []float64{s.Item(l.CE), s.Item(l.Aux), s.Item(l.Total)}
					})
				}
				if d := difference(logits[0], logits[1]); !(d <= tolerance) {
					t.Errorf("logits differ by %.1e", d)
				}
				for key, literal := range grads[0] {
					if d := difference(literal, grads[1][key]); !(d <= tolerance) {
						t.Errorf("gradients of %s differ by %.1e", key, d)
					}
				}
				for i, literal := range losses[0] {
					if d := math.Abs(losses[1][i]/literal - 1); !(d <= tolerance) {
						t.Errorf("loss %d is %v, literally %v", i, losses[1][i], literal)
					}
				}
			})
		})
	}
}

// difference is the largest, relative to the largest magnitude; NaN where anything is.
func difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	largest, worst := 0.0, 0.0
	for i := range a {
		largest = math.Max(largest, math.Abs(float64(a[i])))
		worst = math.Max(worst, math.Abs(float64(a[i])-float64(b[i])))
	}
	return worst / largest
}

func TestStateAndFill(t *testing.T) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		read := func() nn.State {
			state, err := m.State(s)
			if err != nil {
				t.Fatal(err)
			}
			return state
		}
		equal := func(a, b nn.State) bool {
			return maps.EqualFunc(a, b, func(a, b nn.Array) bool { return slices.Equal(a.Data, b.Data) && slices.Equal(a.Shape, b.Shape) })
		}
		if !equal(read(), m.Net.Init(3)) {
			t.Error("the state read is not the one written")
		}
		tensor, other := m.Value("final2.0.weight"), m.Net.Init(4)
		if err := m.Fill(s, other); err != nil {
			t.Fatal(err)
		}
		if !equal(read(), other) || m.Value("final2.0.weight") != tensor {
			t.Error("the state filled in is not there, or in other tensors")
		}
		for name, c := range map[string]struct {
			edit func(nn.State)
			want string
		}{
			"missing": {func(s nn.State) { delete(s, "final2.0.bias") }, "1 keys missing:\n  final2.0.bias"},
			"unknown": {func(s nn.State) { s["fc.bias"] = nn.Array{} }, "1 keys unknown:\n  fc.bias"},
			"shape":   {func(s nn.State) { s["final2.0.bias"] = nn.Array{Shape: []int{5, 1}, Data: make([]float32, 5)} }, "final2.0.bias [5 1], not [5]"},
			"length":  {func(s nn.State) { s["final2.0.bias"] = nn.Array{Shape: []int{5}, Data: make([]float32, 4)} }, "of another shape"},
		} {
			misfit := m.Net.Init(5)
			c.edit(misfit)
			if err := m.Fill(s, misfit); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: Fill: %v, want %q", name, err, c.want)
			}
			if _, err := New(s, m.Net, misfit); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: New: %v, want %q", name, err, c.want)
			}
		}
		if !equal(read(), other) {
			t.Error("a misfit has changed the weights")
		}
		if m.Value("fc.bias") != nil {
			t.Error("there is a value of an unknown key")
		}
	})
}

// TestEveryNetworkTrains takes a step with each trunk, head and method.
func TestEveryNetworkTrains(t *testing.T) {
	for _, trunk := range nn.Trunks() {
		for _, head := range nn.Heads() {
			for _, method := range nn.Methods() {
				if testing.Short() && (trunk == nn.ResNet50 || trunk == nn.ResNet101) {
					continue // they take minutes
				}
				t.Run(fmt.Sprint(trunk, " ", head, " ", method), func(t *testing.T) {
					placement, err := method.Placement()
					if err != nil {
						t.Fatal(err)
					}
					trainOneStep(t, small(func(s *nn.Spec) {
						s.Trunk, s.Head, s.Placement = trunk, head, placement
						if trunk != nn.MobileNetV2 {
							s.Width = 1
						}
					}), method)
				})
			}
		}
	}
}

func trainOneStep(t *testing.T, spec nn.Spec, method nn.Method) {
	run(t, func(s *torch.Scope) {
		m := load(t, s, spec)
		x, labels := batch(s, spec.Classes, 2, 32, 32)
		losses, features := m.Losses(s, x, nil, labels, objective(t, s, m.Net, method))
		if len(losses.Layers) != len(m.Net.Collected()) || len(features) != len(losses.Layers) {
			t.Fatalf("%d penalties and %d features of %d layers: %v", len(losses.Layers), len(features), len(m.Net.Collected()), s.Err())
		}
		for name, l := range map[string]*torch.Tensor{"ce": losses.CE, "aux": losses.Aux, "total": losses.Total} {
			if v := s.Item(l); !(v > 0) || math.IsInf(v, 0) {
				t.Errorf("%s is %v", name, v)
			}
		}
		s.Backward(losses.Total)
		grads := gradients(s, m)
		for _, p := range m.Net.Params() {
			idle := slices.ContainsFunc(m.Net.Idle, func(i nn.Param) bool { return i.Key == p.Key })
			g, ok := grads[p.Key]
			if want := !idle && !p.Role.Buffer(); ok != want || len(g) != 0 && len(g) != p.Count() {
				t.Errorf("%s: a gradient of %d values, want one: %v", p.Key, len(g), want)
			}
			if slices.ContainsFunc(g, func(v float32) bool { return v-v != 0 }) {
				t.Errorf("%s: the gradient is not finite", p.Key)
			}
		}
		optimiser := NewSGD(s, m)
		optimiser.Step(s, 1e-3)
		if after, _ := m.Losses(s, x, nil, labels, objective(t, s, m.Net, method)); math.IsNaN(s.Item(after.Total)) {
			t.Error("the loss after a step is not a number")
		}
		if len(gradients(s, m)) != 0 {
			t.Error("there are gradients after the step")
		}
	})
}

func TestStepsLeaveNothingBehind(t *testing.T) {
	lib := torchtest.Library(t)
	run(t, func(s *torch.Scope) {
		m := load(t, s, small(func(*nn.Spec) {}))
		x, labels := batch(s, 5, 2, 32, 32)
		o, optimiser := objective(t, s, m.Net, nn.ISW), NewSGD(s, m)
		before := lib.Live()
		var first, last float64
		for i := range 60 {
			s.In(func(s *torch.Scope) {
				losses, _ := m.Losses(s, x, nil, labels, o)
				if last = s.Item(losses.Total); i == 0 {
					first = last
				}
				s.Backward(losses.Total)
				optimiser.Step(s, 0.01)
			})
			// Fewer are left where the garbage collector found what the preparations dropped.
			if n := lib.Live(); n > before {
				t.Fatalf("step %d: %d tensors more than before", i, n-before)
			}
		}
		if !(last < 0.8*first) {
			t.Errorf("60 steps on one batch took the loss from %v to %v only", first, last)
		}
	})
}
