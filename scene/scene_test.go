package scene_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/scene"
)

func options(style scene.Style, seed uint64) scene.Options {
	return scene.Options{Width: 320, Height: 180, FPS: 30, Style: style, Seed: seed}
}

func newScene(t testing.TB, o scene.Options) *scene.Scene {
	t.Helper()
	s, err := scene.New(o)
	if err != nil {
		t.Fatalf("New(%+v): %v", o, err)
	}
	return s
}

func setStyle(t testing.TB, s *scene.Scene, style scene.Style) {
	t.Helper()
	if err := s.SetStyle(style); err != nil {
		t.Fatalf("SetStyle(%v): %v", style, err)
	}
}

func render(s *scene.Scene, n int) (bgr, labels []byte) {
	o := s.Options()
	bgr, labels = make([]byte, o.Width*o.Height*3), make([]byte, o.Width*o.Height)
	s.Render(n, bgr, labels)
	return bgr, labels
}

func TestRenderDependsOnlyOnOptionsAndFrame(t *testing.T) {
	for _, style := range scene.Styles() {
		t.Run(style.String(), func(t *testing.T) {
			frames := []int{0, 1, 450, 2000, 7}
			s := newScene(t, options(style, 5))
			wantPix, wantLabels := map[int][]byte{}, map[int][]byte{}
			for _, n := range frames {
				wantPix[n], wantLabels[n] = render(s, n)
			}
			other := newScene(t, options(style, 5))
			for _, again := range []*scene.Scene{s, other} {
				for i := len(frames) - 1; i >= 0; i-- {
					n := frames[i]
					pix, labels := render(again, n)
					if !bytes.Equal(pix, wantPix[n]) || !bytes.Equal(labels, wantLabels[n]) {
						t.Errorf("frame %d differs when drawn again in another order", n)
					}
				}
			}
		})
	}
}

func TestStyleLeavesLabelsAlone(t *testing.T) {
	for seed := range uint64(5) {
		s := newScene(t, options(scene.Day, seed))
		want := map[int][]byte{}
		for _, style := range scene.Styles() {
			setStyle(t, s, style)
			for _, n := range []int{0, 333, 5000} {
				_, got := render(s, n)
				if style == scene.Day {
					want[n] = got
				} else if !bytes.Equal(got, want[n]) {
					t.Errorf("seed %d frame %d: labels in style %v differ from those by day", seed, n, style)
				}
			}
		}
	}
}

func TestSetStyleEqualsNew(t *testing.T) {
	s := newScene(t, options(scene.Snow, 8))
	render(s, 100)
	for _, style := range scene.Styles() {
		setStyle(t, s, style)
		want, _ := render(newScene(t, options(style, 8)), 100)
		if got, _ := render(s, 100); !bytes.Equal(got, want) {
			t.Errorf("SetStyle(%v) draws another picture than a new scene", style)
		}
	}
	if err := s.SetStyle(6); !errors.Is(err, scene.ErrOptions) {
		t.Errorf("SetStyle(6) = %v, want an error that wraps ErrOptions", err)
	}
}

func TestLabelsMayBeOmitted(t *testing.T) {
	s := newScene(t, options(scene.Rain, 3))
	want, _ := render(s, 42)
	got := make([]byte, len(want)+5)
	s.Render(42, got, nil)
	if !bytes.Equal(got[:len(want)], want) {
		t.Error("the picture differs when no labels are asked for")
	}
}

func TestEveryClassOccursAndNoOther(t *testing.T) {
	var count [256]int
	pixels := 0
	for seed := range uint64(8) {
		s := newScene(t, options(scene.Day, seed))
		for n := 0; n < 900; n += 150 {
			_, labels := render(s, n)
			for _, l := range labels {
				count[l]++
			}
			pixels += len(labels)
		}
	}
	names := scene.ClassNames()
	if len(names) != scene.NumClasses {
		t.Fatalf("got %d class names, want %d", len(names), scene.NumClasses)
	}
	for l, c := range count {
		share := float64(c) / float64(pixels)
		switch {
		case l >= scene.NumClasses && c > 0:
			t.Errorf("class id %d occurs %d times, want ids below %d", l, c, scene.NumClasses)
		case l < scene.NumClasses && share < 2e-4:
			t.Errorf("class %s covers %.5f of all pixels, want at least 0.0002", names[l], share)
		}
	}
}

