package evaluate_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// withNetwork calls f with a small network of random weights.
func withNetwork(t *testing.T, f func(l *torch.Library, s *torch.Scope, m *model.Model)) {
	t.Helper()
	l := torchtest.Library(t)
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		m, err := model.New(s, net, net.Init(3))
		if err != nil {
			return err
		}
		f(l, s, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// waves is a picture of colours that change slowly.
func waves(width, height int) *data.Picture {
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height)}
	random := rand.New(rand.NewPCG(5, 5))
	for i := range p.RGB {
		x, y := i/3%width, i/3/width
		p.RGB[i] = uint8(120 + 60*math.Sin(float64(x*(i%3+1))/9) + 40*math.Cos(float64(y)/7) + 20*random.Float64())
	}
	return p
}

// logits runs the network over part of a picture: [classes][rows][columns].
func logits(s *torch.Scope, m *model.Model, p *data.Picture, left, top, width, height int) (out []float32) {
	rgb := make([]uint8, 0, 3*width*height)
	for y := top; y < top+height; y++ {
		rgb = append(rgb, p.RGB[3*(y*p.Width+left):][:3*width]...)
	}
	s.NoGrad(func(s *torch.Scope) {
		out = s.Float32s(m.Forward(s, model.Pictures(s, rgb, 1, height, width), model.Inference, m.Net.Logits)[0])
	})
	return out
}

// highest returns the class of the greatest of sums[class][pixel].
func highest(sums []float64, classes int) []uint8 {
	pixels := len(sums) / classes
	ids := make([]uint8, pixels)
	for at := range ids {
		for c := range classes {
			if sums[c*pixels+at] > sums[int(ids[at])*pixels+at] {
				ids[at] = uint8(c)
			}
		}
	}
	return ids
}

