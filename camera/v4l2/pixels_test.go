package v4l2

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/scene"
)

// Each raw format must come out as OpenCV converts it, with and without padded rows.
func TestFormatsMatchOpenCV(t *testing.T) {
	const w, h = 64, 48
	for name, tc := range map[string]struct {
		rows int
		kind gocv.MatType
		code gocv.ColorConversionCode
	}{
		"YUYV": {h, gocv.MatTypeCV8UC2, gocv.ColorYUVToBGRYUY2},
		"UYVY": {h, gocv.MatTypeCV8UC2, gocv.ColorYUVToBGRUYVY},
		"I420": {h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRIYUV},
		"NV12": {h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRNV12},
		"NV21": {h * 3 / 2, gocv.MatTypeCV8UC1, gocv.ColorYUVToBGRNV21},
		"GREY": {h, gocv.MatTypeCV8UC1, gocv.ColorGrayToBGR},
		"RGB3": {h, gocv.MatTypeCV8UC3, gocv.ColorBGRToRGB}, // which swaps red and blue
		"BGR3": {h, gocv.MatTypeCV8UC3, -1},
	} {
		f, known := formatNamed(name)
		if !known {
			t.Fatalf("format %s is unknown", name)
		}
		raw := noise(f.rawBytes(w, h))
		want := raw
		if tc.code >= 0 {
			want = byOpenCV(t, raw, tc.rows, w, tc.kind, tc.code)
		}
		for _, padding := range []int{0, 16} {
			l := layout{format: f.code, width: w, height: h, stride: f.planes[0].rowBytes(w) + padding}
			p, err := newPictures(l)
			if err != nil {
				t.Fatal(err)
			}
			padded := pad(f, raw, w, h, l.stride)
			least := len(padded) - padding/f.planes[len(f.planes)-1].strideOf // none after the last row
			if got := p.leastBytes(); got != least {
				t.Errorf("%s with %d bytes of padding: needs %d bytes, want %d", name, padding, got, least)
			}
			frame, err := p.frame(padded[:least])
			if err != nil {
				t.Fatal(err)
			}
			if got := bgrOf(t, frame); !bytes.Equal(got, want) {
				t.Errorf("%s with %d bytes of padding: pixels differ from OpenCV's", name, padding)
			}
			if bytes, format := frame.Raw(); name != "BGR3" && (string(format) != name || len(bytes) != len(raw)) {
				t.Errorf("%s: raw frame of %s, %d bytes", name, format, len(bytes))
			}
			if _, err := p.frame(padded[:least-1]); !errors.Is(err, errDamaged) {
				t.Errorf("%s, a byte short: %v", name, err)
			}
		}
	}
}

func byOpenCV(t *testing.T, raw []byte, rows, columns int, kind gocv.MatType, code gocv.ColorConversionCode) []byte {
	t.Helper()
	src, err := gocv.NewMatFromBytes(rows, columns, kind, bytes.Clone(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst := gocv.NewMat()
	defer dst.Close()
	gocv.CvtColor(src, &dst, code)
	return dst.ToBytes()
}

// pad lays a picture out with rows so far apart, and rubbish between them.
func pad(f format, raw []byte, width, height, stride int) []byte {
	var padded []byte
	for _, p := range f.planes {
		row := p.rowBytes(width)
		for range height / p.rowsOf {
			padded = append(append(padded, raw[:row]...), bytes.Repeat([]byte{0xee}, stride/p.strideOf-row)...)
			raw = raw[row:]
		}
	}
	return padded
}

// A row of no stride is as long as its pixels, and what cannot be is refused.
func TestLayouts(t *testing.T) {
	p, err := newPictures(layout{format: newFourCC("NV12"), width: 8, height: 4})
	if err != nil || p.leastBytes() != 48 {
		t.Errorf("newPictures without a stride = %v, %v; want pictures of 48 bytes", p, err)
	}
	for name, tc := range map[string]struct {
		layout layout
		says   string
	}{
		"unknown":      {layout{format: newFourCC("Z16 "), width: 8, height: 4}, "Z16 8x4"},
		"odd height":   {layout{format: newFourCC("NV12"), width: 8, height: 3}, "cannot be read"},
		"odd width":    {layout{format: newFourCC("YUYV"), width: 7, height: 4}, "cannot be read"},
		"nothing":      {layout{format: newFourCC("MJPG")}, "cannot be read"},
		"unprintable":  {layout{format: 0x01020304, width: 8, height: 4}, ".... 8x4"},
		"narrow":       {layout{format: newFourCC("RGB3"), width: 8, height: 4, stride: 23}, "need 24"},
		"overflowing":  {layout{format: newFourCC("GREY"), width: 1<<31 - 1, height: 1<<31 - 1}, "cannot be read"},
		"negative row": {layout{format: newFourCC("GREY"), width: -8, height: 4}, "cannot be read"},
	} {
		if p, err := newPictures(tc.layout); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: newPictures = %v, %v; want an error with %q", name, p, err, tc.says)
		}
	}
}

// The order of formats is that of these times: what a picture costs from the driver's buffer to
// BGR.
func BenchmarkFormats(b *testing.B) {
	const w, h = 1280, 720
	for _, f := range formats {
		b.Run(f.name, func(b *testing.B) {
			raw := noise(f.rawBytes(w, h))
			if f.compressed() {
				raw = street(b, w, h)
			}
			p, err := newPictures(layout{format: f.code, width: w, height: h})
			if err != nil {
				b.Fatal(err)
			}
			defer p.close()
			b.ReportAllocs()
			for b.Loop() {
				frame, err := p.frame(raw)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := frame.BGR(); err != nil {
					b.Fatal(err)
				}
				frame.Release()
			}
		})
	}
}

// BenchmarkDropped measures what a picture costs that nobody looks at.
func BenchmarkDropped(b *testing.B) {
	const w, h = 1280, 720
	f, _ := formatNamed("YUYV")
	p, err := newPictures(layout{format: f.code, width: w, height: h})
	if err != nil {
		b.Fatal(err)
	}
	raw := noise(f.rawBytes(w, h))
	for b.Loop() {
		frame, err := p.frame(raw)
		if err != nil {
			b.Fatal(err)
		}
		frame.Release()
	}
}

// street is a JPEG as a camera makes it, of 4:2:0.
func street(tb testing.TB, width, height int) []byte {
	tb.Helper()
	s, err := scene.New(scene.Options{Width: width, Height: height, FPS: 30, Seed: 1, Style: scene.Day})
	if err != nil {
		tb.Fatal(err)
	}
	bgr := make([]byte, width*height*3)
	s.Render(0, bgr, nil)
	m, err := gocv.NewMatFromBytes(height, width, gocv.MatTypeCV8UC3, bgr)
	if err != nil {
		tb.Fatal(err)
	}
	defer m.Close()
	buffer, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, m, []int{gocv.IMWriteJpegQuality, 85})
	if err != nil {
		tb.Fatal(err)
	}
	defer buffer.Close()
	return bytes.Clone(buffer.GetBytes())
}