// A street looks the same way up everywhere: sky on top, road at the driver's feet.
func TestGeometry(t *testing.T) {
	for seed := range uint64(12) {
		s := newScene(t, options(scene.Day, seed))
		o := s.Options()
		for n := 0; n < 1200; n += 97 {
			_, labels := render(s, n)
			bottom := labels[(o.Height-1)*o.Width+o.Width/2]
			if bottom != scene.ClassRoad {
				t.Errorf("seed %d frame %d: bottom centre is %s, want road", seed, n, scene.ClassNames()[bottom])
			}
			road := 0
			for i, l := range labels {
				y := i / o.Width
				if l == scene.ClassSky && y > o.Height*55/100 {
					t.Fatalf("seed %d frame %d: sky in row %d of %d, below any horizon", seed, n, y, o.Height)
				}
				if (l == scene.ClassRoad || l == scene.ClassPavement) && y < o.Height*38/100 {
					t.Fatalf("seed %d frame %d: ground in row %d of %d, above any horizon", seed, n, y, o.Height)
				}
				if l == scene.ClassRoad {
					road++
				}
			}
			if share := float64(road) / float64(len(labels)); share < 0.1 || share > 0.65 {
				t.Errorf("seed %d frame %d: road covers %.2f of the picture, want 0.1..0.65", seed, n, share)
			}
		}
	}
}

// The size of the picture must not change what is in it.
func TestLabelsScaleWithThePicture(t *testing.T) {
	small, large := options(scene.Day, 9), options(scene.Day, 9)
	large.Width, large.Height = 2*small.Width, 2*small.Height
	_, a := render(newScene(t, small), 240)
	_, b := render(newScene(t, large), 240)
	same := 0
	for i, l := range a {
		if b[i/small.Width*2*large.Width+i%small.Width*2] == l {
			same++
		}
	}
	if share := float64(same) / float64(len(a)); share < 0.94 {
		t.Errorf("%.3f of the labels agree between 320x180 and 640x360, want at least 0.94", share)
	}
}

func TestCameraMovesSmoothly(t *testing.T) {
	for seed := range uint64(6) {
		s := newScene(t, options(scene.Day, seed))
		_, before := render(s, 600)
		for n := 601; n < 660; n++ {
			_, after := render(s, n)
			changed := 0
			for i := range after {
				if after[i] != before[i] {
					changed++
				}
			}
			share := float64(changed) / float64(len(after))
			if share == 0 || share > 0.15 {
				t.Errorf("seed %d: %.3f of the labels change from frame %d to the next, want above 0 and at most 0.15", seed, share, n-1)
			}
			before = after
		}
	}
}

func TestSeedsAreDifferentStreets(t *testing.T) {
	_, first := render(newScene(t, options(scene.Day, 0)), 0)
	for seed := uint64(1); seed < 10; seed++ {
		_, labels := render(newScene(t, options(scene.Day, seed)), 0)
		differ := 0
		for i := range labels {
			if labels[i] != first[i] {
				differ++
			}
		}
		if share := float64(differ) / float64(len(labels)); share < 0.1 {
			t.Errorf("seed %d differs from seed 0 in %.3f of its labels, want at least 0.1", seed, share)
		}
		first = labels
	}
}

// The hashes pin the drawing down: a network trained on one version meets the same
// streets in the next. They hold on all processors, for outlines are rounded to
// sixteenths of a pixel.
func TestGoldenLabels(t *testing.T) {
	tests := []struct {
		seed uint64
		n    int
		want string
	}{
		{1, 0, "3a459be15263b562"},
		{2, 900, "117cb3d6bf441e51"},
		{12345, 100000, "a0a3ff7ee89d6e20"},
	}
	for _, tt := range tests {
		_, labels := render(newScene(t, options(scene.Day, tt.seed)), tt.n)
		sum := sha256.Sum256(labels)
		if got := hex.EncodeToString(sum[:8]); got != tt.want {
			t.Errorf("seed %d frame %d: labels hash to %s, want %s", tt.seed, tt.n, got, tt.want)
		}
	}
}

// levels returns the mean and the standard deviation of a picture's bytes.
func levels(pix []byte) (mean, deviation float64) {
	var sum, squares float64
	for _, p := range pix {
		sum += float64(p)
		squares += float64(p) * float64(p)
	}
	n := float64(len(pix))
	return sum / n, math.Sqrt(squares/n - sum/n*sum/n)
}

func TestPhotometry(t *testing.T) {
	var mean, contrast [6]float64
	const seeds, frames = 6, 3
	for seed := range uint64(seeds) {
		s := newScene(t, options(scene.Day, seed))
		for _, style := range scene.Styles() {
			setStyle(t, s, style)
			for i := range frames {
				pix, _ := render(s, 400*i)
				m, d := levels(pix)
				mean[style] += m / seeds / frames
				contrast[style] += d / seeds / frames
			}
		}
	}
	for _, style := range scene.Styles() {
		t.Logf("%-5v mean %5.1f deviation %4.1f", style, mean[style], contrast[style])
	}
	// CamVid's day sequences have means of 85 to 137, its dusk sequence 60.
	if mean[scene.Day] < 85 || mean[scene.Day] > 140 {
		t.Errorf("day has mean %.1f, want 85..140 as real footage", mean[scene.Day])
	}
	if mean[scene.Dusk] < 40 || mean[scene.Dusk] > 80 {
		t.Errorf("dusk has mean %.1f, want 40..80 as real footage", mean[scene.Dusk])
	}
	if !(mean[scene.Night] < 0.75*mean[scene.Dusk] && mean[scene.Dusk] < 0.75*mean[scene.Day]) {
		t.Errorf("means of night %.1f, dusk %.1f, day %.1f, want clear steps up", mean[scene.Night], mean[scene.Dusk], mean[scene.Day])
	}
	if mean[scene.Rain] > 0.9*mean[scene.Day] || mean[scene.Snow] < mean[scene.Day] {
		t.Errorf("means of rain %.1f, day %.1f, snow %.1f, want rain darker and snow brighter", mean[scene.Rain], mean[scene.Day], mean[scene.Snow])
	}
	if contrast[scene.Fog] > 0.75*contrast[scene.Day] {
		t.Errorf("fog has deviation %.1f, day %.1f, want at most three quarters", contrast[scene.Fog], contrast[scene.Day])
	}
}

