package data_test

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// TestLayouts wants the official folders, and the plain ones, to be found.
func TestLayouts(t *testing.T) {
	p, j := picture(t, 1), jpg(t, 1)
	road := ids(t, 0)
	gtav := encode(t, &image.RGBA{Pix: []uint8{128, 64, 128, 255}, Stride: 4, Rect: image.Rect(0, 0, 1, 1)})
	synthia := encode(t, &image.RGBA64{Pix: []uint8{0, 3, 0, 9, 0, 0, 255, 255}, Stride: 8, Rect: image.Rect(0, 0, 1, 1)})
	for name, c := range map[string]struct {
		source  string // DIR stands for the folder
		files   tree
		wantSet string
		want    []string
		class   uint8 // of the first pixel of the first picture
	}{
		"cityscapes": {"cityscapes=DIR:val", tree{
			"leftImg8bit/train/aachen/a_0_leftImg8bit.png": p, "gtFine/train/aachen/a_0_gtFine_labelIds.png": ids(t, 7),
			"leftImg8bit/val/bonn/b_1_leftImg8bit.png": p, "gtFine/val/bonn/b_1_gtFine_labelIds.png": ids(t, 8),
			"gtFine/val/bonn/b_1_gtFine_color.png": p, "gtFine/val/bonn/b_1_gtFine_instanceIds.png": p,
		}, "set:val", []string{"bonn/b_1"}, 1},
		"cityscapes as published code has it": {"cityscapes=DIR", tree{
			"leftImg8bit_trainvaltest/leftImg8bit/train/aachen/a_0_leftImg8bit.png": p,
			"gtFine_trainvaltest/gtFine/train/aachen/a_0_gtFine_labelIds.png":       ids(t, 33),
		}, "set:train", []string{"aachen/a_0"}, 18},
		"cityscapes, two splits": {"cityscapes=DIR:train+val", tree{
			"leftImg8bit/train/x/a_leftImg8bit.png": p, "gtFine/train/x/a_gtFine_labelIds.png": ids(t, 7),
			"leftImg8bit/val/x/a_leftImg8bit.png": p, "gtFine/val/x/a_gtFine_labelIds.png": ids(t, 7),
		}, "set:train+val", []string{"train/x/a", "val/x/a"}, 0},
		"gtav": {"gtav=DIR:val", tree{"images/valid/01/00022.png": p, "labels/valid/01/00022.png": gtav},
			"set:val", []string{"01/00022"}, 0},
		"gtav with a list": {"gtav=DIR:train", tree{
			"images/00001.png": p, "images/00002.png": p, "labels/00001.png": gtav, "labels/00002.png": gtav,
			"splits/train.txt": []byte("00002.png\r\n"),
		}, "set:train", []string{"00002"}, 0},
		"bdd100k": {"bdd100k=DIR", tree{
			"images/train/0a.jpg": j, "labels/train/0a_train_id.png": ids(t, 5), "images/val/0b.jpg": j, "labels/val/0b_train_id.png": road,
		}, "set:train", []string{"0a"}, 5},
		"bdd100k as released first": {"bdd100k=DIR:val", tree{
			"seg/images/val/0b.jpg": j, "seg/labels/val/0b_train_id.png": road, "seg/color_labels/val/0b_train_color.png": p,
		}, "set:val", []string{"0b"}, 0},
		"bdd100k as released last": {"bdd100k=DIR:val", tree{"images/10k/val/0b.jpg": j, "labels/sem_seg/masks/val/0b.png": ids(t, 18)},
			"set:val", []string{"0b"}, 18},
		"bdd100k, plain": {"bdd100k=DIR", tree{"images/0b.jpg": j, "images/0a.jpg": j, "labels_trainId/0a.png": road, "labels_trainId/0b.png": road},
			"set", []string{"0a", "0b"}, 0},
		"mapillary": {"mapillary=DIR:val", tree{"validation/images/x.jpg": j, "validation/labels/x.png": ids(t, 27)}, "set:val", []string{"x"}, 10},
		"mapillary 2.0's folders": {"mapillary=DIR", tree{
			"training/images/x.jpg": j, "training/v1.2/labels/x.png": ids(t, 24), "training/v2.0/labels/x.png": ids(t, 99),
		}, "set:train", []string{"x"}, 0},
		"synthia": {"synthia=DIR", tree{"RGB/train/0000001.png": p, "GT/LABELS/train/0000001.png": synthia, "GT/COLOR/train/0000001.png": p},
			"set:train", []string{"0000001"}, 0},
		"synthia as released": {"synthia=DIR", tree{"RGB/0000001.png": p, "GT/LABELS/0000001.png": synthia}, "set", []string{"0000001"}, 0},
		"idd-lite": {"idd=DIR:val", tree{
			"leftImg8bit/val/119/903127_image.jpg": j, "gtFine/val/119/903127_label.png": ids(t, 6), "gtFine/val/119/903127_inst_label.png": ids(t, 99),
		}, "set:val", []string{"119/903127"}, 6},
		"idd-lite, plain": {"idd=DIR:unseen", tree{"images/119_903127.jpg": j, "labels/119_903127.png": ids(t, 2), "splits/unseen.txt": []byte("119_903127")},
			"set:unseen", []string{"119_903127"}, 2},
		"camvid": {"camvid=DIR", tree{"train/0001TP_006690.png": p, "trainannot/0001TP_006690.png": ids(t, 3), "valannot/x.png": road},
			"set:train", []string{"0001TP_006690"}, 3},
		"camvid, plain": {"camvid=DIR", tree{"images/b.jpg": j, "images/a.jpg": j, "labels/a.png": ids(t, 11), "labels/b.png": ids(t, 11)},
			"set", []string{"a", "b"}, data.Ignored},
		"camvid, a list's own order": {"dusk=camvid=DIR:dusk", tree{
			"images/b.jpg": j, "images/a.jpg": j, "labels/a.png": ids(t, 1), "labels/b.png": ids(t, 2), "splits/dusk.txt": []byte("# first\nb\n\na\n"),
		}, "dusk", []string{"b", "a"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.files.in(t, filepath.Join(t.TempDir(), "set"))
			s := open(t, strings.Replace(c.source, "DIR", dir, 1))
			if s.Name != c.wantSet || !slices.Equal(names(s), c.want) || !s.Labelled() {
				t.Fatalf("set %s of %q, want %s of %q", s.Name, names(s), c.wantSet, c.want)
			}
			if p := read(t, s, 0); p.Labels[0] != c.class || p.Width != 1 || p.Height != 1 || len(p.RGB) != 3 {
				t.Errorf("class %d, %d x %d pixels, %d bytes; want class %d", p.Labels[0], p.Width, p.Height, len(p.RGB), c.class)
			}
		})
	}
}

