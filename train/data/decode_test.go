package data_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// file writes content to a file.
func file(t testing.TB, name string, content []byte) string {
	return filepath.Join(tree{name: content}.in(t, t.TempDir()), name)
}

// rawPNG is a PNG of one row, as bytes of samples, in a bit depth and colour type of
// ISO/IEC 15948, 11.2.2.
func rawPNG(width int, depth, colorType uint8, row ...byte) []byte {
	var pixels bytes.Buffer
	z := zlib.NewWriter(&pixels)
	z.Write(append([]byte{0}, row...)) // no filter
	z.Close()
	file := []byte("\x89PNG\r\n\x1a\n")
	header := binary.BigEndian.AppendUint32(nil, uint32(width))
	file = chunk(file, "IHDR", append(binary.BigEndian.AppendUint32(header, 1), depth, colorType, 0, 0, 0))
	file = chunk(file, "IDAT", pixels.Bytes())
	return chunk(file, "IEND", nil)
}

func chunk(file []byte, kind string, content []byte) []byte {
	file = binary.BigEndian.AppendUint32(file, uint32(len(content)))
	at := len(file)
	file = append(append(file, kind...), content...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file[at:]))
}

func TestReadIDs(t *testing.T) {
	const grey, rgb, greyAlpha = 0, 2, 4
	colors := color.Palette{color.Black, color.White, color.White, color.Gray{99}}
	for name, c := range map[string]struct {
		content []byte
		want    []uint8
		fault   string
	}{
		"8 bits":                    {ids(t, 0, 1, 254, 255), []uint8{0, 1, 254, 255}, ""},
		"4 bits":                    {rawPNG(4, 4, grey, 0x01, 0xEF), []uint8{0, 1, 14, 15}, ""},
		"2 bits":                    {rawPNG(4, 2, grey, 0b00_01_10_11), []uint8{0, 1, 2, 3}, ""},
		"1 bit":                     {rawPNG(4, 1, grey, 0b0100_0000), []uint8{0, 1, 0, 0}, ""},
		"16 bits":                   {rawPNG(2, 16, grey, 0, 7, 0, 255), []uint8{7, 255}, ""},
		"16 bits, large ids":        {rawPNG(2, 16, grey, 0, 7, 1, 0), nil, "above 255"},
		"palette, equal colours":    {encode(t, &image.Paletted{Pix: []uint8{3, 2, 1, 0}, Stride: 4, Rect: image.Rect(0, 0, 4, 1), Palette: colors}), []uint8{3, 2, 1, 0}, ""},
		"colours":                   {rawPNG(1, 8, rgb, 1, 1, 1), nil, "neither greys nor of a palette"},
		"transparency":              {rawPNG(1, 8, greyAlpha, 1, 255), nil, "neither greys nor of a palette"},
		"JPEG":                      {jpg(t, 8), nil, "must be PNG files"},
		"text":                      {[]byte("road road road"), nil, "neither JPEG nor PNG"},
		"empty":                     {nil, nil, "the file is empty"},
		"cut off in the header":     {ids(t, 1, 2, 3)[:20], nil, "cannot be read"},
		"cut off in the pixels":     {ids(t, 1, 2, 3)[:50], nil, "decode labels"},
		"damaged":                   {bytes.Replace(ids(t, 1, 2, 3), []byte("IDAT"), []byte("IDAU"), 1), nil, "decode labels"},
		"a billion pixels, hostile": {rawPNG(1<<30, 8, grey, 1), nil, "more than 128 Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "x.png", c.content)
			got, w, h, err := data.ReadIDs(path)
			if c.fault == "" {
				if err != nil || !slices.Equal(got, c.want) || w != len(c.want) || h != 1 {
					t.Errorf("%d x %d: %v, %v; want %v", w, h, got, err, c.want)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want %q after the path", err, c.fault)
			}
		})
	}
}

