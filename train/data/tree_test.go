package data_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// tree is a folder of files by their paths.
type tree map[string][]byte

// in writes the files below dir.
func (files tree) in(t testing.TB, dir string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ids is an 8 bit grey PNG of one row.
func ids(t testing.TB, row ...uint8) []byte {
	return encode(t, &image.Gray{Pix: row, Stride: len(row), Rect: image.Rect(0, 0, len(row), 1)})
}

func encode(t testing.TB, img image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// picture is a PNG of one row, whose colours tell the pixels apart.
func picture(t testing.TB, width int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, width, 1))
	for x := range width {
		img.SetRGBA(x, 0, color.RGBA{uint8(x), 100, 200, 255})
	}
	return encode(t, img)
}

// jpg is a grey JPEG of one row.
func jpg(t testing.TB, width int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, width, 1)), nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func open(t testing.TB, source string) *data.Set {
	t.Helper()
	s, err := data.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t testing.TB, s *data.Set, i int) *data.Picture {
	t.Helper()
	p, err := s.Read(i)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// names are those of the set's samples.
func names(s *data.Set) []string {
	all := make([]string, s.Len())
	for i := range all {
		all[i] = s.Sample(i).Name
	}
	return all
}