// TestMaps reads label files with every id of a data set. The tables are those of the
// data sets' documentation, written as "ids→class".
func TestMaps(t *testing.T) {
	for name, c := range map[string]struct {
		layout, images, labels string
		table                  string
		last                   int // id that the data set has
	}{
		"cityscapes": {"cityscapes", "leftImg8bit/train/x/a_leftImg8bit.png", "gtFine/train/x/a_gtFine_labelIds.png",
			"7→0 8→1 11→2 12→3 13→4 17→5 19→6 20→7 21→8 22→9 23→10 24→11 25→12 26→13 27→14 28→15 31→16 32→17 33→18", 33},
		"bdd100k": {"bdd100k", "images/train/a.jpg", "labels/train/a_train_id.png",
			"0→0 1→1 2→2 3→3 4→4 5→5 6→6 7→7 8→8 9→9 10→10 11→11 12→12 13→13 14→14 15→15 16→16 17→17 18→18", 18},
		"mapillary": {"mapillary", "training/images/a.jpg", "training/labels/a.png",
			"13,24,41→0 2,15→1 17→2 6→3 3→4 45,47→5 48→6 50→7 30→8 29→9 27→10 19→11 20,21,22→12 55→13 61→14 54→15 58→16 57→17 52→18", 65},
		"synthia": {"synthia", "RGB/train/a.png", "GT/LABELS/train/a.png",
			"1→10 2→2 3→0 4→1 5→4 6→8 7→5 8→13 9→7 10→11 11→18 12→17 15→6 16→9 17→12 18→14 19→15 20→16 21→3", 22},
		"camvid":   {"camvid", "train/a.png", "trainannot/a.png", "0→0 1→1 2→2 3→3 4→4 5→5 6→6 7→7 8→8 9→9 10→10", 11},
		"idd-lite": {"idd", "leftImg8bit/train/x/a_image.jpg", "gtFine/train/x/a_label.png", "0→0 1→1 2→2 3→3 4→4 5→5 6→6", 6},
	} {
		t.Run(name, func(t *testing.T) {
			want := slices.Repeat([]uint8{data.Ignored}, c.last+1)
			row := make([]uint8, c.last+1)
			for i := range row {
				row[i] = uint8(i)
			}
			for _, entry := range strings.Fields(c.table) {
				from, to, _ := strings.Cut(entry, "→")
				for _, id := range strings.Split(from, ",") {
					want[number(t, id)] = uint8(number(t, to))
				}
			}
			pic := picture(t, len(row))
			if strings.HasSuffix(c.images, ".jpg") {
				pic = jpg(t, len(row))
			}
			dir := tree{c.images: pic, c.labels: ids(t, row...)}.in(t, t.TempDir())
			if got := read(t, open(t, c.layout+"="+dir), 0).Labels; !slices.Equal(got, want) {
				t.Errorf("classes\n%v, want\n%v", got, want)
			}

			// The id behind the last one, and 99, belong to nothing.
			copy(row, []uint8{uint8(c.last + 1), 99, 99})
			tree{c.labels: ids(t, row...)}.in(t, dir)
			_, err := open(t, c.layout+"="+dir).Read(0)
			var strange data.UnknownIDs
			if !errors.As(err, &strange) || !slices.Equal(strange, data.UnknownIDs{{ID: uint8(c.last + 1), Pixels: 1}, {ID: 99, Pixels: 2}}) {
				t.Errorf("error %v lists %v", err, strange)
			}
			for _, part := range []string{filepath.Join(dir, c.labels), "99 (2 pixels)", "robustnet-train check"} {
				if !strings.Contains(fmt.Sprint(err), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
		})
	}
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestIgnored255 wants 255 to be ignored where the data sets' tools write it.
func TestIgnored255(t *testing.T) {
	for layout, files := range map[string]tree{
		"cityscapes": {"leftImg8bit/train/x/a_leftImg8bit.png": picture(t, 1), "gtFine/train/x/a_gtFine_labelIds.png": ids(t, 255)},
		"bdd100k":    {"images/train/a.jpg": jpg(t, 1), "labels/train/a_train_id.png": ids(t, 255)},
		"idd":        {"images/a.jpg": jpg(t, 1), "labels/a.png": ids(t, 255)},
	} {
		if got := read(t, open(t, layout+"="+files.in(t, t.TempDir())), 0).Labels; got[0] != data.Ignored {
			t.Errorf("%s: 255 becomes %d", layout, got[0])
		}
	}
}

// TestColors decodes the palette of GTAV, as RGB and as palette image.
func TestColors(t *testing.T) {
	colors := [][3]uint8{
		{128, 64, 128}, {244, 35, 232}, {70, 70, 70}, {102, 102, 156}, {190, 153, 153}, {153, 153, 153}, {250, 170, 30},
		{220, 220, 0}, {107, 142, 35}, {152, 251, 152}, {70, 130, 180}, {220, 20, 60}, {255, 0, 0}, {0, 0, 142}, {0, 0, 70},
		{0, 60, 100}, {0, 80, 100}, {0, 0, 230}, {119, 11, 32},
		// Neighbours of the road's, GTAV's other colours, and black belong to no class.
		{128, 64, 127}, {129, 64, 128}, {0, 0, 0}, {0, 0, 90}, {0, 0, 110}, {20, 20, 20}, {111, 74, 0}, {81, 0, 81},
	}
	rect := image.Rect(0, 0, len(colors), 1)
	rgb, indexed := image.NewNRGBA(rect), image.NewPaletted(rect, nil)
	var want []uint8
	for x, c := range colors {
		solid := color.NRGBA{c[0], c[1], c[2], 255}
		rgb.SetNRGBA(x, 0, solid)
		indexed.Palette = append(indexed.Palette, solid)
		indexed.Pix[x] = uint8(x)
		class := uint8(data.Ignored)
		if x < 19 {
			class = uint8(x)
		}
		want = append(want, class)
	}
	for name, img := range map[string]image.Image{"RGB": rgb, "palette": indexed} {
		dir := tree{"images/train/a.png": picture(t, len(colors)), "labels/train/a.png": encode(t, img)}.in(t, t.TempDir())
		if got := read(t, open(t, "gtav="+dir), 0).Labels; !slices.Equal(got, want) {
			t.Errorf("%s: classes\n%v, want\n%v", name, got, want)
		}
	}
}

// TestSizesDiffer: GTAV is known to have pairs of different sizes, other sets are not.
func TestSizesDiffer(t *testing.T) {
	grey := encode(t, image.NewRGBA(image.Rect(0, 0, 3, 1)))
	dir := tree{
		"images/train/a.png": picture(t, 2), "labels/train/a.png": grey, "images/train/b.png": picture(t, 3), "labels/train/b.png": grey,
	}.in(t, t.TempDir())
	s := open(t, "gtav="+dir)
	if !slices.Equal(names(s), []string{"b"}) || len(s.Skipped) != 1 || !strings.HasPrefix(s.Skipped[0].Error(), filepath.Join(dir, "labels/train/a.png:")) {
		t.Errorf("pictures %q, skipped %v; want b, and a skipped", names(s), s.Skipped)
	}

	dir = tree{"images/a.png": picture(t, 2), "labels/a.png": ids(t, 1, 2, 3)}.in(t, t.TempDir())
	_, err := open(t, "camvid="+dir).Read(0)
	if err == nil || !strings.Contains(err.Error(), "the labels have 3 x 1 pixels") || !strings.Contains(err.Error(), "has 2 x 1") {
		t.Errorf("error %v for a label file of another size", err)
	}
}
