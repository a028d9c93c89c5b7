package overlay

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/trt"
)

var testClasses = []trt.Class{
	{Name: "sky", Color: [3]uint8{70, 130, 180}},
	{Name: "road", Color: [3]uint8{128, 64, 128}},
	{Name: "traffic sign", Color: [3]uint8{220, 220, 0}},
}

func plainOptions(w, h int) Options {
	return Options{Width: w, Height: h, MaskWidth: w / 4, MaskHeight: h / 4, Classes: testClasses, Alpha: 0.4}
}

// noise makes a frame and a mask with reproducible random content.
func noise(o Options, w, h int) (*camera.Frame, []uint8) {
	rng := rand.New(rand.NewPCG(1, uint64(w*h)))
	f := camera.NewPool(w, h).Get()
	for i := range f.Pix {
		f.Pix[i] = byte(rng.Uint32())
	}
	f.Captured = time.UnixMicro(1_790_000_000_123_456)
	mask := make([]uint8, o.MaskWidth*o.MaskHeight)
	for i := range mask {
		mask[i] = uint8(rng.IntN(len(o.Classes)))
	}
	return f, mask
}

func newRenderer(t testing.TB, o Options) *Renderer {
	t.Helper()
	r, err := NewRenderer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// want computes a view pixel by pixel from the definition: nearest neighbour by the pixel's
// place, and a weighted mean of frame and colour.
func want(f *camera.Frame, mask []uint8, o Options, v view.View, x, y int) [3]float64 {
	if v == view.SideBySide {
		if x < o.Width {
			v = view.Raw
		} else {
			v, x = view.Overlay, x-o.Width
		}
	}
	id := mask[y*o.MaskHeight/o.Height*o.MaskWidth+x*o.MaskWidth/o.Width]
	c := o.Classes[id].Color
	alpha := map[view.View]float64{view.Raw: 0, view.Mask: 1, view.Overlay: o.Alpha}[v]
	var px [3]float64
	for k := range px {
		px[k] = (1-alpha)*float64(f.Pix[(y*f.Width+x)*3+k]) + alpha*float64(c[2-k])
	}
	return px
}

func TestViewsMatchTheirDefinition(t *testing.T) {
	o := plainOptions(96, 64)
	f, mask := noise(o, 96, 64)
	r := newRenderer(t, o)
	for _, v := range view.All() {
		p, err := r.Draw(f, mask, v, Figures{})
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		wantWidth := o.Width
		if v == view.SideBySide {
			wantWidth *= 2
		}
		if p.Width != wantWidth || p.Height != o.Height {
			t.Fatalf("%s is %d×%d, want %d×%d", v, p.Width, p.Height, wantWidth, o.Height)
		}
		for y := range p.Height {
			for x := range p.Width {
				w := want(f, mask, o, v, x, y)
				for k := range 3 {
					if got := float64(p.Pix[(y*p.Width+x)*3+k]); math.Abs(got-w[k]) > 0.51 {
						t.Fatalf("%s at %d,%d channel %d = %v, want %v", v, x, y, k, got, w[k])
					}
				}
			}
		}
	}
}

func TestFramesOfAnotherSizeAreScaled(t *testing.T) {
	o := plainOptions(96, 64)
	r := newRenderer(t, o)
	for _, size := range []image.Point{{48, 32}, {201, 133}, {96, 64}, {1, 1}} {
		f, mask := noise(o, size.X, size.Y)
		for i := range f.Pix {
			f.Pix[i] = 77
		}
		p, err := r.Draw(f, mask, view.Raw, Figures{})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Pix[len(p.Pix)/2]; p.Width != 96 || p.Height != 64 || got != 77 {
			t.Errorf("from %v: %d×%d with level %d, want 96×64 with 77", size, p.Width, p.Height, got)
		}
	}
}

func TestI420IsLimitedRangeBT601(t *testing.T) {
	o := plainOptions(32, 32)
	r := newRenderer(t, o)
	// Values of ITU-R BT.601 for full-range RGB, rounded.
	for name, tc := range map[string]struct {
		bgr       [3]byte
		y, cb, cr int
	}{
		"black": {[3]byte{0, 0, 0}, 16, 128, 128},
		"white": {[3]byte{255, 255, 255}, 235, 128, 128},
		"red":   {[3]byte{0, 0, 255}, 82, 90, 240},
		"green": {[3]byte{0, 255, 0}, 145, 54, 34},
		"blue":  {[3]byte{255, 0, 0}, 41, 240, 110},
	} {
		f, mask := noise(o, 32, 32)
		for i := range f.Pix {
			f.Pix[i] = tc.bgr[i%3]
		}
		p, err := r.Draw(f, mask, view.Raw, Figures{})
		if err != nil {
			t.Fatal(err)
		}
		img := p.I420()
		y, cb, cr := int(img.Y[100]), int(img.Cb[50]), int(img.Cr[50])
		if max(abs(y-tc.y), abs(cb-tc.cb), abs(cr-tc.cr)) > 1 {
			t.Errorf("%s = %d %d %d, want %d %d %d", name, y, cb, cr, tc.y, tc.cb, tc.cr)
		}
	}
}

func abs(v int) int { return max(v, -v) }

func TestJPEGShowsThePicture(t *testing.T) {
	o := plainOptions(64, 64)
	r := newRenderer(t, o)
	f, mask := noise(o, 64, 64)
	for i := range mask {
		mask[i] = 1
	}
	p, err := r.Draw(f, mask, view.Mask, Figures{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.JPEG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	got := color.RGBAModel.Convert(img.At(30, 30)).(color.RGBA)
	if c := testClasses[1].Color; abs(int(got.R)-int(c[0])) > 4 || abs(int(got.G)-int(c[1])) > 4 || abs(int(got.B)-int(c[2])) > 4 {
		t.Errorf("pixel = %v, want about %v", got, c)
	}
}

func TestStampRoundTrip(t *testing.T) {
	now := time.UnixMicro(1_790_000_000_000_000)
	for _, width := range []int{112, 320, 640, 1280, 1920} {
		o := plainOptions(width, 64)
		o.Stamp = true
		r := newRenderer(t, o)
		f, mask := noise(o, width, 64)
		for _, captured := range []time.Time{now, now.Add(-time.Second), now.Add(123456 * time.Microsecond)} {
			f.Captured = captured
			p, err := r.Draw(f, mask, view.Overlay, Figures{})
			if err != nil {
				t.Fatal(err)
			}
			img := p.I420()
			got, ok := ReadStamp(img.Y, width, img.YStride, now)
			if !ok || !got.Equal(captured) {
				t.Errorf("width %d: read %v, %v, want %v", width, got, ok, captured)
			}
		}
	}
}

func TestNoStampIsNotRead(t *testing.T) {
	o := plainOptions(640, 64)
	r := newRenderer(t, o)
	read := 0
	for i := range 200 {
		f, mask := noise(o, 640, 64)
		f.Pix[0] = byte(i)
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		for j := range f.Pix[:640*3*16] {
			f.Pix[j] = byte(rng.IntN(2)) * 255
		}
		p, err := r.Draw(f, mask, view.Raw, Figures{})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ReadStamp(p.I420().Y, 640, 640, time.Now()); ok {
			read++
		}
	}
	// Eight check bits let one in 256 through.
	if read > 8 {
		t.Errorf("%d of 200 pictures without a stamp were read", read)
	}
	if _, ok := ReadStamp(nil, 640, 640, time.Now()); ok {
		t.Error("an empty picture was read")
	}
	if _, ok := ReadStamp(make([]byte, 64*64), 64, 64, time.Now()); ok {
		t.Error("a picture too narrow for a stamp was read")
	}
}

func TestFiguresAndLegendAreDrawn(t *testing.T) {
	o := plainOptions(640, 360)
	o.Legend, o.Stats = true, true
	plain, marked := newRenderer(t, plainOptions(640, 360)), newRenderer(t, o)
	f, mask := noise(o, 640, 360)
	a, err := plain.Draw(f, mask, view.Overlay, Figures{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := marked.Draw(f, mask, view.Overlay, Figures{FPS: 29.97, Infer: 12 * time.Millisecond, Dropped: 3})
	if err != nil {
		t.Fatal(err)
	}
	changed := func(box image.Rectangle) (n int) {
		for y := box.Min.Y; y < box.Max.Y; y++ {
			i, j := (y*640+box.Min.X)*3, (y*640+box.Max.X)*3
			if !bytes.Equal(a.Pix[i:j], b.Pix[i:j]) {
				n++
			}
		}
		return n
	}
	if n := changed(image.Rect(480, 0, 640, 60)); n < 30 {
		t.Errorf("the legend's corner differs in %d rows, want most of 60", n)
	}
	if n := changed(image.Rect(0, 340, 200, 360)); n < 10 {
		t.Errorf("the figures' corner differs in %d rows, want most of 20", n)
	}
	if n := changed(image.Rect(0, 100, 640, 300)); n != 0 {
		t.Errorf("%d rows between them differ, want none", n)
	}
	raw, err := marked.Draw(f, mask, view.Raw, Figures{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw.Pix, f.Pix) {
		t.Error("the raw view is not the frame")
	}
}

func TestFiguresText(t *testing.T) {
	s := Figures{FPS: 29.97, Infer: 12345 * time.Microsecond, Latency: 21 * time.Millisecond, Dropped: 4}
	with := func(zone string, celsius, watts float64) Figures {
		s := s
		s.Zone, s.Celsius, s.Watts = zone, celsius, watts
		return s
	}
	const plain = "30.0 fps   network 12 ms   latency 21 ms   dropped 4"
	for want, s := range map[string]Figures{
		plain:                          s,
		plain + "   gpu 63 C   15.6 W": with("gpu-thermal", 62.687, 15.6),
		plain + "   x86_pkg_temp 0 C":  with("x86_pkg_temp", 0, 0),
		plain + "   8.0 W":             with("", 50, 8),
		plain + "   acpitz -13 C":      with("acpitz", -12.6, -0.1),
		plain + "   8.0 W   GPU at 918 MHz   throttled: under-voltage, heat": {FPS: s.FPS, Infer: s.Infer, Latency: s.Latency, Dropped: 4, Watts: 8, GPUMegahertz: 918, Throttled: "under-voltage, heat"},
		plain + "   a zone with a long name, 40 C":                           with("a zone with a long name, very long", 40, 0),
	} {
		if got := string(s.append(nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	o := plainOptions(96, 64)
	r := newRenderer(t, o)
	f, mask := noise(o, 96, 64)
	if _, err := r.Draw(f, mask[1:], view.Overlay, Figures{}); err == nil || !strings.Contains(err.Error(), "mask") {
		t.Errorf("short mask: %v", err)
	}
	if _, err := r.Draw(f, mask, "sideways", Figures{}); err == nil {
		t.Error("unknown view was drawn")
	}
	broken := *f
	broken.Pix = f.Pix[:10]
	if _, err := r.Draw(&broken, mask, view.Raw, Figures{}); err == nil {
		t.Error("a frame with too few bytes was drawn")
	}
	for _, size := range [][2]int{{95, 64}, {96, 63}, {0, 64}, {96, -2}} {
		o := o
		o.Width, o.Height = size[0], size[1]
		if _, err := NewRenderer(o); err == nil {
			t.Errorf("%v was accepted", size)
		}
	}
}

func TestEverythingFitsSmallPictures(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {16, 16}, {64, 8}, {8, 64}, {130, 40}} {
		o := plainOptions(size[0], size[1])
		o.MaskWidth, o.MaskHeight = 1, 1
		o.Legend, o.Stats, o.Stamp = true, true, true
		r := newRenderer(t, o)
		f, mask := noise(o, size[0], size[1])
		for _, v := range view.All() {
			if _, err := r.Draw(f, mask, v, Figures{FPS: 1e6, Dropped: math.MaxUint64, Zone: "tj-thermal", Celsius: 99, Watts: 1e6, GPUMegahertz: math.MaxInt, Throttled: "heat"}); err != nil {
				t.Errorf("%v %s: %v", size, v, err)
			}
		}
	}
}

func TestDrawDoesNotAllocate(t *testing.T) {
	o := plainOptions(640, 360)
	o.Legend, o.Stats, o.Stamp = true, true, true
	r := newRenderer(t, o)
	f, mask := noise(o, 640, 360)
	draw := func() {
		p, err := r.Draw(f, mask, view.Overlay, Figures{FPS: 30, Infer: time.Millisecond, Zone: "gpu-thermal", Celsius: 61.3, Watts: 15.6, GPUMegahertz: 918, Throttled: "heat"})
		if err != nil {
			t.Fatal(err)
		}
		p.I420()
	}
	draw()
	if n := testing.AllocsPerRun(50, draw); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, v := range view.All() {
		b.Run("1280x720/"+string(v), func(b *testing.B) {
			o := plainOptions(1280, 720)
			o.Legend, o.Stats = true, true
			r := newRenderer(b, o)
			f, mask := noise(o, 1280, 720)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Draw(f, mask, v, Figures{FPS: 30}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkI420(b *testing.B) {
	o := plainOptions(1280, 720)
	r := newRenderer(b, o)
	f, mask := noise(o, 1280, 720)
	p, err := r.Draw(f, mask, view.Overlay, Figures{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.I420()
	}
}
