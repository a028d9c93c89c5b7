package corrupt_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/corrupt"
)

var update = flag.Bool("update", false, "write the golden file anew")

const width, height = 200, 120

// street is a drawn picture, red, green, blue.
func street(t testing.TB, width, height int) []uint8 {
	t.Helper()
	s, err := scene.New(scene.Options{Width: width, Height: height, FPS: 30, Style: scene.Day, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	rgb, labels := make([]byte, 3*width*height), make([]byte, width*height)
	s.Render(100, rgb, labels)
	for i := 0; i < len(rgb); i += 3 {
		rgb[i], rgb[i+2] = rgb[i+2], rgb[i]
	}
	return rgb
}

func grey(level uint8) []uint8 { return slices.Repeat([]uint8{level}, 3*width*height) }

func apply(t testing.TB, kind corrupt.Kind, severity int, seed uint64, rgb []uint8) []uint8 {
	t.Helper()
	out, err := corrupt.Apply(kind, severity, seed, rgb, width, height)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(rgb) {
		t.Fatalf("%s %d: %d bytes, want %d", kind, severity, len(out), len(rgb))
	}
	return out
}

// psnr is the peak signal-to-noise ratio in dB.
func psnr(a, b []uint8) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/sum)
}

func TestSeverity(t *testing.T) {
	clean := street(t, width, height)
	for _, kind := range corrupt.Kinds() {
		var quality [corrupt.MaxSeverity]float64
		for s := range quality {
			quality[s] = psnr(clean, apply(t, kind, s+1, 3, clean))
		}
		for s := 1; s < len(quality); s++ {
			// ImageNet-C's snow has fewer flakes at 3 than at 2, and brighter ones: which is
			// worse is up to chance. Its fog from 4 on is more uneven rather than denser.
			published := kind == corrupt.Snow && s == 2 || kind == corrupt.Fog && s >= 3
			if quality[s] >= quality[s-1] && !published {
				t.Errorf("%s: PSNR %.1f dB at severity %d, %.1f at %d", kind, quality[s], s+1, quality[s-1], s)
			}
		}
		if quality[0] > 45 || quality[4] < 5 || quality[4] > quality[0]-1 {
			t.Errorf("%s: PSNR %.1f", kind, quality)
		}
	}
}

func TestSameArgumentsSamePixels(t *testing.T) {
	clean := street(t, width, height)
	before := slices.Clone(clean)
	drawn := []corrupt.Kind{corrupt.GaussianNoise, corrupt.MotionBlur, corrupt.Rain, corrupt.Snow, corrupt.Fog}
	for _, kind := range corrupt.Kinds() {
		a, b, other := apply(t, kind, 3, 7, clean), apply(t, kind, 3, 7, clean), apply(t, kind, 3, 8, clean)
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from one call to the next", kind)
		}
		if bytes.Equal(a, other) == slices.Contains(drawn, kind) {
			t.Errorf("%s: with another seed, the same pixels are %v", kind, bytes.Equal(a, other))
		}
	}
	if !bytes.Equal(clean, before) {
		t.Error("the picture was overwritten")
	}
}

// TestGolden pins the pixels down, so that figures of different versions can be compared: by
// hashes where all is computed here, by PSNR where OpenCV's rounding depends on the processor.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skipf("skipped: fused multiplication changes single levels on %s", runtime.GOARCH)
	}
	byOpenCV := []corrupt.Kind{corrupt.DefocusBlur, corrupt.MotionBlur, corrupt.Snow, corrupt.JPEG}
	clean := street(t, width, height)
	var got strings.Builder
	for _, kind := range corrupt.Kinds() {
		for severity := 1; severity <= corrupt.MaxSeverity; severity++ {
			out := apply(t, kind, severity, 1, clean)
			h := fnv.New64a()
			h.Write(out)
			text := hex.EncodeToString(h.Sum(nil))
			if slices.Contains(byOpenCV, kind) {
				text = fmt.Sprintf("%.1f dB", psnr(clean, out))
			}
			fmt.Fprintf(&got, "%s %d %s\n", kind, severity, text)
		}
	}
	path := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("pixels have changed; if that is meant, run go test -update:\n%s", got.String())
	}
}

