package picture_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"golang.org/x/image/bmp"

	"github.com/robustnet-edge/robustnet/camera/internal/picture"
)

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// patched returns data with a number of four bytes, or of two, written over at an offset.
func patched(data []byte, at int, put func([]byte)) []byte {
	c := bytes.Clone(data)
	put(c[at:])
	return c
}

func TestCheck(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 40, 30))
	pngData := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
	jpegData := encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) })
	bmpData := encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, img) })
	gifData := encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) })
	sof := bytes.Index(jpegData, []byte{0xff, 0xc0}) // ITU-T T.81 section B.2.2: height is 5 bytes on
	huge := func(b []byte) { binary.LittleEndian.PutUint32(b, 40000) }
	// A lossless WebP header: RIFF, VP8L, signature, and 14 bits each of width-1 and height-1.
	webp := append([]byte("RIFF\x1e\x00\x00\x00WEBPVP8L\x11\x00\x00\x00\x2f"), 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	tests := map[string]struct {
		data []byte
		want string // empty if it passes
	}{
		"png":       {pngData, ""},
		"jpeg":      {jpegData, ""},
		"bmp":       {bmpData, ""},
		"huge jpeg": {patched(jpegData, sof+5, func(b []byte) { binary.BigEndian.PutUint32(b, 40000<<16|40000) }), "40000×40000"},
		"wide jpeg": {patched(jpegData, sof+7, func(b []byte) { binary.BigEndian.PutUint16(b, 8193) }), "8193×30"},
		"huge bmp":  {patched(patched(bmpData, 18, huge), 22, huge), "40000×40000"},
		"huge webp": {webp, "16384×16384"},
		"gif":       {gifData, "no PNG, JPEG, BMP or WebP"},
		"text":      {[]byte("no image at all"), "no PNG, JPEG, BMP or WebP"},
		"nothing":   {nil, "no PNG, JPEG, BMP or WebP"},
		"cut":       {jpegData[:20], "header is damaged"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := picture.Check(bytes.NewReader(tt.data))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Check = %v, want that it passes", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Check = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestCheckSize(t *testing.T) {
	for size, ok := range map[[2]int]bool{
		{1, 1}: true, {8192, 8192}: true, {8193, 1}: false, {1, 8193}: false, {0, 9}: false, {9, -1}: false,
	} {
		if err := picture.CheckSize(size[0], size[1]); (err == nil) != ok {
			t.Errorf("CheckSize(%d, %d) = %v, want accepted: %v", size[0], size[1], err, ok)
		}
	}
}

func BenchmarkCheckJPEG(b *testing.B) {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, image.NewGray(image.Rect(0, 0, 640, 480)), nil); err != nil {
		b.Fatal(err)
	}
	r := bytes.NewReader(data.Bytes())
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data.Bytes())
		if err := picture.Check(r); err != nil {
			b.Fatal(err)
		}
	}
}
