package augment

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"io"
	"math"
	"slices"
	"testing"
)

// The picture of testdata/make.py.
const goldenWidth, goldenHeight = 41, 29

func golden(t testing.TB, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/golden.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// difference returns the largest difference of bytes and the share that differs.
func difference(t testing.TB, got, want []uint8) (largest int, share float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
	different := 0
	for i := range got {
		if d := max(got[i], want[i]) - min(got[i], want[i]); d > 0 {
			largest = max(largest, int(d))
			different++
		}
	}
	return largest, float64(different) / float64(len(got))
}

func TestResamplingEqualsPillow(t *testing.T) {
	picture, ids := golden(t, "picture.rgb"), golden(t, "labels.ids")
	size := image.Pt(goldenWidth, goldenHeight)
	for _, scaled := range []image.Point{{20, 14}, {41, 29}, {33, 23}, {57, 40}, {82, 58}} {
		whole := golden(t, fmt.Sprintf("bicubic_%dx%d.rgb", scaled.X, scaled.Y))
		wholeIDs := golden(t, fmt.Sprintf("nearest_%dx%d.ids", scaled.X, scaled.Y))
		for _, window := range []image.Rectangle{{Max: scaled}, image.Rect(3, 2, 17, 11), image.Rect(-5, -7, 90, 70), image.Rect(12, 9, 200, 30)} {
			t.Run(fmt.Sprint(scaled, window), func(t *testing.T) {
				want, wantIDs := make([]uint8, 3*window.Dx()*window.Dy()), make([]uint8, window.Dx()*window.Dy())
				for i := range wantIDs {
					at := window.Min.Add(image.Pt(i%window.Dx(), i/window.Dx()))
					if wantIDs[i] = 255; at.In(image.Rectangle{Max: scaled}) {
						from := at.Y*scaled.X + at.X
						wantIDs[i] = wholeIDs[from]
						copy(want[3*i:], whole[3*from:][:3])
					}
				}
				got, gotIDs := make([]uint8, len(want)), make([]uint8, len(wantIDs))
				resample(got, window, picture, size, scaled)
				resampleLabels(gotIDs, window, ids, size, scaled)
				if largest, share := difference(t, got, want); largest != 0 {
					t.Errorf("pixels differ by up to %d in %.2f%%", largest, 100*share)
				}
				if !slices.Equal(gotIDs, wantIDs) {
					t.Error("labels differ")
				}
			})
		}
	}
}

func TestColoursEqualPillow(t *testing.T) {
	for _, change := range []struct {
		name    string
		apply   func([]uint8, float64)
		factors []float64
	}{
		{"brightness", brightness, []float64{0.6, 0.837, 1.4}},
		{"contrast", contrast, []float64{0.6, 0.837, 1.4}},
		{"saturation", saturation, []float64{0.6, 0.837, 1.4}},
		{"hue", rotateHue, []float64{-0.3, -0.1, 0, 0.0731, 0.5}},
	} {
		for _, factor := range change.factors {
			name := fmt.Sprintf("%s_%v.rgb", change.name, factor)
			if factor == 0 {
				name = "hue_0.0.rgb"
			}
			t.Run(name, func(t *testing.T) {
				got := golden(t, "picture.rgb")
				change.apply(got, factor)
				if largest, share := difference(t, got, golden(t, name)); largest != 0 {
					t.Errorf("pixels differ by up to %d in %.2f%%", largest, 100*share)
				}
			})
		}
	}
}

// All 2^24 colours, red slowest; the checksums are of Pillow's conversions, see make.py.
func TestHSVEqualsPillow(t *testing.T) {
	tables := hues()
	to, from := crc32.NewIEEE(), crc32.NewIEEE()
	hsv, rgb := make([]byte, 0, 3<<16), make([]byte, 0, 3<<16)
	for a := range 256 {
		hsv, rgb = hsv[:0], rgb[:0]
		for i := range 1 << 16 {
			x, y, z := uint8(a), uint8(i>>8), uint8(i)
			h, s, v := tables.hsv(x, y, z)
			hsv = append(hsv, h, s, v)
			r, g, b := tables.rgb(x, y, z)
			rgb = append(rgb, r, g, b)
		}
		to.Write(hsv)
		from.Write(rgb)
	}
	if to.Sum32() != 0xce278e73 {
		t.Errorf("RGB to HSV has checksum %#x", to.Sum32())
	}
	if from.Sum32() != 0xcb4b8111 {
		t.Errorf("HSV to RGB has checksum %#x", from.Sum32())
	}
}

func TestBlurEqualsSciPy(t *testing.T) {
	for _, sigma := range []float64{0.15, 0.4, 0.7, 1.3} {
		t.Run(fmt.Sprint(sigma), func(t *testing.T) {
			got := golden(t, "picture.rgb")
			gaussian(got, goldenWidth, goldenHeight, sigma)
			exact := golden(t, fmt.Sprintf("blur_%v.f32", sigma))
			different := 0
			for i, v := range got {
				want := float64(math.Float32frombits(binary.LittleEndian.Uint32(exact[4*i:])))
				if uint8(want) != v {
					different++
				}
				if below := want - float64(v); below < -0.3 || below > 1.3 {
					t.Fatalf("byte %d is %d, want %.3f cut off", i, v, want)
				}
			}
			if share := float64(different) / float64(len(got)); share > 0.08 {
				t.Errorf("%.1f%% of the bytes are a level off", 100*share)
			}
		})
	}
}
