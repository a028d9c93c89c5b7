package v4l2

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/pion/mediadevices/pkg/frame"
	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
)

const w, h = 64, 48

// noise is a raw buffer of random bytes, from a fixed seed.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// Raw formats must come out as OpenCV converts them.
func TestRawMatchesOpenCV(t *testing.T) {
	for name, tc := range map[string]struct {
		format   frame.Format
		rows     int
		mt       gocv.MatType
		code     gocv.ColorConversionCode
		channels int
	}{
		"YUYV": {frame.FormatYUYV, h, gocv.MatTypeCV8UC2, gocv.ColorYUVToBGRYUY2, 2},
		"UYVY": {frame.FormatUYVY, h, gocv.MatTypeCV8UC2, gocv.ColorYUVToBGRUYVY, 2},
		"I420": {frame.FormatI420, h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRIYUV, 1},
		"NV12": {frame.FormatNV12, h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRNV12, 1},
		"NV21": {frame.FormatNV21, h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRNV21, 1},
	} {
		t.Run(name, func(t *testing.T) {
			raw := noise(w * tc.rows * tc.channels)
			src, err := gocv.NewMatFromBytes(tc.rows, w, tc.mt, bytes.Clone(raw))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			dst := gocv.NewMat()
			defer dst.Close()
			gocv.CvtColor(src, &dst, tc.code)
			want := dst.ToBytes()

			decoder, err := frame.NewDecoder(tc.format)
			if err != nil {
				t.Fatal(err)
			}
			img, release, err := decoder.Decode(raw, w, h)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			if got := converted(t, img, w, h, false); !bytes.Equal(got, want) {
				t.Error("pixels differ from OpenCV's")
			}
		})
	}
}

// Pictures out of JPEGs must come out as Go's own conversion has them, for each kind of
// subsampling and for odd sizes.
func TestFullRangeMatchesGo(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		for _, size := range []image.Point{{16, 8}, {17, 9}} {
			if shift, _, _ := chromaShift(ratio); shift == 2 && size.X%4 != 0 {
				continue // OpenCV places some chroma a pixel beside where it belongs
			}
			img := image.NewYCbCr(image.Rectangle{Max: size}, ratio)
			copy(img.Y, noise(len(img.Y)))
			copy(img.Cb, noise(len(img.Cb)))
			copy(img.Cr, noise(len(img.Cr) + 5)[5:])
			got := converted(t, img, size.X, size.Y, true)
			for i := range size.X * size.Y {
				want := color.RGBAModel.Convert(img.At(i%size.X, i/size.X)).(color.RGBA)
				for c, v := range []byte{want.B, want.G, want.R} {
					if d := int(got[3*i+c]) - int(v); d < -1 || d > 1 {
						t.Fatalf("%v %v: pixel %d channel %d = %d, Go has %d", ratio, size, i, c, got[3*i+c], v)
					}
				}
			}
		}
	}
}

// converted returns the pixels of a picture after two conversions, of which the second reuses
// everything.
func converted(t *testing.T, img image.Image, width, height int, fullRange bool) []byte {
	t.Helper()
	c := newConverter(width, height, fullRange)
	f := camera.NewPool(width, height).Get()
	for range 2 {
		clear(f.Pix)
		if err := c.convert(f, img); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	return f.Pix
}

func TestConversionErrors(t *testing.T) {
	short := image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420)
	short.Cr = short.Cr[:3]
	for name, img := range map[string]image.Image{
		"other size":   image.NewYCbCr(image.Rect(0, 0, 8, 4), image.YCbCrSubsampleRatio420),
		"short chroma": short,
		"other type":   image.NewCMYK(image.Rect(0, 0, 8, 8)),
		"raw 4:4:4":    image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio444),
	} {
		c := newConverter(8, 8, false)
		if err := c.convert(camera.NewPool(8, 8).Get(), img); err == nil {
			t.Errorf("%s: convert succeeded, want an error", name)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestGray(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 8, 8))
	img.Pix[9] = 77
	if got := converted(t, img, 8, 8, true); !bytes.Equal(got[24:30], []byte{0, 0, 0, 77, 77, 77}) {
		t.Errorf("pixels %v, want 77 in the second of the row", got[24:30])
	}
}

func BenchmarkConvert720p(b *testing.B) {
	for name, tc := range map[string]struct {
		ratio image.YCbCrSubsampleRatio
		full  bool
	}{
		"YUYV":  {image.YCbCrSubsampleRatio422, false},
		"I420":  {image.YCbCrSubsampleRatio420, false},
		"MJPEG": {image.YCbCrSubsampleRatio420, true},
	} {
		b.Run(name, func(b *testing.B) {
			img := image.NewYCbCr(image.Rect(0, 0, 1280, 720), tc.ratio)
			copy(img.Y, noise(len(img.Y)))
			c := newConverter(1280, 720, tc.full)
			f := camera.NewPool(1280, 720).Get()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.convert(f, img); err != nil {
					b.Fatal(err)
				}
			}
			if err := c.close(); err != nil {
				b.Error(err)
			}
		})
	}
}
