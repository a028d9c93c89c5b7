package data_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

func TestCheck(t *testing.T) {
	dir := tree{
		"images/a.png": picture(t, 4), "labels/a.png": ids(t, 0, 0, 3, 11),
		"images/b.png": picture(t, 2), "labels/b.png": ids(t, 3, 3),
		"images/c.png": picture(t, 2), "labels/c.png": ids(t, 11, 11),
	}.in(t, t.TempDir())
	calls := 0
	r, err := data.Check(t.Context(), "day=camvid="+dir, func(done, all int) {
		if calls++; done != calls || all != 3 {
			t.Errorf("progress %d of %d at call %d", done, all, calls)
		}
	})
	if err != nil || calls != 3 {
		t.Fatalf("error %v, %d calls", err, calls)
	}
	if r.Name != "day" || r.Pictures != 3 || r.IgnoredPixels != 3 || len(r.Faults) != 0 || len(r.Unknown) != 0 {
		t.Errorf("report %+v", r)
	}
	if want := []data.SizeCount{{Width: 2, Height: 1, Pictures: 2}, {Width: 4, Height: 1, Pictures: 1}}; !slices.Equal(r.Sizes, want) {
		t.Errorf("sizes %v, want %v", r.Sizes, want)
	}
	if want := (data.ClassCount{Name: "road", Pixels: 3, Pictures: 2}); r.Classes[3] != want || len(r.Classes) != 11 {
		t.Errorf("class 3 of %d is %v, want %v", len(r.Classes), r.Classes[3], want)
	}
	if want := filepath.Join(dir, "labels/c.png") + ": no pixel has a class"; !slices.Equal(r.Notes, []string{want}) {
		t.Errorf("notes %q, want %q", r.Notes, want)
	}
}

// TestCheckFindsAll has one file for each kind of fault.
func TestCheckFindsAll(t *testing.T) {
	good, photo := ids(t, 1, 1), jpg(t, 2)
	dir := tree{
		"images/good.jpg": photo, "labels/good.png": good,
		"images/cut.jpg": photo[:len(photo)-2], "labels/cut.png": good,
		"images/empty.jpg": nil, "labels/empty.png": good,
		"images/labelcut.jpg": photo, "labels/labelcut.png": good[:50],
		"images/size.jpg": jpg(t, 3), "labels/size.png": good,
		"images/strange.jpg": photo, "labels/strange.png": ids(t, 12, 200),
		"images/stranger.jpg": photo, "labels/stranger.png": ids(t, 200, 200),
		"images/unlabelled.jpg": photo,
		"labels/orphan.png":     good,
	}.in(t, t.TempDir())
	r, err := data.Check(t.Context(), "camvid="+dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"images/cut.jpg: the file ends too early",
		"images/empty.jpg: the file is empty",
		"images/unlabelled.jpg: the picture has no label file in labels",
		"labels/labelcut.png: decode labels: ",
		"labels/orphan.png: no picture belongs to this label file",
		"labels/size.png: the labels have 2 x 1 pixels, and the picture " + filepath.Join(dir, "images/size.jpg") + " has 3 x 1",
		"labels/strange.png: label ids that the layout does not know: 12 (1 pixel), 200 (1 pixel)",
		"labels/stranger.png: label ids that the layout does not know: 200 (2 pixels)",
	}
	if len(r.Faults) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(r.Faults), len(want), strings.Join(r.Faults, "\n"))
	}
	for i, line := range r.Faults[:min(len(r.Faults), len(want))] {
		if !strings.HasPrefix(line, filepath.Join(dir, want[i])) || strings.Contains(line, "\n") {
			t.Errorf("fault %q, want %q", line, want[i])
		}
	}
	if r.Pictures != 1 || r.Classes[1].Pixels != 2 {
		t.Errorf("%d pictures with %d pixels, want the good one's 2", r.Pictures, r.Classes[1].Pixels)
	}
	if want := []data.UnknownCount{{ID: 12, Pixels: 1, Files: 1}, {ID: 200, Pixels: 3, Files: 2}}; !slices.Equal(r.Unknown, want) {
		t.Errorf("unknown ids %v, want %v", r.Unknown, want)
	}
}

// TestCheckColors lists the colours of labels that no class has, the most frequent first.
func TestCheckColors(t *testing.T) {
	const width = 30
	direct := image.NewRGBA(image.Rect(0, 0, width, 1)) // mostly black
	indexed := image.NewPaletted(direct.Rect, color.Palette{color.RGBA{0, 60, 120, 255}, color.RGBA{9, 8, 7, 255}, color.White})
	for x := range width {
		indexed.Pix[x] = uint8(x / 28) // white nowhere
	}
	for x := range 3 {
		direct.SetRGBA(x, 0, color.RGBA{9, 8, 7, 255})
	}
	for x := range 12 {
		direct.SetRGBA(3+x, 0, color.RGBA{200, 0, uint8(x), 255})
	}
	dir := tree{
		"dataset.yaml": []byte("label_pixels: colors\nclasses: [{name: water, color: [0, 60, 120]}]"),
		"images/a.png": picture(t, width), "labels/a.png": encode(t, direct), "images/b.png": picture(t, width), "labels/b.png": encode(t, indexed),
	}.in(t, t.TempDir())
	r, err := data.Check(t.Context(), "folder="+dir, nil)
	if err != nil || len(r.Faults) > 0 || len(r.Notes) != 11 {
		t.Fatalf("notes %q, faults %q, %v; want one, and ten colours", r.Notes, r.Faults, err)
	}
	if want := filepath.Join(dir, "labels/a.png") + ": no pixel has a class"; r.Notes[0] != want {
		t.Errorf("note %q, want %q", r.Notes[0], want)
	}
	for i, want := range []string{"[0, 0, 0], which is ignored (pixels: 15, files: 1)", "[9, 8, 7], which is ignored (pixels: 5, files: 2)", "[200, 0, 0], which is ignored (pixels: 1, files: 1)"} {
		if want = filepath.Join(dir, "dataset.yaml") + ": no class has the color " + want; r.Notes[1+i] != want {
			t.Errorf("note %q, want %q", r.Notes[1+i], want)
		}
	}
}

func TestCheckStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := data.Check(ctx, "scenes=day@64x64:0-999", func(int, int) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
