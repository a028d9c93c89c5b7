package v4l2

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/pion/mediadevices/pkg/frame"
	"gocv.io/x/gocv"
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
			got := make([]byte, w*h*3)
			if err := toBGR(got, img, w, h, &studio); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				// OpenCV clips luma below black before it adds chroma.
				if d := int(got[i]) - int(want[i]); (d < -2 || d > 2) && img.(*image.YCbCr).Y[i/3] >= 16 {
					t.Fatalf("byte %d = %d, OpenCV has %d", i, got[i], want[i])
				}
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
			img := image.NewYCbCr(image.Rectangle{Max: size}, ratio)
			copy(img.Y, noise(len(img.Y)))
			copy(img.Cb, noise(len(img.Cb)))
			copy(img.Cr, noise(len(img.Cr) + 5)[5:])
			got := make([]byte, size.X*size.Y*3)
			if err := toBGR(got, img, size.X, size.Y, &full); err != nil {
				t.Fatalf("%v %v: %v", ratio, size, err)
			}
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

func TestConversionErrors(t *testing.T) {
	short := image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420)
	short.Cr = short.Cr[:3]
	for name, img := range map[string]image.Image{
		"other size":   image.NewYCbCr(image.Rect(0, 0, 8, 4), image.YCbCrSubsampleRatio420),
		"short chroma": short,
		"other type":   image.NewCMYK(image.Rect(0, 0, 8, 8)),
	} {
		if err := toBGR(make([]byte, 8*8*3), img, 8, 8, &full); err == nil {
			t.Errorf("%s: toBGR succeeded, want an error", name)
		}
	}
	gray := image.NewGray(image.Rect(0, 0, 8, 8))
	gray.Pix[9] = 77
	dst := make([]byte, 8*8*3)
	if err := toBGR(dst, gray, 8, 8, &full); err != nil || !bytes.Equal(dst[24:30], []byte{0, 0, 0, 77, 77, 77}) {
		t.Errorf("gray: %v, pixels %v", err, dst[24:30])
	}
}

func BenchmarkYUYVToBGR720p(b *testing.B) {
	img := image.NewYCbCr(image.Rect(0, 0, 1280, 720), image.YCbCrSubsampleRatio422)
	copy(img.Y, noise(len(img.Y)))
	dst := make([]byte, 1280*720*3)
	b.ReportAllocs()
	for b.Loop() {
		if err := toBGR(dst, img, 1280, 720, &studio); err != nil {
			b.Fatal(err)
		}
	}
}
