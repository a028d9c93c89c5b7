package adapt

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// write makes a file of a PNG picture of one colour, or of text.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != "" {
		_, err = f.WriteString(text)
	} else {
		img := image.NewRGBA(image.Rect(0, 0, 40, 20))
		for i := range 40 * 20 {
			img.Set(i%40, i/40, color.RGBA{10, 20, 30, 255})
		}
		err = png.Encode(f, img)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.png", "c.png"} {
		write(t, filepath.Join(dir, name), "")
	}
	for _, name := range []string{"bad1.png", "bad2.jpg"} {
		write(t, filepath.Join(dir, name), "no picture")
	}
	set, err := data.OpenPictures(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(f *Pictures) (sizes []image.Point, err error) {
		for p, e := range f.All() {
			if e != nil {
				return sizes, e
			}
			if !slices.Equal(p.RGB[:3], []uint8{10, 20, 30}) || len(p.RGB) != 3*p.Width*p.Height {
				t.Errorf("%d bytes that begin with %v", len(p.RGB), p.RGB[:3])
			}
			sizes = append(sizes, image.Pt(p.Width, p.Height))
		}
		return sizes, nil
	}
	strict := &Pictures{Set: set}
	sizes, err := read(strict)
	if len(sizes) != 1 || err == nil {
		t.Fatalf("%v, %v", sizes, err)
	}
	for _, want := range []string{"2 of 4 pictures cannot be read", "bad1.png", "bad2.jpg"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	lenient := &Pictures{Set: set, SkipUnreadable: true, MaxWidth: 10}
	for range 2 { // may be read again
		sizes, err = read(lenient)
		if want := []image.Point{{10, 5}, {10, 5}}; err != nil || !slices.Equal(sizes, want) || len(lenient.Skipped) != 2 {
			t.Errorf("%v, %v, %d skipped", sizes, err, len(lenient.Skipped))
		}
	}
	hopeless := &Pictures{Set: set.Subset([]int{1}), SkipUnreadable: true}
	if _, err := read(hopeless); err == nil || !strings.Contains(err.Error(), "1 of 1 pictures cannot be read") {
		t.Errorf("error %v", err)
	}
}
