package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// realData is the folder of photographs, which is not part of the repository.
func realData(t *testing.T) string {
	dir := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the photographs are not there: %v", err)
	}
	return dir
}

// TestRealData counts pixels of classes in real data sets. The numbers were computed with
// Pillow 13.0 and NumPy 2.4: bincount of the label files that the lists name.
func TestRealData(t *testing.T) {
	dir := realData(t)
	for source, c := range map[string]struct {
		pictures int
		size     string
		ignored  int64
		pixels   []int64
		in       []int // pictures with the class
	}{
		"camvid=DIR/camvid:day_train": {305, "480x360", 1826847,
			[]int64{8665855, 11717686, 528944, 18075367, 2374600, 4981763, 620109, 669949, 2780392, 333779, 128709},
			[]int{304, 303, 304, 305, 287, 257, 289, 160, 298, 258, 154}},
		"camvid=DIR/camvid:day_val": {101, "480x360", 297271,
			[]int64{1601620, 4531180, 98499, 5053176, 1521751, 2851125, 155724, 537197, 304716, 113531, 387010},
			[]int{101, 101, 101, 101, 101, 101, 101, 101, 101, 101, 101}},
		"camvid=DIR/camvid:day_test_newroute": {171, "480x360", 807381,
			[]int64{4581669, 8271667, 395756, 8681769, 3204133, 2271616, 354700, 392687, 425605, 139212, 22605},
			[]int{171, 171, 171, 171, 171, 166, 164, 62, 161, 162, 49}},
		"camvid=DIR/camvid:dusk_target": {62, "480x360", 677148,
			[]int64{2016912, 3032393, 94405, 2001513, 470485, 1184999, 123750, 44646, 939485, 71606, 56258},
			[]int{62, 62, 62, 62, 62, 62, 62, 13, 62, 59, 47}},
		"idd=DIR/idd_lite:unseen_test": {204, "320x227", 3051,
			[]int64{4709943, 355267, 238638, 1264972, 1769861, 3502566, 2974262}, []int{204, 150, 189, 199, 204, 203, 201}},
		"idd=DIR/idd_lite:extra_train": {406, "320x227", 3872,
			[]int64{9607877, 658728, 440372, 2550132, 2994823, 7520683, 5715353}, []int{406, 318, 369, 398, 406, 406, 400}},
		"bdd100k=DIR/bdd100k_sample": {16, "1280x720", 2351560,
			[]int64{2946181, 238777, 1676033, 38475, 133920, 101674, 8836, 47688, 2828100, 43478, 2600314, 19460, 3817, 1380950, 93398, 229438, 0, 669, 2832},
			[]int{14, 10, 14, 4, 5, 16, 5, 13, 15, 8, 16, 6, 2, 16, 6, 2, 0, 1, 2}},
		"folder=../../bench/datasets/labelmefacade.yaml@DIR/labelmefacade": {81, "683x512", 1267856,
			[]int64{11460423, 1198426, 190997, 1674532, 5046345, 3153957, 2245565, 905067}, []int{81, 60, 36, 67, 74, 81, 65, 79}},
	} {
		r, err := data.Check(t.Context(), strings.ReplaceAll(source, "DIR", dir), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Pictures != c.pictures || r.IgnoredPixels != c.ignored || len(r.Faults)+len(r.Notes) > 0 || len(r.Classes) != len(c.pixels) {
			t.Errorf("%s: %d pictures, %d pixels ignored, %d classes, faults %q, notes %q", source, r.Pictures, r.IgnoredPixels, len(r.Classes), r.Faults, r.Notes)
			continue
		}
		if s := r.Sizes[0]; fmt.Sprintf("%dx%d", s.Width, s.Height) != c.size {
			t.Errorf("%s: most pictures have %d x %d pixels, want %s", source, s.Width, s.Height, c.size)
		}
		for i, class := range r.Classes {
			if class.Pixels != c.pixels[i] || class.Pictures != c.in[i] {
				t.Errorf("%s: %s has %d pixels in %d pictures, want %d in %d", source, class.Name, class.Pixels, class.Pictures, c.pixels[i], c.in[i])
			}
		}
	}
}

// TestRealPixels compares single pixels and means with Pillow's.
func TestRealPixels(t *testing.T) {
	dir := realData(t)
	for source, c := range map[string]struct {
		name     string
		at100200 [3]int // row 100, column 200
		at300050 [3]int
		mean     [3]float64
	}{
		"camvid=DIR/camvid":          {"0006R0_f00930", [3]int{211, 211, 209}, [3]int{131, 126, 123}, [3]float64{159.185, 162.813, 160.674}},
		"bdd100k=DIR/bdd100k_sample": {"00a360bd-27ccb1dd", [3]int{185, 209, 233}, [3]int{21, 31, 41}, [3]float64{120.624, 136.197, 152.410}},
	} {
		s := open(t, strings.ReplaceAll(source, "DIR", dir))
		for i := range s.Len() {
			if s.Sample(i).Name != c.name {
				continue
			}
			p := read(t, s, i)
			for channel := range 3 {
				sum := 0.0
				for at := channel; at < len(p.RGB); at += 3 {
					sum += float64(p.RGB[at])
				}
				if mean := sum / float64(p.Width*p.Height); mean < c.mean[channel]-0.1 || mean > c.mean[channel]+0.1 {
					t.Errorf("%s: mean of channel %d is %g, want %g", c.name, channel, mean, c.mean[channel])
				}
				for at, want := range map[int]int{100*p.Width + 200: c.at100200[channel], 300*p.Width + 50: c.at300050[channel]} {
					// JPEG decoders may differ by rounding.
					if got := int(p.RGB[3*at+channel]); got < want-2 || got > want+2 {
						t.Errorf("%s: pixel %d has %d in channel %d, want %d", c.name, at, got, channel, want)
					}
				}
			}
		}
	}
}

// TestLabelMeFacadeMap is the suggested map of its ids 1 to 8 to CamVid's.
func TestLabelMeFacadeMap(t *testing.T) {
	s := open(t, "folder=../../bench/datasets/labelmefacade.yaml@"+filepath.Join(realData(t), "labelmefacade"))
	m, ok := s.MapTo(labels.CamVid())
	if !ok || fmt.Sprint(m.IDs) != "[1 8 1 4 3 0 5 1]" {
		t.Errorf("map %v, %t", m.IDs, ok)
	}
	var missed []string
	for i, reached := range m.Reaches() {
		if !reached {
			missed = append(missed, m.To.Classes[i].Name)
		}
	}
	if got := strings.Join(missed, " "); got != "pole sign fence pedestrian bicyclist" {
		t.Errorf("classes %q are not reached", got)
	}
}
