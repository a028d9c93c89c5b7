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

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.png", "a.JPG", "sub/c.jpeg", ".hidden.png", ".git/d.png", "notes.txt", "e.png", "f.png", "g.png"} {
		write(t, filepath.Join(dir, name), "x")
	}
	files, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i], _ = filepath.Rel(dir, files[i])
	}
	all := []string{"a.JPG", "b.png", "e.png", "f.png", "g.png", "sub/c.jpeg"}
	for limit, want := range map[int][]string{0: all, 6: all, 7: all, 3: {"a.JPG", "e.png", "g.png"}, 1: {"a.JPG"}} {
		if got := Spread(files, limit); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v; want %v", limit, got, want)
		}
	}
	for name, want := range map[string]string{
		filepath.Join(dir, ".git", "none"): "no such file", filepath.Join(dir, "notes.txt"): "has no files that end in",
	} {
		if _, err := Folder(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a.png"), filepath.Join(dir, "bad1.png"), filepath.Join(dir, "c.png"), filepath.Join(dir, "bad2.jpg")}
	for _, path := range paths {
		text := ""
		if strings.Contains(path, "bad") {
			text = "no picture"
		}
		write(t, path, text)
	}
	read := func(f *Files) (sizes []image.Point, err error) {
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
	strict := &Files{Paths: paths}
	sizes, err := read(strict)
	if len(sizes) != 1 || err == nil {
		t.Fatalf("%v, %v", sizes, err)
	}
	for _, want := range []string{"2 of 4 pictures cannot be read", "bad1.png", "bad2.jpg"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	lenient := &Files{Paths: paths, SkipUnreadable: true, MaxWidth: 10}
	for range 2 { // may be read again
		sizes, err = read(lenient)
		if want := []image.Point{{10, 5}, {10, 5}}; err != nil || !slices.Equal(sizes, want) || len(lenient.Skipped) != 2 {
			t.Errorf("%v, %v, %d skipped", sizes, err, len(lenient.Skipped))
		}
	}
	hopeless := &Files{Paths: paths[1:2], SkipUnreadable: true}
	if _, err := read(hopeless); err == nil || !strings.Contains(err.Error(), "1 of 1 pictures cannot be read") {
		t.Errorf("error %v", err)
	}
}
