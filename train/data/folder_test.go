package data_test

import (
	"image"
	"image/color"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

const harbour = `
name: harbour
images: pictures
labels: truth
label_suffix: _ids.png
ignore: [0, 200]
classes:
  - {id: 3, name: water, color: [0, 60, 120]}
  - {id: 1, name: quay}
maps:
  camvid: {quay: road}
  harbour2.yaml: {water: sea}
`

const harbour2 = "classes: [{name: sea, color: [0, 0, 1]}]\n"

func TestFolder(t *testing.T) {
	files := tree{
		"pictures/a.jpg": jpg(t, 4), "truth/a_ids.png": ids(t, 0, 1, 3, 200),
		"splits/x.txt": []byte("a"), "dataset.yaml": []byte(harbour), "harbour2.yaml": []byte(harbour2),
	}
	dir := files.in(t, filepath.Join(t.TempDir(), "port"))
	elsewhere := tree{"port.yaml": []byte("root: port\n" + harbour), "harbour2.yaml": []byte(harbour2)}.in(t, filepath.Dir(dir))
	far := tree{"port.yaml": []byte("root: /none\n" + harbour), "harbour2.yaml": []byte(harbour2)}.in(t, t.TempDir())
	for source, name := range map[string]string{
		"folder=" + dir:                                                  "port",
		"folder=" + dir + ":x":                                           "port:x",
		"y=folder=" + dir + ":x":                                         "y",
		"folder=" + filepath.Join(elsewhere, "port.yaml"):                "port",
		"folder=" + filepath.Join(elsewhere, "port.yaml") + ":x":         "port:x",
		"folder=" + filepath.Join(far, "port.yaml") + "@" + dir:          "port",
		"folder=" + filepath.Join(far, "port.yaml") + "@" + dir + ":x":   "port:x",
		"z=folder=" + filepath.Join(far, "port.yaml") + "@" + dir + ":x": "z",
	} {
		s := open(t, source)
		if s.Name != name || s.Len() != 1 || s.Classes.Name != "harbour" {
			t.Errorf("%s: %s, %d pictures, classes %s; want %s", source, s.Name, s.Len(), s.Classes.Name, name)
		}
		if got := read(t, s, 0).Labels; !slices.Equal(got, []uint8{255, 1, 0, 255}) {
			t.Errorf("%s: labels %v", source, got)
		}
	}

	s := open(t, "folder="+dir)
	if c := s.Classes.Classes[0]; c != (trt.Class{Name: "water", Color: [3]uint8{0, 60, 120}}) || s.Classes.Validate() != nil {
		t.Errorf("classes %v", s.Classes)
	}
	for to, want := range map[string][]uint8{"camvid": {255, 3}, filepath.Join(dir, "harbour2.yaml"): {0, 255}} {
		set, err := labels.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := s.MapTo(set); !ok || !slices.Equal(m.IDs, want) {
			t.Errorf("map to %s: %v, %t; want %v", to, m.IDs, ok, want)
		}
	}
	if _, ok := s.MapTo(labels.IDDLite()); ok {
		t.Error("there is a map that nobody wrote")
	}
}

// TestShortest has classes without ids and colours, and the usual folders.
func TestShortest(t *testing.T) {
	files := tree{"dataset.yaml": []byte("classes: [{name: water}, {name: quay}]"), "images/a.jpg": jpg(t, 3), "labels/a.png": ids(t, 1, 0, 255)}
	dir := files.in(t, filepath.Join(t.TempDir(), "port"))
	s := open(t, "folder="+dir)
	if got := read(t, s, 0).Labels; !slices.Equal(got, []uint8{1, 0, data.Ignored}) || s.Classes.Name != "port" {
		t.Errorf("labels %v of %s", got, s.Classes.Name)
	}
	if c := s.Classes.Classes; c[0].Color == c[1].Color {
		t.Errorf("both classes are drawn in %v", c[0].Color)
	}
}

// TestColorLabels reads classes from their colours, in files with and without a palette.
func TestColorLabels(t *testing.T) {
	water, quay, other := color.RGBA{0, 60, 120, 255}, color.RGBA{1, 2, 3, 255}, color.RGBA{1, 2, 4, 255}
	direct := image.NewRGBA(image.Rect(0, 0, 3, 1))
	indexed := image.NewPaletted(direct.Rect, color.Palette{other, quay, water})
	for x, c := range []color.RGBA{quay, other, water} {
		direct.SetRGBA(x, 0, c)
		indexed.Set(x, 0, c)
	}
	for name, img := range map[string]image.Image{"direct": direct, "indexed": indexed} {
		dir := tree{
			"dataset.yaml": []byte("label_pixels: colors\nclasses: [{name: water, color: [0, 60, 120]}, {name: quay, color: [1, 2, 3]}]"),
			"images/a.jpg": jpg(t, 3), "labels/a.png": encode(t, img),
		}.in(t, t.TempDir())
		if got := read(t, open(t, "folder="+dir), 0).Labels; !slices.Equal(got, []uint8{1, 255, 0}) {
			t.Errorf("%s: labels %v", name, got)
		}
	}
}

// TestSplitFolders has a folder for each split.
func TestSplitFolders(t *testing.T) {
	dir := tree{
		"dataset.yaml":       []byte("images: SPLIT/images\nlabels: SPLIT/labels\nclasses: [{name: water}]"),
		"train/images/a.jpg": jpg(t, 1), "train/labels/a.png": ids(t, 0), "dusk/images/b.jpg": jpg(t, 1), "dusk/labels/b.png": ids(t, 0),
	}.in(t, filepath.Join(t.TempDir(), "port"))
	for source, want := range map[string]string{"folder=" + dir: "port:train a", "folder=" + dir + ":dusk": "port:dusk b"} {
		if s := open(t, source); s.Name+" "+strings.Join(names(s), " ") != want {
			t.Errorf("%s: %s has %q, want %s", source, s.Name, names(s), want)
		}
	}
}

func TestDescriptionFaults(t *testing.T) {
	const one = "classes: [{name: water}]\n"
	for name, c := range map[string]struct{ content, want string }{
		"empty":               {"", "the file is empty"},
		"unknown key":         {one + "folder: x\n", `dataset.yaml:2:1: unknown field "folder"`},
		"unknown key below":   {"classes:\n  - {name: water, colour: [1, 2, 3]}\n", `unknown field "colour"`},
		"no classes":          {"name: x\n", "there are 0 classes"},
		"no name":             {"classes: [{id: 1}]\n", "class 0 has no name"},
		"name twice":          {"classes: [{name: a}, {name: a}]\n", `both named "a"`},
		"id twice":            {"classes: [{name: a, id: 3}, {name: b, id: 3}]\n", "classes 0 and 1 both have id 3"},
		"some ids":            {"classes: [{name: a, id: 3}, {name: b}]\n", "some classes have an id and others have none"},
		"id too large":        {"classes: [{name: a, id: 256}]\n", "class 0 has id 256"},
		"negative id":         {"classes: [{name: a, id: -1}]\n", "class 0 has id -1"},
		"id ignored":          {"ignore: 3\nclasses: [{name: a, id: 3}]\n", "id 3 is both that of class 0 and ignored"},
		"ignored too large":   {one + "ignore: [1, 999]\n", "label id 999 is ignored"},
		"unknown pixels":      {one + "label_pixels: tones\n", `label_pixels is "tones"; take ids or colors`},
		"no color":            {one + "label_pixels: colors\n", "every class has a color"},
		"id and color":        {"label_pixels: colors\nclasses: [{name: a, id: 1, color: [1, 2, 3]}]\n", "and none an id"},
		"same color":          {"label_pixels: colors\nclasses: [{name: a, color: [1, 2, 3]}, {name: b, color: [1, 2, 3]}]\n", `"a" and "b" have the same color`},
		"ignored is a word":   {one + "ignore: void\n", "dataset.yaml:"},
		"short colour":        {"classes: [{name: a, color: [1, 2]}]\n", "has 2 elements, not 3"},
		"colour too large":    {"classes: [{name: a, color: [1, 2, 300]}]\n", "dataset.yaml: "},
		"map of a stranger":   {one + "maps: {camvid: {sea: road}}\n", `"sea" is no class of`},
		"map to a stranger":   {one + "maps: {camvid: {water: river}}\n", `"water" is mapped to "river", which is none of its classes`},
		"map to no set":       {one + "maps: {camwid: {water: road}}\n", "did you mean camvid?"},
		"map to no file":      {one + "maps: {none.yaml: {water: road}}\n", "none.yaml: no such file"},
		"folder leads out":    {one + "images: ../images\n", `folder "../images" leads out of the data set`},
		"root is not there":   {one + "root: none\n", "none: no such file"},
		"binary":              {"\xff\xfe", "not text in UTF-8"},
		"more than 255 kinds": {"classes: [" + strings.Repeat("{name: x}, ", 256) + "]\n", "1 to 255 are possible"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree{"dataset.yaml": []byte(c.content), "images/a.jpg": jpg(t, 1), "labels/a.png": ids(t, 0)}.in(t, t.TempDir())
			if _, err := data.Open("folder=" + dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// FuzzFolder opens folders with any description and any list. Whatever opens can be read,
// or says which file cannot.
func FuzzFolder(f *testing.F) {
	dir := tree{"images/a.jpg": jpg(f, 1), "labels/a.png": ids(f, 1), "harbour2.yaml": []byte(harbour2)}.in(f, f.TempDir())
	f.Add(harbour, "a\n")
	f.Add("classes: [{name: water}, {name: quay}]\nignore: 7\n", "# x\r\na.jpg\r\n")
	f.Add("classes: [{name: water, id: 300}]\nroot: ..\n", "../a\n\x00")
	f.Add("images: SPLIT\nclasses: &a [*a]\n", "\ufeffa")
	f.Add("classes: [{name: ~, id: ~, color: ~}]\nmaps: {camvid: ~}\nignore: ~\n", "")
	f.Fuzz(func(t *testing.T, description, list string) {
		tree{"dataset.yaml": []byte(description), "splits/x.txt": []byte(list)}.in(t, dir)
		for _, source := range []string{"folder=" + dir, "folder=" + dir + ":x"} {
			s, err := data.Open(source)
			if err != nil {
				continue
			}
			if err := s.Classes.Validate(); err != nil {
				t.Errorf("classes %v: %v", s.Classes, err)
			}
			for i := range s.Len() {
				p, err := s.Read(i)
				switch {
				case err != nil && !strings.HasPrefix(err.Error(), filepath.Dir(dir)):
					t.Errorf("error %v does not begin with the file", err)
				case err == nil && p.Labels != nil && p.Labels[0] != data.Ignored && int(p.Labels[0]) >= len(s.Classes.Classes):
					t.Errorf("label %d of %d classes", p.Labels[0], len(s.Classes.Classes))
				}
			}
		}
	})
}