// TestNoise compares the deviation with ImageNet-C's constants.
func TestNoise(t *testing.T) {
	for severity, want := range map[int]float64{1: 0.08, 2: 0.12, 3: 0.18} { // those that are hardly cut off
		sum, squares := 0.0, 0.0
		out := apply(t, corrupt.GaussianNoise, severity, 2, grey(128))
		for _, v := range out {
			d := (float64(v) - 128) / 255
			sum, squares = sum+d, squares+d*d
		}
		n := float64(len(out))
		mean, deviation := sum/n, math.Sqrt(squares/n)
		// Five standard errors, and the share beyond the range at severity 3.
		if math.Abs(mean) > 5*want/math.Sqrt(n) || math.Abs(deviation-want) > 5*want/math.Sqrt(2*n)+0.0015*float64(severity-1) {
			t.Errorf("severity %d: mean %.5f, deviation %.5f; want 0, %v", severity, mean, deviation, want)
		}
	}
}

// TestPoints compares kinds that work on each pixel by itself with formulas of ImageNet-C,
// worked out by hand.
func TestPoints(t *testing.T) {
	half := grey(0)
	for i := range half[:len(half)/2] {
		half[i] = []uint8{200, 120, 40}[i%3]
	}
	first := func(rgb []uint8) [3]uint8 { return [3]uint8(rgb[:3]) }
	last := func(rgb []uint8) [3]uint8 { return [3]uint8(rgb[len(rgb)-3:]) }
	// Brightness adds 0.2 to a value of 200/255: factor 251/200. Black becomes 0.2·255.
	out := apply(t, corrupt.Brightness, 2, 1, half)
	if first(out) != [3]uint8{251, 151, 50} || last(out) != [3]uint8{51, 51, 51} {
		t.Errorf("brighter: %v and %v", first(out), last(out))
	}
	// The value is cut off at 1: factor 255/200.
	if out := apply(t, corrupt.Brightness, 4, 1, half); first(out) != [3]uint8{255, 153, 51} {
		t.Errorf("much brighter: %v", first(out))
	}
	// Contrast of 0.3 about means of 100, 60, 20.
	out = apply(t, corrupt.Contrast, 2, 1, half)
	if first(out) != [3]uint8{130, 78, 26} || last(out) != [3]uint8{70, 42, 14} {
		t.Errorf("less contrast: %v and %v", first(out), last(out))
	}
}

// TestBlursKeepTheirPlace looks at a bright point: blurs spread it as far as their sizes say,
// keep its light, and do not move it, for the labels do not move either.
func TestBlursKeepTheirPlace(t *testing.T) {
	const cx, cy = width / 2, height / 2
	spot := grey(0)
	for y := cy - 3; y <= cy+3; y++ {
		for x := cx - 3; x <= cx+3; x++ {
			copy(spot[3*(y*width+x):], []uint8{255, 255, 255})
		}
	}
	const light = 49 * 255
	// The variance of a disk of radius r is r²/2 in both directions together, that of the
	// point's square 8; of a Gaussian's flank (1−2/π)σ².
	for kind, variance := range map[corrupt.Kind][corrupt.MaxSeverity]float64{
		corrupt.DefocusBlur: {9. / 2, 16. / 2, 36. / 2, 64. / 2, 100. / 2},
		corrupt.MotionBlur:  {0.363 * 9, 0.363 * 25, 0.363 * 64, 0, 0}, // wider ones are cut off
	} {
		for s, want := range variance {
			out := apply(t, kind, s+1, 5, spot)
			sum, mx, my, spread := 0.0, 0.0, 0.0, 0.0
			for i := range width * height {
				v, dx, dy := float64(out[3*i]), float64(i%width-cx), float64(i/width-cy)
				sum, mx, my, spread = sum+v, mx+v*dx, my+v*dy, spread+v*(dx*dx+dy*dy)
			}
			mx, my = mx/sum, my/sum
			spread = spread/sum - mx*mx - my*my - 8
			if math.Abs(sum/light-1) > 0.05 || math.Hypot(mx, my) > 0.3 {
				t.Errorf("%s %d: %.3f of the light, moved by (%.2f, %.2f) pixels", kind, s+1, sum/light, mx, my)
			}
			if want != 0 && math.Abs(spread-want) > 0.15*want+0.5 {
				t.Errorf("%s %d: variance %.2f pixels², want %.2f", kind, s+1, spread, want)
			}
		}
	}
}

