package mjpeg

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/scene"
)

// street is a picture as a camera sees it: its BGR pixels and their JPEG, of 4:2:0.
func street(tb testing.TB, width, height int) (bgr, coded []byte) {
	tb.Helper()
	bgr = make([]byte, width*height*3)
	s, err := scene.New(scene.Options{Width: width, Height: height, FPS: 30, Seed: 1, Style: scene.Day})
	if err != nil {
		tb.Fatal(err)
	}
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
	return bgr, bytes.Clone(buffer.GetBytes())
}

func newDecoder(tb testing.TB) *Decoder {
	tb.Helper()
	d, err := NewDecoder()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	return d
}

// segment returns where a marker segment begins and ends.
func segment(tb testing.TB, coded []byte, marker byte) (begin, end int) {
	tb.Helper()
	begin = bytes.Index(coded, []byte{0xff, marker})
	if begin < 0 {
		tb.Fatalf("JPEG has no marker %x", marker)
	}
	return begin, begin + 2 + int(coded[begin+2])<<8 + int(coded[begin+3])
}

func withoutTables(tb testing.TB, coded []byte) []byte {
	out := bytes.Clone(coded)
	for bytes.Contains(out, []byte{0xff, 0xc4}) {
		begin, end := segment(tb, out, 0xc4)
		out = append(out[:begin:begin], out[end:]...)
	}
	return out
}

func meanDifference(a, b []byte) float64 {
	sum := 0
	for i := range a {
		sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return float64(sum) / float64(len(a))
}

func TestDecode(t *testing.T) {
	const width, height = 160, 96
	want, coded := street(t, width, height)
	end := len(coded) - 2
	for name, picture := range map[string][]byte{
		"plain":             coded,
		"without tables":    withoutTables(t, coded),
		"padded with zeros": append(bytes.Clone(coded), make([]byte, 4096)...),
		"no end marker":     coded[:end],
		"bytes too many":    append(append(bytes.Clone(coded[:end]), 0, 0, 0, 0), coded[end:]...),
	} {
		got := make([]byte, len(want))
		if err := newDecoder(t).Decode(got, width, height, picture); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := meanDifference(got, want); d > 8 {
			t.Errorf("%s: pixels differ by %.1f on average", name, d)
		}
	}
}

func TestDecodeGray(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 17, 9))
	for i := range img.Pix {
		img.Pix[i] = 77
	}
	var coded bytes.Buffer
	if err := jpeg.Encode(&coded, img, nil); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 17*9*3)
	if err := newDecoder(t).Decode(got, 17, 9, coded.Bytes()); err != nil || got[0] != 77 || got[len(got)-1] != 77 {
		t.Errorf("Decode = %v, pixels %d…%d, want 77", err, got[0], got[len(got)-1])
	}
}

// Whatever hurts a picture, the next one must come out as if nothing had been.
func TestDamage(t *testing.T) {
	const width, height = 160, 96
	_, coded := street(t, width, height)
	_, scan := segment(t, coded, 0xda)
	middle := (scan + len(coded)) / 2
	lost := append(bytes.Clone(coded[:middle-200]), coded[middle+200:]...)
	_, other := street(t, 64, 66)
	d := newDecoder(t)
	intact, pix := make([]byte, width*height*3), make([]byte, width*height*3)
	if err := d.Decode(intact, width, height, coded); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		picture []byte
		says    string
	}{
		"empty":          {nil, "empty"},
		"zeros":          {make([]byte, 5000), "JPEG"},
		"cut off":        {coded[:middle], "premature end"},
		"cut in header":  {coded[:scan-40], ""},
		"a piece is out": {lost, ""},
		"only its start": {coded[:2], ""},
		"other size":     {other, "64x66 pixels instead of 160x96"},
		"zeroed middle":  {append(append(bytes.Clone(coded[:middle]), bytes.Repeat([]byte{0xff, 0xd9}, 8)...), coded[middle:]...), "premature end"},
	} {
		if err := d.Decode(pix, width, height, tc.picture); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: Decode = %v, want ErrDamaged and %q", name, err, tc.says)
		}
		if err := d.Decode(pix, width, height, coded); err != nil || !bytes.Equal(pix, intact) {
			t.Errorf("after %s: the intact picture = %v, or other pixels", name, err)
		}
	}
	if err := d.Decode(pix[1:], width, height, coded); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("too small a buffer: Decode = %v", err)
	}
}

// Random damage must end in an error or a picture, never in a crash or a write beyond the buffer.
func FuzzDecode(f *testing.F) {
	_, coded := street(f, 64, 64)
	f.Add(coded)
	f.Add(withoutTables(f, coded))
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		hurt := bytes.Clone(coded)
		for range 5 {
			hurt[r.IntN(len(hurt))] = byte(r.IntN(256))
		}
		f.Add(hurt)
	}
	d := newDecoder(f)
	f.Fuzz(func(t *testing.T, picture []byte) {
		memory := bytes.Repeat([]byte{0xa5}, 64*64*3+64)
		if err := d.Decode(memory[32:len(memory)-32], 64, 64, picture); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		for _, b := range append(bytes.Clone(memory[:32]), memory[len(memory)-32:]...) {
			if b != 0xa5 {
				t.Fatal("wrote beyond the frame")
			}
		}
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	_, coded := street(t, 160, 96)
	d, pix := newDecoder(t), make([]byte, 160*96*3)
	if n := testing.AllocsPerRun(50, func() {
		if err := d.Decode(pix, 160, 96, coded); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Decode allocates %v times", n)
	}
}

// Against the two others that there are.
func BenchmarkDecode720p(b *testing.B) {
	_, coded := street(b, 1280, 720)
	b.Run("libjpeg-turbo", func(b *testing.B) {
		d, pix := newDecoder(b), make([]byte, 1280*720*3)
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Decode(pix, 1280, 720, coded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("OpenCV", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := gocv.IMDecode(coded, gocv.IMReadColor)
			if err != nil || m.Empty() {
				b.Fatal("no picture")
			}
			m.Close()
		}
	})
	b.Run("image/jpeg, without conversion", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := jpeg.Decode(bytes.NewReader(coded)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
