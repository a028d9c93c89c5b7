package report

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"github.com/robustnet-edge/robustnet/train/run"
)

func TestThin(t *testing.T) {
	var line plotter.XYs
	for i := range 5000 {
		line = append(line, plotter.XY{X: float64(i), Y: 2 * float64(i)})
	}
	line[1].Y, line[2].X, line[3].Y = math.NaN(), math.Inf(1), math.Inf(-1)
	got := thin(line)
	// 4,997 finite points in groups of 17: the first is of 0 and 4 to 19, the last of 4,985 to 4,999.
	if len(got) != 294 || math.Abs(got[0].X-184.0/17) > 1e-9 || math.Abs(got[0].Y-368.0/17) > 1e-9 {
		t.Errorf("%d points, the first %v", len(got), got[0])
	}
	if last := got[len(got)-1]; math.Abs(last.X-4991.5) > 1e-6 || math.Abs(last.Y-9983) > 1e-6 {
		t.Errorf("the last point is %v", last)
	}
	if few := thin(line[:6]); !slices.Equal(few, plotter.XYs{line[0], line[4], line[5]}) {
		t.Errorf("of few points it keeps %v", few)
	}
	if none := thin(line[1:4]); len(none) > 0 {
		t.Errorf("of none it keeps %v", none)
	}
}

// A file of metrics as long as a published training's makes no more of a page than a short one.
func TestLongMetrics(t *testing.T) {
	var metrics []run.Metric
	for i := range 5000 {
		metrics = append(metrics, run.Metric{Iteration: 10 * (i + 1), Loss: 1 / float64(i+1), Whitening: math.NaN()})
	}
	drawn, err := charts(record{Metrics: metrics})
	if err != nil || len(drawn) == 0 || drawn[0].Title != "Loss" {
		t.Fatalf("drawn %v, %v", drawn, err)
	}
	if lines := strings.Count(string(drawn[0].SVG), "L"); lines > 3*(maxPoints+20) {
		t.Errorf("the chart has %d lines", lines)
	}
}

// Whatever the numbers are, the chart has finite coordinates.
func TestStrangeCurves(t *testing.T) {
	coordinate := regexp.MustCompile(`NaN|Inf|e[+]?[0-9]{2}`)
	for name, values := range map[string][]float64{
		"one point":     {3},
		"all the same":  {0.5, 0.5, 0.5},
		"zeros":         {0, 0},
		"below zero":    {-1, -3},
		"gaps":          {math.NaN(), 1, math.Inf(1), 2, math.Inf(-1)},
		"diverging":     {1, 1, 1, 1e30},
		"tiny":          {1e-12, 2e-12},
		"nearly equal":  {1, 1 + 1e-15},
		"a spike first": slices.Concat([]float64{1e9}, slices.Repeat([]float64{1, 2}, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			line := curve{name: "loss"}
			for i, v := range values {
				line.points = append(line.points, plotter.XY{X: float64(i), Y: v})
			}
			svg, err := newChart("Loss", "loss", "Losses.", line).svg()
			if err != nil {
				t.Fatal(err)
			}
			if bad := coordinate.FindString(strings.Join(regexp.MustCompile(` d="[^"]*"`).FindAllString(string(svg), -1), "")); bad != "" {
				t.Errorf("the chart has the coordinate %s: %s", bad, svg)
			}
			if strings.Contains(string(svg), "#F0F") || strings.Contains(string(svg), "#EF") || !strings.Contains(string(svg), "var(--s0)") {
				t.Errorf("the colours are not the page's: %s", svg)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 4000, "0 1,000 2,000 3,000 4,000"},
		{0, 40000, "0 10,000 20,000 30,000 40,000"},
		{0, 0.0106, "0.000 0.002 0.004 0.006 0.008 0.010"},
		{38, 66, "40 45 50 55 60 65"},
		{-0.3, 0.3, "-0.3 -0.2 -0.1 0.0 0.1 0.2 0.3"},
		{0, 3e-5, "0 5e-06 1e-05 1.5e-05 2e-05 2.5e-05 3e-05"},
	} {
		var got []string
		for _, tick := range ticks(c.low, c.high) {
			got = append(got, tick.Label)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("from %v to %v: %s, want %s", c.low, c.high, text, c.want)
		}
	}
}