// differing is the share of pixels that differ. Sums in another order may decide a tie
// otherwise.
func differing(a, b []uint8) float64 {
	if len(a) != len(b) {
		return 1
	}
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

func mirror(ids []uint8, width, channels int) []uint8 {
	out := make([]uint8, 0, len(ids))
	for row := range slices.Chunk(ids, width*channels) {
		for x := width - 1; x >= 0; x-- {
			out = append(out, row[x*channels:][:channels]...)
		}
	}
	return out
}

func TestNetwork(t *testing.T) {
	withNetwork(t, func(l *torch.Library, s *torch.Scope, m *model.Model) {
		p := waves(104, 72)
		predict := func(o evaluate.Inference, p *data.Picture) []uint8 {
			t.Helper()
			live := l.Live()
			ids, err := evaluate.NewNetwork(s, m, o).Predict(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if l.Live() != live {
				t.Errorf("%+v: %d tensors are left", o, l.Live()-live)
			}
			return ids
		}
		classes := m.Net.Spec.Classes
		sums := make([]float64, classes*104*72)
		for i, v := range logits(s, m, p, 0, 0, 104, 72) {
			sums[i] = float64(v)
		}
		whole := highest(sums, classes)
		if n := slices.Max(whole); n == 0 {
			t.Fatal("the network says one class only; the test would see nothing")
		}
		for name, o := range map[string]evaluate.Inference{
			"nothing": {}, "one scale": {Scales: []float64{1}}, "large window": {Window: 104},
			"same twice": {Scales: []float64{1, 1}}, "wide enough": {Framing: evaluate.Framing{MaxWidth: 104}},
		} {
			if d := differing(predict(o, p), whole); d > 0.0005 {
				t.Errorf("%s: %.2f %% of the pixels differ from a single pass", name, 100*d)
			}
		}

		// Windows of 48 pixels begin two thirds of that apart, and end at the edge.
		clear(sums)
		times := make([]float64, 104*72)
		for _, top := range []int{0, 24} {
			for _, left := range []int{0, 32, 56} {
				for i, v := range logits(s, m, p, left, top, 48, 48) {
					c, y, x := i/48/48, i/48%48+top, i%48+left
					sums[c*104*72+y*104+x] += float64(v)
					times[y*104+x] += 1 / float64(classes)
				}
			}
		}
		for i := range sums {
			sums[i] /= times[i%(104*72)]
		}
		sliding := highest(sums, classes)
		if d := differing(predict(evaluate.Inference{Window: 48}, p), sliding); d > 0.0005 {
			t.Errorf("windows: %.2f %% of the pixels differ from means over all windows", 100*d)
		}
		if differing(sliding, whole) == 0 {
			t.Error("windows change nothing; the test sees nothing")
		}

		// With the mirror image averaged, a mirrored picture has the mirrored result.
		both := evaluate.Inference{Flip: true, Scales: []float64{0.5, 1}}
		mirrored := *p
		mirrored.RGB = mirror(p.RGB, 104, 3)
		if d := differing(mirror(predict(both, &mirrored), 104, 1), predict(both, p)); d > 0.002 {
			t.Errorf("flip: %.2f %% of the pixels depend on the side", 100*d)
		}
		if differing(predict(evaluate.Inference{Flip: true}, p), whole) == 0 {
			t.Error("flip changes nothing; the test sees nothing")
		}
		if len(predict(evaluate.Inference{Scales: []float64{0.5, 2}, Window: 64}, p)) != 104*72 {
			t.Error("scales change the size of the result")
		}
	})
}

func TestNetworkRefuses(t *testing.T) {
	withNetwork(t, func(_ *torch.Library, s *torch.Scope, m *model.Model) {
		stopped, stop := context.WithCancel(t.Context())
		stop()
		for name, c := range map[string]struct {
			ctx  context.Context
			o    evaluate.Inference
			p    *data.Picture
			want string
		}{
			"stopped":      {stopped, evaluate.Inference{Flip: true}, waves(32, 32), "canceled"},
			"no pixels":    {t.Context(), evaluate.Inference{}, &data.Picture{}, "0×0"},
			"few pixels":   {t.Context(), evaluate.Inference{}, &data.Picture{Width: 2, Height: 2, RGB: make([]uint8, 11)}, "11 bytes"},
			"NaN scale":    {t.Context(), evaluate.Inference{Scales: []float64{math.NaN()}}, waves(32, 32), "scale NaN"},
			"small window": {t.Context(), evaluate.Inference{Window: 1}, waves(32, 32), "windows of 1"},
			"small width":  {t.Context(), evaluate.Inference{Framing: evaluate.Framing{MaxWidth: -1}}, waves(32, 32), "-1 pixels"},
			"small square": {t.Context(), evaluate.Inference{Framing: evaluate.Framing{Square: 31}}, waves(32, 32), "squares of 31"},
			"two framings": {t.Context(), evaluate.Inference{Framing: evaluate.Framing{MaxWidth: 64, Square: 64}}, waves(32, 32), "choose one"},
		} {
			_, err := evaluate.NewNetwork(s, m, c.o).Predict(c.ctx, c.p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want one of %q", name, err, c.want)
			}
		}
		// A refusal leaves the run usable: training goes on after an evaluation was stopped.
		if _, err := evaluate.NewNetwork(s, m, evaluate.Inference{}).Predict(t.Context(), waves(32, 32)); err != nil {
			t.Error(err)
		}
	})
}

func TestMaxWidthIsScoredShrunk(t *testing.T) {
	withNetwork(t, func(_ *torch.Library, s *torch.Scope, m *model.Model) {
		set := open(t, "scenes=day@96x64:900000-900001")
		pictures := 0
		result, err := evaluate.Score(t.Context(), evaluate.NewNetwork(s, m, evaluate.Inference{Framing: evaluate.Framing{MaxWidth: 48}}), labels.CamVid(), set,
			func(i int, p *data.Picture, prediction []uint8) {
				if pictures++; i != pictures-1 || p.Width != 48 || p.Height != 32 || len(p.Labels) != 48*32 || len(prediction) != 48*32 {
					t.Errorf("picture %d has %d×%d pixels and %d labels; %d are predicted", i, p.Width, p.Height, len(p.Labels), len(prediction))
				}
			})
		if err != nil || pictures != 2 || result.Matrix.Pixels() > 2*48*32 || result.Predicting <= 0 {
			t.Errorf("%d pictures, result %+v, error %v", pictures, result, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		_, err = evaluate.Score(ctx, evaluate.NewNetwork(s, m, evaluate.Inference{}), labels.CamVid(), set,
			func(int, *data.Picture, []uint8) { stop() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped after one picture: error %v", err)
		}
	})
}

// A narrow picture leaves margins, which do not count.
func TestCentreSquareIsScored(t *testing.T) {
	withNetwork(t, func(_ *torch.Library, s *torch.Scope, m *model.Model) {
		set := open(t, "scenes=day@64x96:900000-900000")
		n := evaluate.NewNetwork(s, m, evaluate.Inference{Framing: evaluate.Framing{Square: 48}})
		result, err := evaluate.Score(t.Context(), n, labels.CamVid(), set, func(_ int, p *data.Picture, prediction []uint8) {
			if p.Width != 48 || p.Height != 48 || p.Labels[7] != data.Ignored || p.Labels[40] != data.Ignored || len(prediction) != 48*48 {
				t.Errorf("%d×%d pixels, %d are predicted; the first row's labels are %v", p.Width, p.Height, len(prediction), p.Labels[:48])
			}
		})
		if err != nil || result.Matrix.Pixels() == 0 || result.Matrix.Pixels() > 32*48 {
			t.Errorf("result %+v, error %v", result, err)
		}
	})
}