// TestRowsOfSeveralLines wants ids in the order of rows.
func TestRowsOfSeveralLines(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(img.Pix, []uint8{1, 2, 3, 4, 5, 6})
	got, w, h, err := data.ReadIDs(file(t, "x.png", encode(t, img)))
	if err != nil || w != 3 || h != 2 || !slices.Equal(got, []uint8{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%v of %d x %d, %v", got, w, h, err)
	}
}

// TestReadRGB wants red first, and 8 bits whatever the file has.
func TestReadRGB(t *testing.T) {
	const grey, rgb, rgba = 0, 2, 6
	solid := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 16 * 16 {
		copy(solid.Pix[4*i:], []uint8{200, 100, 50, 255})
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, solid, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    []uint8 // of the first pixel
	}{
		"PNG":             {rawPNG(1, 8, rgb, 200, 100, 50), []uint8{200, 100, 50}},
		"16 bit PNG":      {rawPNG(1, 16, rgb, 200, 9, 100, 9, 50, 9), []uint8{200, 100, 50}},
		"transparent PNG": {rawPNG(1, 8, rgba, 200, 100, 50, 0), []uint8{200, 100, 50}},
		"grey PNG":        {rawPNG(1, 8, grey, 77), []uint8{77, 77, 77}},
		"JPEG":            {photo.Bytes(), []uint8{200, 100, 50}},
		"JPEG and more":   {append(photo.Bytes(), "appended by a camera"...), []uint8{200, 100, 50}},
	} {
		got, _, _, err := data.ReadRGB(file(t, "x", c.content))
		if err != nil || len(got) < 3 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, v := range c.want {
			if d := int(got[i]) - int(v); d < -2 || d > 2 {
				t.Errorf("%s: %v, want %v", name, got[:3], c.want)
			}
		}
	}
}

// TestOrientation: a camera's note that the picture is to be turned must not turn it, for
// nobody turns its labels.
func TestOrientation(t *testing.T) {
	turned := []byte("\xff\xd8\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	_, w, h, err := data.ReadRGB(file(t, "x.jpg", append(turned, jpg(t, 40)[2:]...)))
	if err != nil || w != 40 || h != 1 {
		t.Errorf("%d x %d, %v; want 40 x 1", w, h, err)
	}
}

// TestCutOff cuts pictures off at every place. OpenCV by itself fills up with grey.
func TestCutOff(t *testing.T) {
	noise := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(i * i >> 3)
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, noise, nil); err != nil {
		t.Fatal(err)
	}
	for name, whole := range map[string][]byte{"x.jpg": photo.Bytes(), "x.png": encode(t, noise)} {
		if _, _, _, err := data.ReadRGB(file(t, name, whole)); err != nil {
			t.Fatal(err)
		}
		path := file(t, name, whole)
		for n := 0; n < len(whole)-1; n += 1 + n/40 {
			if name == "x.png" && n >= len(whole)-8 {
				break // only the checksum of the end is missing
			}
			for _, filler := range []int{0, 512} { // zeros are what a crash leaves in a file
				if err := os.WriteFile(path, append(whole[:n:n], make([]byte, filler)...), 0o644); err != nil {
					t.Fatal(err)
				}
				if _, _, _, err := data.ReadRGB(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
					t.Fatalf("%s of %d bytes cut at %d: error %v", name, len(whole), n, err)
				}
			}
		}
	}
}

// TestNotAFile wants no waiting for a pipe that nobody writes into.
func TestNotAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.png")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("pipes cannot be made here:", err)
	}
	if _, _, _, err := data.ReadIDs(path); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("error %v", err)
	}
}

// BenchmarkRead reads a picture of CamVid's size with its labels.
func BenchmarkRead(b *testing.B) {
	const w, h = 480, 360
	img, classes := image.NewRGBA(image.Rect(0, 0, w, h)), image.NewGray(image.Rect(0, 0, w, h))
	for i := range w * h {
		x, y := i%w, i/w
		copy(img.Pix[4*i:], []uint8{uint8(x ^ y), uint8(x * y >> 6), uint8(y), 255})
		classes.Pix[i] = uint8((x/40 + y/30) % 12)
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, img, &jpeg.Options{Quality: 92}); err != nil {
		b.Fatal(err)
	}
	s := open(b, "camvid="+tree{"images/a.jpg": photo.Bytes(), "labels/a.png": encode(b, classes)}.in(b, b.TempDir()))
	for b.Loop() {
		if _, err := s.Read(0); err != nil {
			b.Fatal(err)
		}
	}
}