func TestRenderDoesNotAllocate(t *testing.T) {
	for _, style := range scene.Styles() {
		s := newScene(t, options(style, 2))
		o := s.Options()
		bgr, labels := make([]byte, o.Width*o.Height*3), make([]byte, o.Width*o.Height)
		n := 0
		got := testing.AllocsPerRun(40, func() {
			s.Render(n, bgr, labels)
			n += 25 // reaches new blocks
		})
		if got != 0 {
			t.Errorf("%v: %g allocations per frame, want 0", style, got)
		}
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	good := options(scene.Day, 1)
	tests := map[string]func(*scene.Options){
		"no width":        func(o *scene.Options) { o.Width = 0 },
		"negative height": func(o *scene.Options) { o.Height = -360 },
		"too small":       func(o *scene.Options) { o.Width, o.Height = 62, 62 },
		"too large":       func(o *scene.Options) { o.Width = 4098 },
		"odd width":       func(o *scene.Options) { o.Width = 321 },
		"odd height":      func(o *scene.Options) { o.Height = 181 },
		"no rate":         func(o *scene.Options) { o.FPS = 0 },
		"negative rate":   func(o *scene.Options) { o.FPS = -30 },
		"rate not a number": func(o *scene.Options) {
			o.FPS = math.NaN()
		},
		"infinite rate":  func(o *scene.Options) { o.FPS = math.Inf(1) },
		"negative style": func(o *scene.Options) { o.Style = -1 },
		"unknown style":  func(o *scene.Options) { o.Style = 6 },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if _, err := scene.New(o); !errors.Is(err, scene.ErrOptions) {
				t.Errorf("New(%+v) = %v, want an error that wraps ErrOptions", o, err)
			}
		})
	}
}

func TestExtremeFramesAndSizes(t *testing.T) {
	sizes := [][2]int{{64, 64}, {4096, 64}, {64, 512}, {130, 98}}
	for _, size := range sizes {
		for _, fps := range []float64{0.001, 30, 1000} {
			s := newScene(t, scene.Options{Width: size[0], Height: size[1], FPS: fps, Seed: math.MaxUint64})
			for _, style := range []scene.Style{scene.Night, scene.Rain, scene.Snow} {
				setStyle(t, s, style)
				for _, n := range []int{0, -1, math.MaxInt, math.MinInt, math.MaxInt32} {
					if _, labels := render(s, n); labels[len(labels)-1] >= scene.NumClasses {
						t.Errorf("%v at %g frames/s, frame %d: the last label is %d", size, fps, n, labels[len(labels)-1])
					}
				}
			}
		}
	}
}

func TestParseStyle(t *testing.T) {
	for _, style := range scene.Styles() {
		if got, err := scene.ParseStyle(style.String()); got != style || err != nil {
			t.Errorf("ParseStyle(%q) = %v, %v, want %v", style, got, err, style)
		}
	}
	for _, name := range []string{"", "Day", "dawn", "day ", "0"} {
		if _, err := scene.ParseStyle(name); !errors.Is(err, scene.ErrStyle) {
			t.Errorf("ParseStyle(%q) = %v, want an error that wraps ErrStyle", name, err)
		}
	}
	if got := scene.Style(77).String(); got != "Style(77)" {
		t.Errorf("Style(77).String() = %q, want Style(77)", got)
	}
}

func BenchmarkRender(b *testing.B) {
	for _, size := range [][2]int{{640, 360}, {1280, 720}} {
		for _, style := range scene.Styles() {
			b.Run(fmt.Sprintf("%dx%d/%v", size[0], size[1], style), func(b *testing.B) {
				s := newScene(b, scene.Options{Width: size[0], Height: size[1], FPS: 30, Style: style, Seed: 1})
				bgr, labels := make([]byte, size[0]*size[1]*3), make([]byte, size[0]*size[1])
				s.Render(0, bgr, labels)
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					n++
					s.Render(n, bgr, labels)
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
			})
		}
	}
}