// TestJPEG compares with the standard library's encoder and decoder, which use the same
// tables. Only chroma differs, which OpenCV's decoder interpolates.
func TestJPEG(t *testing.T) {
	clean := street(t, width, height)
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		img.SetRGBA(i%width, i/width, color.RGBA{clean[3*i], clean[3*i+1], clean[3*i+2], 255})
	}
	for s, quality := range []int{25, 18, 15, 10, 7} { // ImageNet-C's
		var file bytes.Buffer
		if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: quality}); err != nil {
			t.Fatal(err)
		}
		decoded, err := jpeg.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		luma := 0.0
		out := apply(t, corrupt.JPEG, s+1, 1, clean)
		for i := range width * height {
			c := color.RGBAModel.Convert(decoded.At(i%width, i/width)).(color.RGBA)
			y, _, _ := color.RGBToYCbCr(c.R, c.G, c.B)
			ours, _, _ := color.RGBToYCbCr(out[3*i], out[3*i+1], out[3*i+2])
			luma += math.Abs(float64(y)-float64(ours)) / (width * height)
		}
		if luma > 1.5 {
			t.Errorf("quality %d: brightness differs by %.2f levels on average", quality, luma)
		}
	}
}

// TestFog checks the plasma through its effect on black: added brightness of 0 to the
// brightest value's, in clouds.
func TestFog(t *testing.T) {
	picture := grey(0)
	picture[0] = 255
	out := apply(t, corrupt.Fog, 1, 3, picture)
	low, high, steps := uint8(255), uint8(0), 0.0
	for i := 3; i < len(out); i += 3 {
		low, high = min(low, out[i]), max(high, out[i])
		if i/3%width > 0 {
			steps += math.Abs(float64(out[i])-float64(out[i-3])) / (width * height)
		}
	}
	// 1.5 at most, scaled by 1/(1+1.5).
	if high > 153 || high < 90 || high-low < 40 || steps > 6 {
		t.Errorf("black becomes %d to %d, neighbours differ by %.1f", low, high, steps)
	}
}

// TestWeatherCovers says how much of a dark picture rain and snow brighten.
func TestWeatherCovers(t *testing.T) {
	for kind, want := range map[corrupt.Kind][2]float64{corrupt.Rain: {0.02, 0.25}, corrupt.Snow: {0.1, 0.6}} {
		out := apply(t, kind, 1, 3, grey(40))
		base := slices.Clone(out)
		slices.Sort(base)
		covered := 0.0
		for _, v := range out {
			if v > base[len(base)/4]+15 {
				covered += 1 / float64(len(out))
			}
		}
		if covered < want[0] || covered > want[1] {
			t.Errorf("%s covers %.3f of the picture, want %v", kind, covered, want)
		}
	}
}

func TestAnySize(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 7}, {7, 1}, {3, 2}, {65, 64}} {
		rgb := slices.Repeat([]uint8{10, 120, 250}, size[0]*size[1])
		for _, kind := range corrupt.Kinds() {
			for _, severity := range []int{1, corrupt.MaxSeverity} {
				if out, err := corrupt.Apply(kind, severity, 1, rgb, size[0], size[1]); err != nil || len(out) != len(rgb) {
					t.Errorf("%s %d of %d×%d pixels: %d bytes, %v", kind, severity, size[0], size[1], len(out), err)
				}
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind            corrupt.Kind
		severity, bytes int
		width, height   int
		want            string
	}{
		"kind":         {"rian", 1, 12, 2, 2, "did you mean rain?"},
		"no kind":      {"", 1, 12, 2, 2, "choose of noise, defocus"},
		"severity 0":   {corrupt.Fog, 0, 12, 2, 2, "severity 0, want 1 to 5"},
		"severity 6":   {corrupt.Fog, 6, 12, 2, 2, "severity 6"},
		"few bytes":    {corrupt.Fog, 1, 11, 2, 2, "11 bytes are not 2×2 pixels"},
		"no pixels":    {corrupt.Fog, 1, 0, 0, 0, "0 bytes"},
		"negative":     {corrupt.Fog, 1, 12, -2, -2, "12 bytes"},
		"overflow":     {corrupt.Fog, 1, 12, 1 << 62, 4, "12 bytes"},
		"other height": {corrupt.JPEG, 1, 12, 2, 3, "12 bytes are not 2×3"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := corrupt.Apply(c.kind, c.severity, 1, make([]uint8, c.bytes), c.width, c.height)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one of %q", err, c.want)
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	rgb := street(b, 480, 360)
	for _, kind := range corrupt.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				if _, err := corrupt.Apply(kind, corrupt.MaxSeverity, 1, rgb, 480, 360); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
