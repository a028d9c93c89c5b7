package histogram_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// features are like those behind a ReLU6 and before one: many zeros, a long tail.
func features(n int, signed bool, scale float64) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	values := make([]float32, n)
	for i := range values {
		v := rng.NormFloat64() * math.Exp(rng.NormFloat64()) * scale
		if !signed {
			v = min(max(v, 0), 6*scale)
		}
		values[i] = float32(v)
	}
	return values
}

func of(tb testing.TB, parts ...[]float32) *histogram.Histogram {
	tb.Helper()
	h := &histogram.Histogram{}
	for _, values := range parts {
		if err := h.Add(values); err != nil {
			tb.Fatal(err)
		}
	}
	return h
}

// TestOrder wants the same histogram however values are split, ordered and merged: memory and
// results must not depend on how pictures come.
func TestOrder(t *testing.T) {
	small, large := features(1000, true, 1e-3), features(1000, true, 40)
	want := of(t, small, large)
	reversed := slices.Clone(large)
	slices.Reverse(reversed)
	merged := of(t, small)
	merged.Merge(of(t, large))
	other := of(t, large)
	other.Merge(of(t, small))
	other.Merge(&histogram.Histogram{})
	for name, got := range map[string]*histogram.Histogram{
		"large first": of(t, reversed, small), "merged": merged, "merged the other way": other,
		"one by one": of(t, large[:1], large[1:999], small, large[999:]),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the histogram differs", name)
		}
	}
	if want.Count() != 2000 || want.Min() != slices.Min(large) || want.Max() != slices.Max(large) {
		t.Errorf("count %d, %v to %v; want 2000, %v to %v", want.Count(), want.Min(), want.Max(), slices.Min(large), slices.Max(large))
	}
}

// TestError compares with the error of rounding the values themselves.
func TestError(t *testing.T) {
	for name, values := range map[string][]float32{
		"ReLU6": features(20000, false, 1), "signed": features(20000, true, 0.01), "huge": features(20000, true, 1e30), "tiny": features(20000, true, 1e-25),
		"zeros": make([]float32, 10), "one": {3}, "denormal": {1e-44, -1e-44},
	} {
		h := of(t, values)
		for _, kind := range []histogram.Kind{histogram.Affine, histogram.Symmetric} {
			grid := histogram.GridOf(kind, histogram.Range{Low: h.Min() / 2, High: h.Max() / 2})
			want, power := 0.0, 0.0
			for _, v := range values {
				d := float64(v) - grid.Round(float64(v))
				want += d * d / float64(len(values))
				power += float64(v) * float64(v) / float64(len(values))
			}
			if got := h.Error(grid); math.Abs(got-want) > 0.02*want+1e-9*power+1e-70 {
				t.Errorf("%s, %s: error %g, want %g", name, kind, got, want)
			}
			if got := h.Power(); math.Abs(got-power) > 1e-3*power+1e-70 {
				t.Errorf("%s: power %g, want %g", name, got, power)
			}
		}
	}
}

// TestGrid holds grids to the definition of ONNX's QuantizeLinear.
func TestGrid(t *testing.T) {
	for _, tt := range []struct {
		kind histogram.Kind
		r    histogram.Range
		zero int
		high float64 // value of the last level
		in   map[float64]float64
	}{
		{histogram.Affine, histogram.Range{Low: 0, High: 2.55}, 0, 2.55, map[float64]float64{-1: 0, 0.004: 0, 0.0051: 0.01, 9: 2.55}},
		{histogram.Affine, histogram.Range{Low: -1.28, High: 1.27}, 128, 1.27, map[float64]float64{-9: -1.28, 0.01: 0.01, 9: 1.27}},
		{histogram.Affine, histogram.Range{Low: 1, High: 2.55}, 0, 2.55, nil}, // zero always is a level
		{histogram.Affine, histogram.Range{Low: -2.55, High: -1}, 255, 0, nil},
		{histogram.Symmetric, histogram.Range{Low: -0.3, High: 1.27}, 0, 1.27, map[float64]float64{-9: -1.28, 9: 1.27}},
		{histogram.Symmetric, histogram.Range{Low: -1.27, High: 0.3}, 0, 1.27, nil},
	} {
		g := histogram.GridOf(tt.kind, tt.r)
		if g.Zero != tt.zero || math.Abs(float64(g.Range().High)-tt.high) > 1e-6 || g.Round(0) != 0 {
			t.Errorf("%s %v: zero-point %d, up to %v; want %d, %v", tt.kind, tt.r, g.Zero, g.Range().High, tt.zero, tt.high)
		}
		for v, want := range tt.in {
			if got := g.Round(v); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s %v: %v becomes %v, want %v", tt.kind, tt.r, v, got, want)
			}
		}
	}
}

// TestMSE compares with trying many ranges on the values themselves.
func TestMSE(t *testing.T) {
	for name, values := range map[string][]float32{"ReLU": features(5000, false, 1), "signed": features(5000, true, 1)} {
		h := of(t, values)
		for _, kind := range []histogram.Kind{histogram.Affine, histogram.Symmetric} {
			direct := func(r histogram.Range) float64 {
				sum := 0.0
				for _, v := range values {
					d := float64(v) - histogram.GridOf(kind, r).Round(float64(v))
					sum += d * d
				}
				return sum
			}
			best := math.Inf(1)
			for high := float32(1); high <= 40; high++ {
				for low := float32(0); low <= 40; low++ {
					best = min(best, direct(histogram.Range{Low: h.Min() * low / 40, High: h.Max() * high / 40}))
				}
			}
			if got := direct(h.Range(kind, histogram.Choice{Method: histogram.MSE})); got > 1.02*best {
				t.Errorf("%s, %s: squared error %g, but %g is possible", name, kind, got, best)
			}
		}
	}
}

