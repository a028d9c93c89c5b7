package evaluate_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
)

func TestWorst(t *testing.T) {
	for name, c := range map[string]struct {
		limit int
		mious []float64
		want  string
	}{
		"the lowest first":   {2, []float64{50, 10, 30, 5}, "d b"},
		"fewer":              {9, []float64{50, 10}, "b a"},
		"equal ones":         {2, []float64{7, 7, 7}, "a b"},
		"nothing labelled":   {2, []float64{math.NaN(), 90, math.NaN()}, "b"},
		"none are asked for": {0, []float64{1, 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := evaluate.Worst{Limit: c.limit}
			for i, miou := range c.mious {
				w.Add(evaluate.Exhibit{Name: string(rune('a' + i)), MIoU: miou, Picture: &data.Picture{}})
			}
			var names []string
			for _, e := range w.Exhibits {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("kept %q, want %q", got, c.want)
			}
		})
	}
}

// A second drawing of fewer exhibits leaves the first's others neither listed nor there.
func TestFewerExhibits(t *testing.T) {
	dir := t.TempDir()
	mine := []string{"worst_9_notes.png", "worst_x_image.png", "other_7_image.png"}
	for _, name := range mine {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	picture := &data.Picture{Width: 1, Height: 1, RGB: make([]uint8, 3), Labels: make([]uint8, 1)}
	for _, n := range []int{4, 2} {
		sample, worst := evaluate.Exhibits{Kind: "sample"}, evaluate.Exhibits{Kind: "worst"}
		for range n {
			worst.List = append(worst.List, evaluate.Exhibit{Name: "a", Picture: picture, Prediction: make([]uint8, 1), Classes: labels.CamVid()})
		}
		sample.List = worst.List[:1]
		if err := evaluate.WriteExhibits(dir, sample, worst); err != nil {
			t.Fatal(err)
		}
	}
	want := append(mine, "list.txt")
	for _, files := range []string{"sample_0", "worst_0", "worst_1"} {
		want = append(want, files+"_image.png", files+"_prediction.png", files+"_truth.png")
	}
	slices.Sort(want)
	var got []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("left are %q, %v; want %q", got, err, want)
	}
}
