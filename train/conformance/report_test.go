package conformance

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestUniform compares with a Python program of the formulas.
func TestUniform(t *testing.T) {
	for name, want := range map[string][]float64{
		"":                  {0.5273890501914946, -0.8746077209930507, -0.33777935340738385, 0.32195121037593366},
		"input":             {-0.8043633146849236, 0.30472085653436465, -0.5927514534729075, 0.18869283420434502},
		"layer0.0.0.weight": {0.37290919685817125, -0.07742147480108863, -0.9050321252163336, -0.22610454975237482},
		"größe":             {0.3258439611516799, 0.3622661303842927, 0.5852830650767324, 0.17355236146486952},
	} {
		u := uniform(name, 1000)
		if got := append(u[:3:3], u[999]); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// TestLabels compares with the formula for 19 classes, ⌊y/8⌋·7 + ⌊x/8⌋·3 + b modulo 20.
func TestLabels(t *testing.T) {
	r := &Reference{Input: [4]int{2, 3, 96, 160}, Classes: 19}
	labels := r.labels(20)
	for _, c := range []struct{ image, y, x, want int }{
		{0, 0, 0, 0}, {0, 7, 15, 3}, {1, 8, 8, 11}, {0, 95, 159, 14}, {1, 16, 40, 10}, {0, 16, 120, 19}, {1, 16, 112, 17}, {1, 8, 152, 5}, {0, 40, 64, 19},
	} {
		want := int64(c.want)
		if want == 19 {
			want = 255
		}
		if got := labels[(c.image*96+c.y)*160+c.x]; got != want {
			t.Errorf("label at %d, %d of image %d is %d, want %d", c.y, c.x, c.image, got, want)
		}
	}
}

func TestTolerances(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		reference, ours, scale, tolerance float64
		ok                                bool
	}{
		"equal":                     {3, 3, 0, 0, true},
		"both zero":                 {0, 0, 0, 0, true},
		"at the limit":              {4, 5, 0, 0.25, true},
		"beyond the limit":          {4, math.Nextafter(5, 6), 0, 0.25, false},
		"below":                     {-4, -5, 0, 0.25, true},
		"other sign":                {4, -4, 0, 0.25, false},
		"of a scale":                {0, 1, 4, 0.25, true},
		"of a smaller scale":        {0, 1, 3, 0.25, false},
		"of a negative scale":       {0, 9, -4, 0.25, false},
		"nothing to be relative to": {0, 1e-30, 0, 0.25, false},
		"ours is NaN":               {1, nan, 0, 1, false},
		"theirs is NaN":             {nan, 1, 0, 1, false},
		"both are NaN":              {nan, nan, 0, 1, false},
		"NaN at a scale":            {nan, nan, 1, 1, false},
		"ours is infinite":          {1, inf, 0, 1, false},
		"both are infinite":         {inf, inf, 0, 1, false},
		"theirs is infinite":        {inf, 1, 0, 1, false},
	} {
		r := &Report{}
		r.number(name, c.reference, c.ours, c.scale, c.tolerance)
		if l := r.Lines[0]; l.OK() != c.ok {
			t.Errorf("%s: an error of %v at a tolerance of %v is ok: %v", name, l.Error, l.Tolerance, l.OK())
		}
	}
}

func TestValues(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		reference, ours []float32
		ok              bool
		error           float64
	}{
		"near":            {[]float32{1, -8, 2}, []float32{2, -8, 1}, true, 0.125},
		"far":             {[]float32{1, -8, 2}, []float32{4, -8, 1}, false, 0.375},
		"NaN before":      {[]float32{nan, 8}, []float32{1, 8}, false, math.NaN()},
		"NaN behind":      {[]float32{8, 8}, []float32{8, nan}, false, math.NaN()},
		"NaN in both":     {[]float32{8, nan}, []float32{8, nan}, false, math.NaN()},
		"too few":         {[]float32{1, 8}, []float32{1}, false, 0.5},
		"none":            {[]float32{1, 8}, nil, false, 1},
		"zeros":           {[]float32{0, 0}, []float32{0, 0}, true, 0},
		"zeros, expected": {[]float32{0, 0}, []float32{0, 1e-9}, false, math.Inf(1)},
	} {
		r := &Report{}
		r.values(name, c.reference, c.ours, 0.125)
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if l := r.Lines[0]; l.OK() != c.ok || !same(l.Error, c.error) {
			t.Errorf("%s: ok %v with an error of %v, want %v, %v", name, l.OK(), l.Error, c.ok, c.error)
		}
	}
}

// TestMask allows one entry in a thousand to differ.
func TestMask(t *testing.T) {
	reference, ours := slices.Repeat([]float32{1}, 2000), slices.Repeat([]uint8{1}, 2000)
	for differ, want := range []bool{true, true, true, false} {
		r := &Report{}
		r.mask("mask", reference, ours)
		if l := r.Lines[0]; l.OK() != want || l.Reference != 2000 || l.Ours != 2000-float64(differ) {
			t.Errorf("%d differ: %+v", differ, l)
		}
		ours[differ] = 0
	}
}

func TestWrite(t *testing.T) {
	r := &Report{}
	r.exact("params_total", 14840966, 14840966)
	r.exact("params_inference", 13355123, 13355124)
	r.number("step 0 ce", 3.4524216651916504, 3.4524219, 0, valueTolerance)
	r.values("covariance", []float32{0.5, 2}, []float32{0.5, 1}, valueTolerance)
	r.number("diverged", 1, math.NaN(), 0, valueTolerance)
	r.number("none", 0, 1, 0, valueTolerance)
	r.mask("mask", []float32{1, 0, 1, 1}, []uint8{1, 1, 1, 0})
	for want, r := range map[string]*Report{
		`   reference       ours  relative error      quantity
    14840966   14840966         0.0e+00    ok  params_total
    13355123   13355124         7.5e-08  FAIL  params_inference
  3.45242167  3.4524219         6.8e-08    ok  step 0 ce
           2          1         5.0e-01  FAIL  covariance
           1        NaN             NaN  FAIL  diverged
           0          1            +Inf  FAIL  none
           3          3         6.7e-01  FAIL  mask (2 entries differ)
`: r,
		`  reference      ours  relative error      quantity
   13355123  13355124         7.5e-08  FAIL  params_inference
          2         1         5.0e-01  FAIL  covariance
          1       NaN             NaN  FAIL  diverged
          0         1            +Inf  FAIL  none
          3         3         6.7e-01  FAIL  mask (2 entries differ)
`: r.Failures(),
	} {
		var text strings.Builder
		if err := r.Write(&text); err != nil {
			t.Fatal(err)
		}
		if text.String() != want {
			t.Errorf("got\n%s\nwant\n%s", text.String(), want)
		}
	}
	if n := r.Failed(); n != 5 {
		t.Errorf("%d lines failed, want 5", n)
	}
}