func TestPercentile(t *testing.T) {
	values := features(100000, true, 1)
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	got := of(t, values).Range(histogram.Affine, histogram.Choice{Method: histogram.Percentile, Share: 0.999})
	if low, high := sorted[100], sorted[99899]; math.Abs(float64(got.Low-low)) > 0.02 || math.Abs(float64(got.High-high)) > 0.02 {
		t.Errorf("range %v, want %v to %v", got, low, high)
	}
	positive := of(t, features(1000, false, 1)).Range(histogram.Affine, histogram.Choice{Method: histogram.Percentile, Share: 0.999})
	if positive.Low != 0 || positive.High <= 0 || positive.High > 6 {
		t.Errorf("of values from 0 to 6 the range is %v", positive)
	}
}

// TestRangesOfAllMethods wants ranges within the values, with zero, for what tensors can hold.
func TestRangesOfAllMethods(t *testing.T) {
	for name, values := range map[string][]float32{
		"none": nil, "zeros": make([]float32, 100), "one value": {2}, "negative": {-3, -2, -1}, "two": {-1, 1},
		"an outlier": append(features(10000, false, 0.1), 1000), "constant": slices.Repeat([]float32{0.7}, 1000), "signed": features(3000, true, 5),
		"extreme": {math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32},
	} {
		h := of(t, values)
		for _, method := range histogram.Methods() {
			for _, kind := range []histogram.Kind{histogram.Affine, histogram.Symmetric} {
				r := h.Range(kind, histogram.Choice{Method: method, Share: 0.9999})
				if r.Low > 0 || r.High < 0 || r.Low < min(h.Min(), 0) || r.High > max(h.Max(), 0) {
					t.Errorf("%s, %s, %s: range %v of values %v to %v", name, method, kind, r, h.Min(), h.Max())
				}
				if g := histogram.GridOf(kind, r); !(g.Scale > 0) || math.IsInf(float64(g.Scale), 0) {
					t.Errorf("%s, %s, %s: scale %v", name, method, kind, g.Scale)
				}
			}
		}
	}
}

// TestOutliers wants every method but min-max to give up what one value in ten thousand would
// cost all others.
func TestOutliers(t *testing.T) {
	h := of(t, append(features(200000, false, 0.1), 1000, 999))
	for _, method := range histogram.Methods() {
		r := h.Range(histogram.Affine, histogram.Choice{Method: method, Share: 0.9999})
		if clipped := r.High < 500; clipped != (method != histogram.MinMax) && method != histogram.MSE {
			t.Errorf("%s: range %v", method, r)
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		h := of(t, []float32{1})
		if err := h.Add([]float32{2, bad, 3}); !errors.Is(err, histogram.ErrNotFinite) || !strings.Contains(err.Error(), "value 1 is") {
			t.Errorf("%v: error %v", bad, err)
		}
		if h.Count() != 1 || h.Max() != 1 {
			t.Errorf("%v was counted: %d values up to %v", bad, h.Count(), h.Max())
		}
	}
}

func TestBars(t *testing.T) {
	bars := of(t, []float32{0, 0, 0, 0.5, 1.5, 1.5, 3.5, 9}).Bars(0, 4, 4)
	want := []float64{0.5, 0.25, 0, 0.125}
	if !slices.Equal(bars, want) {
		t.Errorf("bars %v, want %v", bars, want)
	}
}

func TestJSON(t *testing.T) {
	for _, values := range [][]float32{nil, {0}, {1, -2, 0}, features(5000, true, 3)} {
		h := of(t, values)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		got := &histogram.Histogram{}
		if err := json.Unmarshal(text, got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.Count() != h.Count() || got.Min() != h.Min() || got.Power() != h.Power() {
			t.Errorf("%d values come back as %d", h.Count(), got.Count())
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"exponent":-10,"first":-3,"bins":[1,2,3],"zeros":4,"min":-1,"max":2}`,
		`{"first":8192,"bins":[1]}`, `{"exponent":1000}`, `{"bins":[18446744073709551615,1]}`, `{"first":-9000,"bins":[1]}`, `{"min":1,"max":0}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := &histogram.Histogram{}
		if json.Unmarshal(text, h) != nil {
			return
		}
		for _, method := range histogram.Methods() {
			r := h.Range(histogram.Affine, histogram.Choice{Method: method, Share: 0.999})
			if r.Low > 0 || r.High < 0 {
				t.Errorf("%s gives %v", method, r)
			}
		}
		if err := h.Add([]float32{1, -1e30, 1e-30}); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	values := features(1<<20, true, 1)
	h := &histogram.Histogram{}
	b.SetBytes(int64(4 * len(values)))
	for b.Loop() {
		if err := h.Add(values); err != nil {
			b.Fatal(err)
		}
	}
}
