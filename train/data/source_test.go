package data_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// pair is a picture with its label file in the plain folders.
func pairs(t *testing.T, names ...string) tree {
	files := tree{}
	for _, name := range names {
		files["images/"+name+".jpg"], files["labels/"+name+".png"] = jpg(t, 1), ids(t, 1)
	}
	return files
}

func with(files tree, name, content string) tree {
	files[name] = []byte(content)
	return files
}

// TestFaults wants errors that name what is wrong.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		source string // DIR stands for the folder
		files  tree
		want   []string
	}{
		"no layout":           {"DIR", nil, []string{"as in camvid=camvid:day_train; layouts are cityscapes, gtav"}},
		"no folder":           {"camvid=", nil, []string{"as in camvid=camvid:day_train"}},
		"misspelt layout":     {"camvd=DIR", nil, []string{`unknown layout "camvd"; did you mean camvid?`}},
		"unknown layout":      {"day=DIR:x", nil, []string{`unknown layout "day"; choose cityscapes`}},
		"missing folder":      {"camvid=DIR/none", nil, []string{"DIR/none: no such file"}},
		"a file":              {"camvid=DIR/x", tree{"x": nil}, []string{"DIR/x: it is no folder"}},
		"empty folder":        {"gtav=DIR", tree{"readme": nil}, []string{"DIR: no pictures of layout gtav", "images/train, images"}},
		"no pictures":         {"camvid=DIR", tree{"images/readme": nil, "labels/readme": nil}, []string{"DIR: there are no pictures"}},
		"labels only":         {"camvid=DIR", tree{"images/readme": nil, "labels/a.png": nil}, []string{"there are no pictures"}},
		"one name twice":      {"camvid=DIR", with(pairs(t, "a"), "images/a.png", ""), []string{"DIR/images/a.png: it has the same name as DIR/images/a.jpg"}},
		"unknown split":       {"camvid=DIR:dusk", with(pairs(t, "a"), "splits/day.txt", "a"), []string{"DIR/splits/dusk.txt: there is no such list", "there are day"}},
		"empty split":         {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", " \n# none\n"), []string{"DIR/splits/day.txt: the list is empty"}},
		"split leads out":     {"camvid=DIR:../x", pairs(t, "a"), []string{`split "../x" is no plain name`}},
		"empty part":          {"camvid=DIR:day+", with(pairs(t, "a"), "splits/day.txt", "a"), []string{`split "" is no plain name`}},
		"name leads out":      {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", "a\n../../etc/passwd\n"), []string{"line 2", `"../../etc/passwd" leads out`}},
		"absolute name":       {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", "/etc/passwd\n"), []string{"leads out"}},
		"name with a zero":    {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", "a\x00b\n"), []string{"leads out"}},
		"name twice":          {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", "a\n\na\n"), []string{"line 3: a is listed in line 1 already"}},
		"listed, not there":   {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", "a\n\nb\nc"), []string{"splits/day.txt: line 3: there is no picture b in DIR/images", "line 4: there is no picture c"}},
		"no label":            {"camvid=DIR", with(pairs(t, "a"), "images/b.jpg", ""), []string{"DIR/images/b.jpg: the picture has no label file"}},
		"many faults":         {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", strings.Repeat("x", 3)+"\n"+numbered(14)), []string{"and 5 more; 'robustnet-train check' lists all"}},
		"binary list":         {"camvid=DIR:day", with(pairs(t, "a"), "splits/day.txt", strings.Repeat("\xff", 1<<17)), []string{"DIR/splits/day.txt: "}},
		"unknown style":       {"scenes=dawn", nil, []string{`unknown style "dawn"`}},
		"no style":            {"scenes=:0-1", nil, []string{`unknown style ""`}},
		"odd size":            {"scenes=day@641x360", nil, []string{"641x360"}},
		"strange size":        {"scenes=day@640x360x3", nil, []string{"write WIDTHxHEIGHT"}},
		"last before first":   {"scenes=day:9-3", nil, []string{"write train, val, or the first and last seed"}},
		"negative seeds":      {"scenes=day:-1-3", nil, []string{"first and last seed"}},
		"too many streets":    {"scenes=day:0-99999999", nil, []string{"first and last seed"}},
		"missing description": {"folder=DIR", tree{"images/a.jpg": nil}, []string{"DIR/dataset.yaml: the description of the data set is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.files.in(t, t.TempDir())
			_, err := data.Open(strings.ReplaceAll(c.source, "DIR", dir))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "DIR", dir); !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func numbered(n int) string {
	var list strings.Builder
	for i := range n {
		list.WriteString(strings.Repeat("y", i+1) + "\n")
	}
	return list.String()
}

func TestErrorsAreKept(t *testing.T) {
	if _, err := data.Open("camvid=" + filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not fs.ErrNotExist", err)
	}
}

// TestSourceError tells faults of the text from those of files.
func TestSourceError(t *testing.T) {
	dir := pairs(t, "a").in(t, t.TempDir())
	for source, want := range map[string]bool{
		"x": true, "camvd=" + dir: true, "camvid=" + dir + ":../x": true, "scenes=dawn": true, "scenes=day@9x9": true, "scenes=day:9-3": true,
		"camvid=" + dir + "/none": false, "camvid=" + dir + ":dusk": false, "folder=" + dir: false, "cityscapes=" + dir: false,
	} {
		_, err := data.Open(source)
		if text := (data.SourceError{}); err == nil || errors.As(err, &text) != want {
			t.Errorf("%s: error %v; of the text: %v, want %v", source, err, !want, want)
		}
	}
}

// TestColon: a folder whose name has a colon is taken whole.
func TestColon(t *testing.T) {
	dir := pairs(t, "a", "b").in(t, filepath.Join(t.TempDir(), "set:day"))
	if s := open(t, "camvid="+dir); s.Len() != 2 || s.Name != "set:day" {
		t.Errorf("%s has %d pictures", s.Name, s.Len())
	}
	with(tree{}, "splits/x.txt", "b").in(t, dir)
	if s := open(t, "camvid="+dir+":x"); s.Len() != 1 || s.Name != "set:day:x" {
		t.Errorf("%s has %d pictures", s.Name, s.Len())
	}
}

// TestLinks follows links to folders, and hidden files are passed over.
func TestLinks(t *testing.T) {
	real := pairs(t, "a", "city/b").in(t, t.TempDir())
	dir := t.TempDir()
	for _, name := range []string{"images", "labels"} {
		if err := os.Symlink(filepath.Join(real, name), filepath.Join(dir, name)); err != nil {
			t.Skip("links cannot be made here:", err)
		}
	}
	tree{"images/.hidden.jpg": nil, "images/._a.jpg": nil}.in(t, real)
	if s := open(t, "camvid="+dir); !slices.Equal(names(s), []string{"a", "city/b"}) {
		t.Errorf("pictures %q", names(s))
	}
}

// TestDeepFolders looks six folders deep, and names the first that is deeper.
func TestDeepFolders(t *testing.T) {
	dir := pairs(t, "1/2/3/4/5/6/a").in(t, t.TempDir())
	if s := open(t, "camvid="+dir); s.Len() != 1 {
		t.Errorf("%d pictures", s.Len())
	}
	pairs(t, "1/2/3/4/5/6/y/b", "1/2/3/4/5/6/x/7/c").in(t, dir)
	_, err := data.Open("camvid=" + dir)
	for _, folder := range []string{"images", "labels"} {
		if want := filepath.Join(dir, folder, "1/2/3/4/5/6/x") + ": the folder lies more than 6 folders below"; err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "6/y") {
		t.Errorf("error %v names more than the first", err)
	}
}

// TestWithoutLabels opens folders of pictures alone, and says where labels were looked for.
func TestWithoutLabels(t *testing.T) {
	for source, want := range map[string]string{
		"bdd100k=" + tree{"images/10k/test/a.jpg": jpg(t, 2)}.in(t, t.TempDir()) + ":test":                                 "labels/sem_seg/masks/test, labels_trainId",
		"mapillary=" + tree{"training/images/a.jpg": jpg(t, 2)}.in(t, t.TempDir()) + ":train":                              "training/v1.2/labels, training/labels",
		"folder=" + tree{"images/a.jpg": jpg(t, 2), "dataset.yaml": []byte("classes: [{name: water}]")}.in(t, t.TempDir()): "labels",
	} {
		s := open(t, source)
		if p := read(t, s, 0); s.Labelled() || p.Labels != nil || len(p.RGB) != 6 {
			t.Errorf("%s: labelled: %t; labels %v, %d bytes", source, s.Labelled(), p.Labels, len(p.RGB))
		}
		_, place, _ := strings.Cut(source, "=")
		dir, _, _ := strings.Cut(place, ":")
		want = dir + ": there is no folder of labels; looked for " + want
		r, err := data.Check(t.Context(), source, nil)
		if err != nil || !slices.Equal(r.Notes, []string{want}) || len(r.Faults) > 0 {
			t.Errorf("%s: notes %q, faults %q, %v; want the note %q", source, r.Notes, r.Faults, err, want)
		}
		if s.NoLabels == nil || s.NoLabels.Error() != want {
			t.Errorf("%s: the set says %v", source, s.NoLabels)
		}
	}
}

// TestMistypedLabels wants the folder of labels that a description names, unless labels are of
// no use.
func TestMistypedLabels(t *testing.T) {
	dir := with(pairs(t, "a"), "dataset.yaml", "labels: labls\nclasses: [{name: water}, {name: quay}]").in(t, t.TempDir())
	want := filepath.Join(dir, "labls") + ": there is no such folder of labels"
	if _, err := data.Open("folder=" + dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	r, err := data.Check(t.Context(), "folder="+dir, nil)
	if err != nil || len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], want) || len(r.Notes) > 0 {
		t.Errorf("report %+v, %v; want one fault %q", r, err, want)
	}
	if s, _, err := data.OpenUnlabelled("folder=" + dir); err != nil || s.Len() != 1 {
		t.Errorf("without labels: %v", err)
	}
}

func TestSubset(t *testing.T) {
	s := open(t, "camvid="+pairs(t, "a", "b", "c").in(t, t.TempDir()))
	if sub := s.Subset([]int{2, 0}); !slices.Equal(names(sub), []string{"c", "a"}) || s.Len() != 3 || sub.Name != s.Name {
		t.Errorf("subset %q of %q", names(sub), names(s))
	}
}

func TestRelabel(t *testing.T) {
	dir := tree{"images/a.jpg": jpg(t, 3), "labels/a.png": ids(t, 3, 11, 10)}.in(t, t.TempDir())
	s := open(t, "camvid="+dir)
	m, ok := s.MapTo(labels.IDDLite())
	if !ok {
		t.Fatal("there is no map")
	}
	mapped, err := s.Relabel(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, mapped, 0).Labels; !slices.Equal(got, []uint8{0, data.Ignored, 2}) || mapped.Classes.Name != "idd-lite" {
		t.Errorf("labels %v of %s", got, mapped.Classes.Name)
	}
	if got := read(t, s, 0).Labels; !slices.Equal(got, []uint8{3, data.Ignored, 10}) {
		t.Errorf("the set's own labels became %v", got)
	}
	if _, err := mapped.Relabel(m); err == nil || !strings.Contains(err.Error(), "its classes are those of idd-lite, and the map is from camvid") {
		t.Errorf("relabelled twice: error %v", err)
	}
}

// TestReadLabels reads the same labels as with the picture, which it does not decode.
func TestReadLabels(t *testing.T) {
	files := tree{"images/a.jpg": jpg(t, 3), "labels/a.png": ids(t, 3, 11, 10), "images/b.jpg": jpg(t, 2), "labels/b.png": ids(t, 3)}
	dir := files.in(t, t.TempDir())
	s := open(t, "camvid="+dir)
	relabelled, err := s.As(labels.IDDLite())
	if err != nil {
		t.Fatal(err)
	}
	made := data.NewSet("made", s.Classes, make([]data.Sample, 1), func(data.Sample) (*data.Picture, error) { return s.Read(0) })
	for _, set := range []*data.Set{s, relabelled, s.Unlabelled(), made, open(t, "scenes=day@64x64:1-1")} {
		whole := read(t, set, 0)
		p, err := set.ReadLabels(0)
		if err != nil || p.RGB != nil || p.Width != whole.Width || p.Height != whole.Height || !slices.Equal(p.Labels, whole.Labels) {
			t.Errorf("%s: %+v, %v; want the labels of %+v", set.Name, p, err, whole)
		}
	}
	photo := files["images/a.jpg"]
	tree{"images/a.jpg": photo[:len(photo)-2]}.in(t, dir)
	if _, err := s.ReadLabels(0); err != nil {
		t.Errorf("the picture is decoded: %v", err)
	}
	if _, err := s.ReadLabels(1); err == nil || !strings.Contains(err.Error(), "the labels have 1 x 1 pixels") {
		t.Errorf("labels of another size: error %v", err)
	}
	os.Remove(filepath.Join(dir, "images/a.jpg"))
	if _, err := s.ReadLabels(0); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "images/a.jpg")+": no such file") {
		t.Errorf("picture removed: error %v", err)
	}
}

// TestAbsolute names the same pictures from another folder.
func TestAbsolute(t *testing.T) {
	at, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"camvid=x/y:day":         "camvid=AT/x/y:day",
		"n=gtav=./x":             "n=gtav=AT/x",
		"idd=/x@y":               "idd=/x@y",
		"folder=x@y":             "folder=AT/x@y",
		"folder=a.yaml":          "folder=AT/a.yaml",
		"folder=a.yaml@x:s":      "folder=AT/a.yaml@AT/x:s",
		"n=scenes=day+rain:0-19": "n=scenes=day+rain:0-19",
	} {
		got, err := data.Absolute(source)
		if want = strings.ReplaceAll(want, "AT", at); err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", source, got, err, want)
		}
	}
	if _, err := data.Absolute("camvid"); err == nil {
		t.Error("a source without a folder is taken")
	}
}
