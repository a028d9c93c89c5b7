package rebuild

import (
	"context"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// small is a small network with instance norms.
func small(t *testing.T, s *torch.Scope) *model.Model {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 5
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(s, net, net.Init(3))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tinted returns pictures of stripes, each in a colour of its own.
func tinted(n, width, height int) []*data.Picture {
	rng := rand.New(rand.NewPCG(8, 9))
	var all []*data.Picture
	for range n {
		p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height)}
		color := [3]float64{200 * rng.Float64(), 200 * rng.Float64(), 200 * rng.Float64()}
		stride := 4 + rng.IntN(8)
		for i := range p.RGB {
			p.RGB[i] = uint8(color[i%3] + 40*float64(i/3%width/stride%2) + 10*rng.Float64())
		}
		all = append(all, p)
	}
	return all
}

// TestColorsAreGone rebuilds pictures whose only difference is their tint: features before the
// instance norms know it, those behind do not. The network stays as it is.
func TestColorsAreGone(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		m := small(t, s)
		before, err := m.State(s)
		if err != nil {
			t.Fatal(err)
		}
		pictures := tinted(24, 48, 40)
		wrong := func(f Features) (sum float64) {
			d := NewDecoder(s, f, 1)
			calls := 0
			done, err := d.Train(t.Context(), s, pictures[4:], Options{Iterations: 120, Batch: 4, Side: 32, Seed: 2, Progress: func(int) { calls++ }})
			if err != nil || done != 120 || calls != 120 {
				t.Fatalf("%d iterations, %d reports, %v", done, calls, err)
			}
			for _, p := range pictures[:4] {
				rebuilt, err := d.Rebuild(s, p)
				if err != nil || rebuilt.Width != 48 || rebuilt.Height != 40 || len(rebuilt.RGB) != len(p.RGB) {
					t.Fatalf("%+v, %v", rebuilt, err)
				}
				sum += Figure{Image: p}.ColorError(rebuilt) / 4
			}
			return sum
		}
		base, whitened := wrong(Before(m)), wrong(Behind(m))
		if !(base < whitened*2/3) {
			t.Errorf("colours are off by %.1f from features before the norms, by %.1f from those behind", base, whitened)
		}
		after, err := m.State(s)
		if err != nil {
			t.Fatal(err)
		}
		for key, a := range before {
			if !slices.Equal(a.Data, after[key].Data) {
				t.Errorf("%s has changed", key)
			}
			if g := s.Grad(m.Value(key)); g != nil {
				t.Errorf("%s has a gradient", key)
			}
		}
	})
}

func TestTrainRefusesAndEnds(t *testing.T) {
	pictures := tinted(2, 48, 40)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fine := Options{Iterations: 1, Batch: 1, Side: 32}
	for name, c := range map[string]struct {
		ctx      context.Context
		pictures []*data.Picture
		edit     func(*Options)
		want     string
	}{
		"small pictures": {t.Context(), pictures, func(o *Options) { o.Side = 41 }, "48 x 40 pixels has no crop of 41"},
		"small crops":    {t.Context(), pictures, func(o *Options) { o.Side = 31 }, "32 or more"},
		"no iterations":  {t.Context(), pictures, func(o *Options) { o.Iterations = 0 }, "0 iterations"},
		"no batch":       {t.Context(), pictures, func(o *Options) { o.Batch = 0 }, "0 crops"},
		"no pictures":    {t.Context(), nil, func(*Options) {}, "there are no pictures"},
		"cancelled":      {cancelled, pictures, func(*Options) {}, context.Canceled.Error()},
		"no time":        {t.Context(), pictures, func(o *Options) { o.MaxTime = 1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			torchtest.Run(t, func(s *torch.Scope) {
				o := fine
				c.edit(&o)
				done, err := NewDecoder(s, Behind(small(t, s)), 1).Train(c.ctx, s, c.pictures, o)
				if done != 0 || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%d iterations, error %v, want one with %q", done, err, c.want)
				}
			})
		})
	}
}

