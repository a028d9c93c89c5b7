package evaluate_test

import (
	"math"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
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
