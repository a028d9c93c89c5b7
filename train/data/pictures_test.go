package data_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

func TestOpenPictures(t *testing.T) {
	files := tree{".hidden.png": nil, ".git/d.png": nil, "notes.txt": nil}
	want := []string{"a.JPG", "b.png", "sub/c.jpeg"}
	for i, name := range want {
		files[name] = picture(t, i+1)
	}
	dir := files.in(t, t.TempDir())
	set, err := data.OpenPictures(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(set); !slices.Equal(got, want) || set.Labelled() || set.Name != filepath.Base(dir) {
		t.Errorf("pictures %v of %s, labelled: %v", got, set.Name, set.Labelled())
	}
	if p := read(t, set, 2); p.Width != 3 || p.Labels != nil || !slices.Equal(p.RGB, []uint8{0, 100, 200, 1, 100, 200, 2, 100, 200}) {
		t.Errorf("picture %+v", p)
	}
	for name, want := range map[string]string{"none": "no such file", "notes.txt": "has no files that end in", ".git/x": "no such file"} {
		if _, err := data.OpenPictures(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// TestUnlabelled has labels that cannot be read, and need not be.
func TestUnlabelled(t *testing.T) {
	files := pairs(t, "a", "b")
	files["labels/a.png"] = []byte("no picture")
	labelled := open(t, "camvid="+files.in(t, t.TempDir()))
	bare := labelled.Unlabelled()
	if p := read(t, bare, 0); p.Labels != nil || bare.Labelled() || bare.Sample(0).Label != "" || bare.Len() != 2 {
		t.Errorf("picture %+v of %d, labelled: %v", p, bare.Len(), bare.Labelled())
	}
	if p := read(t, labelled, 1); !labelled.Labelled() || p.Labels == nil {
		t.Error("the set itself has lost its labels")
	}
	drawn := open(t, "scenes=day@64x64:1-1")
	if p := read(t, drawn.Unlabelled(), 0); p.Labels != nil || !slices.Equal(p.RGB, read(t, drawn, 0).RGB) {
		t.Error("a drawn street has labels, or other pixels")
	}
}

// TestOpenUnlabelled takes a folder, which may have the name of a source, and a source, and finds
// both again by the names that it gives them.
func TestOpenUnlabelled(t *testing.T) {
	files := pairs(t, "a")
	files["labels/a.png"] = []byte("no picture")
	dir := files.in(t, filepath.Join(t.TempDir(), "night=1"))
	t.Chdir(filepath.Dir(dir))
	for text, want := range map[string]string{
		"night=1/images": filepath.Join(dir, "images"), "camvid=night=1": "camvid=" + dir, "x=camvid=night=1": "x=camvid=" + dir, "scenes=day@64x64:1-1": "scenes=day@64x64:1-1",
	} {
		set, absolute, err := data.OpenUnlabelled(text)
		if err != nil || absolute != want {
			t.Fatalf("%s is %q, %v; want %q", text, absolute, err, want)
		}
		again, same, err := data.OpenUnlabelled(absolute)
		if err != nil || same != absolute || again.Len() != 1 || again.Labelled() || again.Name != set.Name {
			t.Errorf("%s: %d pictures of %s, %v", absolute, again.Len(), again.Name, err)
		}
		if p := read(t, set, 0); p.Labels != nil {
			t.Errorf("%s has labels", text)
		}
	}
	for text, want := range map[string]string{"none": "no such file", "camvd=none": "did you mean camvid?", "camvid=none": "no such file"} {
		if _, _, err := data.OpenUnlabelled(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		n, total int
		want     []int
	}{
		{4, 8, []int{1, 3, 5, 7}}, {3, 3, []int{0, 1, 2}}, {5, 2, []int{0, 1}}, {1, 100, []int{50}}, {0, 5, nil}, {2, 0, nil}, {4, 5, []int{0, 1, 3, 4}},
	} {
		if got := data.Spread(c.n, c.total); !slices.Equal(got, c.want) {
			t.Errorf("Spread(%d, %d) = %v, want %v", c.n, c.total, got, c.want)
		}
	}
}
