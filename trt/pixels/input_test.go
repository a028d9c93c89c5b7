package pixels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
)

func newInput(tb testing.TB, width, height int) *Input {
	tb.Helper()
	in, err := NewInput(trt.CardSize{Height: height, Width: width}, make([]byte, height*width*3))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.Close() })
	return in
}

func noise(width, height int) *camera.Frame {
	f := &camera.Frame{Pix: make([]byte, width*height*3), Width: width, Height: height}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range f.Pix {
		f.Pix[i] = uint8(rng.IntN(256))
	}
	return f
}

// What the network sees, on the hardest picture there is, against the filters' definitions.
func TestInputAgainstDefinition(t *testing.T) {
	const width, height = 48, 36
	in := newInput(t, width, height)
	tests := map[string]struct {
		width, height int
		filter        func(f *camera.Frame, x, y, channel int) float64
	}{
		"unscaled":              {width, height, bilinear(width, height)},
		"larger":                {77, 50, bilinear(width, height)},
		"smaller":               {31, 11, bilinear(width, height)},
		"wider and lower":       {90, 20, bilinear(width, height)},
		"twice":                 {2 * width, 2 * height, box(width, height)},
		"two and two thirds":    {128, 96, halved(1, bilinear(width, height))},
		"two and a half, odd":   {121, 91, box(width, height)},
		"four times":            {4 * width, 4 * height, halved(2, bilinear(width, height))},
		"much larger":           {1280, 720, halved(4, bilinear(width, height))},
		"much wider":            {1280, 72, halved(1, box(width, height))},
		"only wide enough":      {2 * width, 50, box(width, height)},
		"just below half scale": {2*width - 1, 2*height - 1, bilinear(width, height)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := noise(tt.width, tt.height)
			if err := in.Fill(f); err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i, got := range in.Pixels() {
				x, y, rgb := i/3%width, i/3/width, i%3
				worst = max(worst, math.Abs(float64(got)-tt.filter(f, x, y, 2-rgb)))
			}
			t.Logf("greatest difference %.2f levels", worst)
			if worst > 1.5 {
				t.Errorf("input differs by up to %.2f levels, want at most 1.5", worst)
			}
		})
	}
}

// bilinear interpolates between the centres of the four nearest pixels.
func bilinear(width, height int) func(f *camera.Frame, x, y, channel int) float64 {
	return func(f *camera.Frame, x, y, channel int) float64 {
		sx := (float64(x)+0.5)*float64(f.Width)/float64(width) - 0.5
		sy := (float64(y)+0.5)*float64(f.Height)/float64(height) - 0.5
		x0, y0 := math.Floor(sx), math.Floor(sy)
		at := func(x, y float64) float64 {
			px := min(max(int(x), 0), f.Width-1)
			py := min(max(int(y), 0), f.Height-1)
			return float64(f.Pix[(py*f.Width+px)*3+channel])
		}
		dx, dy := sx-x0, sy-y0
		return (1-dy)*((1-dx)*at(x0, y0)+dx*at(x0+1, y0)) + dy*((1-dx)*at(x0, y0+1)+dx*at(x0+1, y0+1))
	}
}

// box averages the source over the area of the pixel.
func box(width, height int) func(f *camera.Frame, x, y, channel int) float64 {
	return func(f *camera.Frame, x, y, channel int) float64 {
		scaleX, scaleY := float64(f.Width)/float64(width), float64(f.Height)/float64(height)
		x0, x1 := float64(x)*scaleX, float64(x+1)*scaleX
		y0, y1 := float64(y)*scaleY, float64(y+1)*scaleY
		sum, area := 0.0, 0.0
		for py := int(y0); py < f.Height && float64(py) < y1; py++ {
			for px := int(x0); px < f.Width && float64(px) < x1; px++ {
				w := (min(x1, float64(px+1)) - max(x0, float64(px))) * (min(y1, float64(py+1)) - max(y0, float64(py)))
				sum += w * float64(f.Pix[(py*f.Width+px)*3+channel])
				area += w
			}
		}
		return sum / area
	}
}

// halved averages two by two pixels n times, rounding each time, and then filters.
func halved(n int, filter func(f *camera.Frame, x, y, channel int) float64) func(f *camera.Frame, x, y, channel int) float64 {
	small := map[*camera.Frame]*camera.Frame{}
	return func(f *camera.Frame, x, y, channel int) float64 {
		if small[f] == nil {
			half := f
			for range n {
				from := half
				half = &camera.Frame{Width: from.Width / 2, Height: from.Height / 2}
				mean := box(half.Width, half.Height)
				for i := range half.Width * half.Height * 3 {
					half.Pix = append(half.Pix, byte(math.Floor(mean(from, i/3%half.Width, i/3/half.Width, i%3)+0.5)))
				}
			}
			small[f] = half
		}
		return filter(small[f], x, y, channel)
	}
}

func BenchmarkPreprocess(b *testing.B) {
	for name, size := range map[string][2]int{"720p": {1280, 720}, "1080p": {1920, 1080}, "480x360": {480, 360}} {
		b.Run(name, func(b *testing.B) {
			in := newInput(b, 480, 360)
			f := noise(size[0], size[1])
			b.ReportAllocs()
			for b.Loop() {
				if err := in.Fill(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
