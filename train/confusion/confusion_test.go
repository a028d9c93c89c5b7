package confusion_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/confusion"
)

// Six pixels of three classes, one of them ignored, by hand:
//
//	class 0: true at 0, 1; predicted at 0, 3    → 1 of 3
//	class 1: true at 2, 3; predicted at 1, 2, 4 → 1 of 4
//	class 2: true at 4;    predicted nowhere    → 0 of 1
//	class 3: neither                            → no number
func TestByHand(t *testing.T) {
	m := confusion.New(4, 255)
	if err := m.Add([]uint8{0, 0, 1, 1, 2, 255}, []uint8{0, 1, 1, 0, 1, 77}); err != nil {
		t.Fatal(err)
	}
	checkFloats(t, "IoU", m.IoU(), []float64{1.0 / 3, 1.0 / 4, 0, math.NaN()})
	checkFloats(t, "mean IoU and pixel accuracy",
		[]float64{m.MeanIoU(), m.PixelAccuracy()},
		[]float64{(1.0/3 + 1.0/4) / 3, 2.0 / 5})
	if m.Pixels() != 5 || m.Count(2, 1) != 1 || m.Count(1, 2) != 0 {
		t.Errorf("pixels %d, 2 as 1 %d, 1 as 2 %d; want 5, 1, 0", m.Pixels(), m.Count(2, 1), m.Count(1, 2))
	}
}

// A class that was only predicted counts as 0; one that neither occurs nor was predicted
// does not count.
func TestAbsentClasses(t *testing.T) {
	m := confusion.New(3, -1)
	if err := m.Add([]uint8{0, 0}, []uint8{0, 1}); err != nil {
		t.Fatal(err)
	}
	checkFloats(t, "IoU", m.IoU(), []float64{0.5, 0, math.NaN()})
	checkFloats(t, "mean IoU", []float64{m.MeanIoU()}, []float64{0.25})
}

func TestEmpty(t *testing.T) {
	m := confusion.New(2, 255)
	if err := m.Add([]uint8{255, 255}, []uint8{0, 9}); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	checkFloats(t, "IoU", m.IoU(), []float64{nan, nan})
	checkFloats(t, "mean IoU and pixel accuracy", []float64{m.MeanIoU(), m.PixelAccuracy()}, []float64{nan, nan})
}

// Random pictures, in parts that are merged, against sets of pixels counted class by class.
func TestAgainstSets(t *testing.T) {
	const classes, ignore = 7, 200
	rng := rand.New(rand.NewPCG(1, 2))
	var truth, predicted []uint8
	total := confusion.New(classes, ignore)
	for range 5 {
		part := confusion.New(classes, ignore)
		tr, pr := make([]uint8, 997), make([]uint8, 997)
		for i := range tr {
			tr[i], pr[i] = uint8(rng.IntN(classes)), uint8(rng.IntN(classes-2))
			if rng.IntN(10) == 0 {
				tr[i] = ignore
			}
		}
		truth, predicted = append(truth, tr...), append(predicted, pr...)
		if err := part.Add(tr, pr); err != nil {
			t.Fatal(err)
		}
		if err := total.Merge(part); err != nil {
			t.Fatal(err)
		}
	}
	want := make([]float64, classes)
	for c := range uint8(classes) {
		both, either := 0, 0
		for i := range truth {
			if truth[i] == ignore {
				continue
			}
			if truth[i] == c && predicted[i] == c {
				both++
			}
			if truth[i] == c || predicted[i] == c {
				either++
			}
		}
		want[c] = float64(both) / float64(either)
	}
	checkFloats(t, "IoU", total.IoU(), want)
}

func TestAddErrors(t *testing.T) {
	tests := map[string]struct {
		truth, predicted []uint8
		want             string
	}{
		"lengths":   {[]uint8{0, 1}, []uint8{0}, "compare labels: 2 true ones and 1 predicted ones"},
		"truth":     {[]uint8{0, 3}, []uint8{0, 0}, "compare labels: pixel 1 has the true label 3, but classes are 0 to 2 and 255 is ignored"},
		"predicted": {[]uint8{0, 1}, []uint8{0, 9}, "compare labels: pixel 1 has the predicted label 9, but classes are 0 to 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := confusion.New(3, 255)
			err := m.Add(tt.truth, tt.predicted)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error = %v\nwant    %s", err, tt.want)
			}
			if m.Pixels() != 0 {
				t.Errorf("%d pixels were counted beside an error", m.Pixels())
			}
		})
	}
}

func TestMergeRefusesOtherClasses(t *testing.T) {
	for _, other := range []*confusion.Matrix{confusion.New(4, 255), confusion.New(3, 254)} {
		if err := confusion.New(3, 255).Merge(other); err == nil {
			t.Error("merged matrices of different classes")
		}
	}
}

// The wanted rows are what Pillow 13.0 returns for Image.resize(…, NEAREST).
func TestResize(t *testing.T) {
	tests := map[string]struct {
		from []uint8
		to   []uint8
	}{
		"twice":     {[]uint8{1, 2, 3}, []uint8{1, 1, 2, 2, 3, 3}},
		"same":      {[]uint8{1, 2, 3}, []uint8{1, 2, 3}},
		"3 to 4":    {[]uint8{1, 2, 3}, []uint8{1, 2, 2, 3}},
		"4 to 3":    {[]uint8{1, 2, 3, 4}, []uint8{1, 3, 4}},
		"2 to 5":    {[]uint8{1, 2}, []uint8{1, 1, 2, 2, 2}},
		"one":       {[]uint8{7}, []uint8{7, 7, 7}},
		"8 to 1":    {[]uint8{0, 1, 2, 3, 4, 5, 6, 7}, []uint8{4}},
		"half of 6": {[]uint8{0, 1, 2, 3, 4, 5}, []uint8{1, 3, 5}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := confusion.Resize(tt.from, len(tt.from), 1, len(tt.to), 1)
			if err != nil || !slices.Equal(got, tt.to) {
				t.Errorf("across: %v, %v; want %v", got, err, tt.to)
			}
			got, err = confusion.Resize(tt.from, 1, len(tt.from), 1, len(tt.to))
			if err != nil || !slices.Equal(got, tt.to) {
				t.Errorf("down: %v, %v; want %v", got, err, tt.to)
			}
		})
	}
}

func TestResizeBothWays(t *testing.T) {
	got, err := confusion.Resize([]uint8{1, 2, 3, 4, 5, 6}, 3, 2, 6, 4)
	want := []uint8{
		1, 1, 2, 2, 3, 3,
		1, 1, 2, 2, 3, 3,
		4, 4, 5, 5, 6, 6,
		4, 4, 5, 5, 6, 6,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestResizeRefusesBadSizes(t *testing.T) {
	for _, size := range [][4]int{{0, 0, 1, 1}, {3, 2, 0, 1}, {3, 2, 1, -1}, {4, 2, 1, 1}, {2, 2, 1, 1}} {
		if _, err := confusion.Resize(make([]uint8, 6), size[0], size[1], size[2], size[3]); err == nil {
			t.Errorf("6 labels as %v were scaled", size)
		}
	}
}

func checkFloats(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b float64) bool {
		return math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b)
	}) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
