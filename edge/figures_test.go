package edge

import (
	"math"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/edge/web"
)

// shown makes figures of frames that were presented at the given times in milliseconds.
func shown(at ...int) *figures {
	f := newFigures()
	for _, ms := range at {
		f.frames.add(frameTiming{done: moment(ms)})
	}
	return &f
}

func moment(ms int) time.Time {
	return time.Unix(1_790_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

func every(step, n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i * step
	}
	return at
}

func TestRate(t *testing.T) {
	for name, tc := range map[string]struct {
		f    *figures
		now  int
		want float64
	}{
		"no frame":                       {shown(), 0, 0},
		"one frame":                      {shown(0), 100, 0},
		"25 a second":                    {shown(every(40, 500)...), 499 * 40, 25},
		"next frame not yet due":         {shown(every(40, 500)...), 499*40 + 30, 25},
		"one in four seconds":            {shown(every(4000, 5)...), 16_000, 0.25},
		"stopped for as long as counted": {shown(every(100, 100)...), 9900 + 1000, 11.0 / 2},
		"stopped for long":               {shown(0, 100), 100 + 9900, 0.2},
		"only the last two seconds":      {shown(0, 1000, 2000, 10_000, 10_100, 10_200), 10_200, 10},
	} {
		if got := tc.f.rate(moment(tc.now)); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v frames/s, want %v", name, got, tc.want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var d []time.Duration
	for i := range 101 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := quantiles(d), (web.Quantiles{P50: 50, P95: 95}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := quantiles(nil); got != (web.Quantiles{}) {
		t.Errorf("of nothing: %v, want zeros", got)
	}
}

func TestRateWatch(t *testing.T) {
	for name, tc := range map[string]struct {
		assumed float64
		step    int // milliseconds between pictures
		want    float64
	}{
		"as assumed":        {25, 40, 0},
		"within the factor": {25, 55, 0},
		"half":              {25, 80, 12.5},
		"double":            {25, 20, 50},
		"below one":         {25, 1900, 1},
	} {
		w := rateWatch{assumed: tc.assumed}
		got := 0.0
		for at := 0; at <= 11_000 && got == 0; at += tc.step {
			if fps, wrong := w.add(moment(at)); wrong {
				got = fps
			}
		}
		if math.Abs(got-tc.want) > 0.2 {
			t.Errorf("%s: reports %v frames/s, want %v", name, got, tc.want)
		}
	}
}

func TestRateWatchForgetsPauses(t *testing.T) {
	w := rateWatch{assumed: 25}
	at := 0
	for range 20 { // viewers come for a second and leave for ten
		for range 25 {
			if fps, wrong := w.add(moment(at)); wrong {
				t.Fatalf("a pause was taken for a rate of %v", fps)
			}
			at += 40
		}
		at += 10_000
	}
}

func TestPaneSize(t *testing.T) {
	for in, want := range map[[2]int][2]int{
		{1280, 720}:      {1280, 720},
		{1279, 721}:      {1278, 720},
		{1, 1}:           {16, 16},
		{8192, 4096}:     {4096, 2048},
		{9000, 40}:       {4096, 18},
		{100_000, 10}:    {4096, 16},
		{3000, 8000}:     {1536, 4096},
		{maxPaneSide, 2}: {maxPaneSide, 16},
	} {
		if w, h := paneSize(in[0], in[1]); [2]int{w, h} != want {
			t.Errorf("%v becomes %d×%d, want %v", in, w, h, want)
		}
	}
}