// TestAdam compares with algorithm 1 of the paper in NumPy's float64: four steps of rates 0.1,
// 0.1, 0.05, 0.2 on the loss 0.1·Σp³.
func TestAdam(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		p, idle := s.RequireGrad(s.FromFloat32([]float32{1, -2, 0.5}, 3)), s.RequireGrad(s.Ones(torch.Float32, 1))
		a := newAdam(s, []*torch.Tensor{p, idle})
		for _, rate := range []float64{0.1, 0.1, 0.05, 0.2} {
			s.Backward(s.MulScalar(s.Sum(s.Mul(p, s.Mul(p, p))), 0.1))
			a.step(s, rate)
		}
		for i, want := range []float64{0.562247092, -2.45156153, 0.0893915379} {
			if got := s.Float64s(p)[i]; math.Abs(got-want) > 1e-6 {
				t.Errorf("parameter %d is %.9g, want %.9g", i, got, want)
			}
		}
		if s.Item(idle) != 1 || s.Grad(p) != nil {
			t.Error("a parameter without gradient has moved, or gradients are left")
		}
	})
}

// TestCrops has pictures whose pixels tell their place.
func TestCrops(t *testing.T) {
	p := &data.Picture{Width: 70, Height: 50}
	for i := range p.Width * p.Height {
		p.RGB = append(p.RGB, uint8(i%p.Width), uint8(i/p.Width), 7)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	const n, side = 200, 32
	rgb := crops(rng, []*data.Picture{p}, n, side)
	if len(rgb) != 3*n*side*side {
		t.Fatalf("%d bytes", len(rgb))
	}
	mirrored, corners := 0, map[[2]uint8]bool{}
	for i := range n {
		crop := rgb[3*side*side*i:]
		left, right, top := crop[0], crop[3*(side-1)], crop[1]
		step := 1
		if left > right {
			mirrored++
			step = -1
		}
		corners[[2]uint8{min(left, right), top}] = true
		for y := range side {
			for x := range side {
				at := crop[3*(y*side+x):]
				if int(at[0]) != int(left)+step*x || int(at[1]) != int(top)+y || at[2] != 7 {
					t.Fatalf("crop %d: pixel %d, %d is from %v", i, x, y, at[:3])
				}
			}
		}
	}
	if mirrored < 70 || mirrored > 130 || len(corners) < 100 {
		t.Errorf("%d of %d crops are mirrored, at %d places", mirrored, n, len(corners))
	}
}

// TestPixels has every value of each colour.
func TestPixels(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		rgb := make([]uint8, 3*256)
		for i := range rgb {
			rgb[i] = uint8(i / 3 * (i%3*2 + 1))
		}
		x := model.Pictures(s, rgb, 1, 16, 16)
		if got := pixels(s, x); !slices.Equal(got, rgb) {
			t.Errorf("got %v", got)
		}
		x = s.FromFloat32([]float32{-100, 100, 0, 0, -100, 100}, 1, 3, 1, 2)
		if got := pixels(s, x); got[0] != 0 || got[3] != 255 || got[2] != 0 || got[5] != 255 {
			t.Errorf("colours beyond the range are %v", got)
		}
	})
}

func TestFigures(t *testing.T) {
	plain := func(r, g, b uint8) *data.Picture {
		return &data.Picture{Width: 2, Height: 1, RGB: []uint8{r, g, b, r, g, b}}
	}
	f := Figure{Image: plain(10, 20, 30), Base: plain(10, 20, 30), Whitened: plain(13, 14, 33)}
	if base, whitened := f.ColorError(f.Base), f.ColorError(f.Whitened); base != 0 || whitened != 4 {
		t.Errorf("colours are off by %v and %v, want 0 and 4", base, whitened)
	}
	dir := filepath.Join(t.TempDir(), "a[b")
	for _, figures := range [][]Figure{{f, f, f}, {f}} { // fewer the second time
		if err := WriteFigures(dir, figures); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, run.FiguresDir, "sample_0_image.png"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, run.FiguresDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"rebuilt_0_base.png", "rebuilt_0_image.png", "rebuilt_0_whitened.png", "sample_0_image.png"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	file, err := os.Open(filepath.Join(dir, run.FiguresDir, "rebuilt_0_whitened.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, a := img.At(1, 0).RGBA(); r>>8 != 13 || g>>8 != 14 || b>>8 != 33 || a != 0xffff || img.Bounds() != image.Rect(0, 0, 2, 1) {
		t.Errorf("a pixel is %d, %d, %d, %d in %v", r>>8, g>>8, b>>8, a, img.Bounds())
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFigures(blocked, []Figure{f}); err == nil || !strings.Contains(err.Error(), "write rebuilt pictures: ") {
		t.Errorf("error %v", err)
	}
}
