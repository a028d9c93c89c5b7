package adapt

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// onModel calls f with a small network on libtorch, or skips the test where that is missing.
func onModel(t *testing.T, method nn.Method, f func(s *torch.Scope, m *model.Model)) {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 5
	var err error
	if spec.Placement, err = method.Placement(); err != nil {
		t.Fatal(err)
	}
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	err = torchtest.Library(t).Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		m, err := model.New(s, net, net.Init(3))
		if err == nil {
			f(s, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// noise returns pictures of their own contrasts and colours.
func noise(sizes ...[2]int) []*data.Picture {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []*data.Picture
	for _, size := range sizes {
		p := &data.Picture{Width: size[0], Height: size[1], RGB: make([]uint8, 3*size[0]*size[1])}
		contrast, colors := 100*rng.Float64(), [3]float64{150 * rng.Float64(), 150 * rng.Float64(), 150 * rng.Float64()}
		for i := range p.RGB {
			p.RGB[i] = uint8(colors[i%3] + contrast*rng.Float64())
		}
		all = append(all, p)
	}
	return all
}

// each yields pictures without errors.
func each(pictures []*data.Picture) iter.Seq2[*data.Picture, error] {
	return func(yield func(*data.Picture, error) bool) {
		for _, p := range pictures {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func state(t *testing.T, s *torch.Scope, m *model.Model) nn.State {
	t.Helper()
	all, err := m.State(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var twoSizes = [][2]int{{48, 32}, {48, 32}, {32, 64}, {48, 32}, {32, 64}, {48, 32}, {48, 32}, {64, 64}, {32, 64}}

// TestFirstNorm compares with means and variances over all values in front of the first norm,
// which no other norm precedes.
func TestFirstNorm(t *testing.T) {
	onModel(t, nn.ISW, func(s *torch.Scope, m *model.Model) {
		pictures := noise(twoSizes...)
		before := state(t, s, m)
		done := 0
		r, err := BatchNorm(t.Context(), s, m, each(pictures), Options{Batch: 2, Progress: func(n int) { done = n }})
		if err != nil || r != (Result{Pictures: 8, Left: 1}) || done != 8 {
			t.Fatalf("%+v, %v, progress %d", r, err, done)
		}
		first := slices.IndexFunc(m.Net.Nodes, func(n nn.Node) bool { return n.Op == nn.BatchNorm })
		values := make([][]float64, m.Net.Nodes[first].Channels)
		for i, p := range pictures {
			if i == 7 { // the one of 64 x 64
				continue
			}
			x := model.Pictures(s, p.RGB, 1, p.Height, p.Width)
			feature := s.Float64s(m.Forward(s, x, model.Inference, m.Net.Nodes[first].In[0])[0])
			for c := range values {
				size := len(feature) / len(values)
				values[c] = append(values[c], feature[c*size:(c+1)*size]...)
			}
		}
		after, key := state(t, s, m), m.Net.Nodes[first].Key
		for c, all := range values {
			mean, squares := 0.0, 0.0
			for _, v := range all {
				mean += v / float64(len(all))
			}
			for _, v := range all {
				squares += (v - mean) * (v - mean)
			}
			variance := squares / float64(len(all)-1)
			if got := float64(after[key+".running_mean"].Data[c]); math.Abs(got-mean) > 1e-5 {
				t.Errorf("channel %d: mean %v, want %v", c, got, mean)
			}
			if got := float64(after[key+".running_var"].Data[c]); math.Abs(got-variance) > 1e-5*variance {
				t.Errorf("channel %d: variance %v, want %v", c, got, variance)
			}
		}
		for _, p := range m.Net.Params() {
			buffer := p.Role == nn.RunningMean || p.Role == nn.RunningVar
			if changed := !slices.Equal(before[p.Key].Data, after[p.Key].Data); changed != buffer {
				t.Errorf("%s changed: %v", p.Key, changed)
			}
		}
	})
}

// TestOneBatch has all pictures in one batch: in inference, the network then computes what it
// does with the batch's own statistics, but for the variance that is unbiased.
func TestOneBatch(t *testing.T) {
	onModel(t, nn.Base, func(s *torch.Scope, m *model.Model) {
		m.MixStyle = 1
		pictures := noise([][2]int{{192, 128}, {192, 128}, {192, 128}, {192, 128}}...)
		var rgb []uint8
		for _, p := range pictures {
			rgb = append(rgb, p.RGB...)
		}
		x := model.Pictures(s, rgb, 4, 128, 192)
		inference := func() []float32 { return s.Float32s(m.Forward(s, x, model.Inference, m.Net.Low)[0]) }
		source := inference()
		if _, err := BatchNorm(t.Context(), s, m, each(pictures), Options{Batch: 4}); err != nil {
			t.Fatal(err)
		}
		if m.MixStyle != 1 || m.WatchBatchNorm != nil {
			t.Error("the model is left otherwise than it was")
		}
		m.MixStyle = 0
		adapted, once := inference(), state(t, s, m)
		batch := s.Float32s(m.Forward(s, x, model.Training, m.Net.Low)[0])
		if d := distance(adapted, batch); !(d < 0.01) {
			t.Errorf("adapted features differ from those of the batch's statistics by %v", d)
		}
		if d := distance(source, batch); !(d > 0.1) {
			t.Errorf("features before differ by %v only: nothing was to be adapted", d)
		}
		// The statistics before do not matter, so that doing it again changes nothing.
		if _, err := BatchNorm(t.Context(), s, m, each(pictures), Options{Batch: 4}); err != nil {
			t.Fatal(err)
		}
		for key, a := range state(t, s, m) {
			if !slices.Equal(a.Data, once[key].Data) {
				t.Errorf("%s has changed by the second adaptation", key)
			}
		}
	})
}

// distance is the root of the mean square of the differences, relative to that of b.
func distance(a, b []float32) float64 {
	var apart, size float64
	for i := range b {
		apart += float64(a[i]-b[i]) * float64(a[i]-b[i])
		size += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(apart / size)
}

// TestFailuresLeaveTheNetwork has faults before and amid the pictures.
func TestFailuresLeaveTheNetwork(t *testing.T) {
	some := noise(twoSizes...)
	cancelled, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		method   nn.Method
		ctx      context.Context
		batch    int
		pictures iter.Seq2[*data.Picture, error]
		want     string
	}{
		"one picture a batch": {nn.ISW, t.Context(), 1, each(some), "batches of 1: take 2"},
		"no pictures":         {nn.ISW, t.Context(), 4, each(nil), "there are no pictures"},
		"no size twice":       {nn.ISW, t.Context(), 4, each(noise([2]int{32, 32}, [2]int{64, 32})), "none of 2 pictures has another of its size"},
		"switchable":          {nn.SW, t.Context(), 4, each(some), "statistics of its own"},
		"iterative":           {nn.IterNorm, t.Context(), 4, each(some), "statistics of its own"},
		"unreadable": {nn.ISW, t.Context(), 2, func(yield func(*data.Picture, error) bool) {
			for _, p := range some[:5] {
				if !yield(p, nil) {
					return
				}
			}
			yield(nil, errors.New("x.png: damaged"))
		}, "adapt batch norms: x.png: damaged"},
		"cancelled": {nn.ISW, cancelled, 2, func(yield func(*data.Picture, error) bool) {
			for i, p := range some {
				if i == 6 {
					cancel()
				}
				if !yield(p, nil) {
					return
				}
			}
		}, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			onModel(t, c.method, func(s *torch.Scope, m *model.Model) {
				before := state(t, s, m)
				_, err := BatchNorm(c.ctx, s, m, c.pictures, Options{Batch: c.batch})
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want one with %q", err, c.want)
				}
				for key, a := range state(t, s, m) {
					if !slices.Equal(a.Data, before[key].Data) {
						t.Errorf("%s has changed", key)
					}
				}
			})
		})
	}
}

// TestManySizes has more sizes than wait for their like.
func TestManySizes(t *testing.T) {
	onModel(t, nn.ISW, func(s *torch.Scope, m *model.Model) {
		sizes := [][2]int{{32, 32}, {32, 32}}
		for i := range maxSizes + 3 {
			sizes = append(sizes, [2]int{33 + i, 32})
		}
		sizes = append(sizes, [2]int{32, 32}) // its like are gone
		r, err := BatchNorm(t.Context(), s, m, each(noise(sizes...)), Options{Batch: 8})
		if want := (Result{Pictures: 2, Left: maxSizes + 4}); err != nil || r != want {
			t.Errorf("%+v, %v; want %+v", r, err, want)
		}
	})
}

// TestMoments compares with NumPy: mean and var(ddof=1) of 1, 2, 4, 8, 16 and of 1e6 + these.
func TestMoments(t *testing.T) {
	m := newMoments(2)
	m.add(2, []float64{1.5, 1000001.5}, []float64{0.25, 0.25})
	m.add(1, []float64{4, 1000004}, []float64{0, 0})
	m.add(2, []float64{12, 1000012}, []float64{16, 16})
	mean, variance := m.running()
	if !slices.Equal(mean, []float32{6.2, 1000006.2}) {
		t.Errorf("means %v", mean)
	}
	for _, v := range variance {
		if math.Abs(float64(v)-37.2) > 1e-5 {
			t.Errorf("variances %v, want 37.2", variance)
		}
	}
}
