package extra

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

func TestParse(t *testing.T) {
	for list, want := range map[string][]Name{
		"":                           nil,
		"pasta":                      {PASTA},
		"mixstyle,consistency":       {MixedStyles, ConsistentViews},
		" pasta , mixstyle":          {PASTA, MixedStyles},
		"consistency,pasta,mixstyle": {ConsistentViews, PASTA, MixedStyles},
	} {
		if got, err := Parse(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", list, got, err, want)
		}
	}
	for list, want := range map[string]string{
		"mixstlye":    `unknown extra "mixstlye"; did you mean mixstyle?`,
		"pasta,pasta": "extra pasta is named twice",
		"pasta,":      `unknown extra ""; choose among pasta, consistency, mixstyle`,
		"dropout":     `unknown extra "dropout"; choose among pasta, consistency, mixstyle`,
		"Pasta":       `unknown extra "Pasta"; did you mean pasta?`,
	} {
		if got, err := Parse(list); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", list, got, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	if got := Published([]Name{PASTA}); got != (Settings{}) {
		t.Errorf("settings of pasta are %+v", got)
	}
	if got, want := Published(Names()), (Settings{Consistency: 10, MixStyle: 0.5}); got != want || got.Validate() != nil {
		t.Errorf("settings of all are %+v (%v), want %+v", got, got.Validate(), want)
	}
	for want, s := range map[string]Settings{
		"extras.consistency is -1;":   {Consistency: -1},
		"extras.consistency is NaN;":  {Consistency: math.NaN()},
		"extras.consistency is +Inf;": {Consistency: math.Inf(1)},
		"extras.mixstyle is 1.5;":     {MixStyle: 1.5},
		"extras.mixstyle is NaN;":     {MixStyle: math.NaN()},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", s, err, want)
		}
	}
}

// onTorch runs f on libtorch and returns its failure, or skips the test where it is missing.
func onTorch(t *testing.T, f func(s *torch.Scope)) error {
	t.Helper()
	return torchtest.Library(t).Run(torch.Options{Threads: 1}, func(s *torch.Scope) error { f(s); return nil })
}

// formula returns n values f(0), f(1), …
func formula(n int, f func(i float64) float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = f(float64(i))
	}
	return values
}

func sines(n int) []float64 {
	return formula(n, func(i float64) float64 { return 2 * math.Sin(0.7*i) })
}
func cosines(n int) []float64 {
	return formula(n, func(i float64) float64 { return 3 * math.Cos(1.1*i) })
}

// TestConsistency compares with NumPy: the mean over pixels of the sum over classes of
// (p·log(p/m) + q·log(q/m))/2, in float64.
func TestConsistency(t *testing.T) {
	shape := []int{2, 3, 2, 2}
	torchtest.Run(t, func(s *torch.Scope) {
		a, b := s.FromFloat64(sines(24), shape...), s.FromFloat64(cosines(24), shape...)
		const want = 0.320087365166383
		for name, got := range map[string]*torch.Tensor{
			"there": Consistency(s, a, b), "back": Consistency(s, b, a),
			"shifted logits": Consistency(s, s.AddScalar(a, 300), b),
		} {
			if v := s.Item(got); math.Abs(v-want) > 1e-13 {
				t.Errorf("%s: %.15g, want %.15g", name, v, want)
			}
		}
		if v := s.Item(Consistency(s, a, a)); math.Abs(v) > 1e-15 {
			t.Errorf("a view differs from itself by %g", v)
		}
	})
}

// TestConsistencyIsBounded has probabilities that are 0 in float32.
func TestConsistencyIsBounded(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		a := s.RequireGrad(s.FromFloat32([]float32{1e4, -1e4, 0, 0}, 1, 4, 1, 1))
		b := s.RequireGrad(s.FromFloat32([]float32{-1e4, 1e4, 0, 0}, 1, 4, 1, 1))
		loss := Consistency(s, a, b)
		if v := s.Item(loss); math.Abs(v-math.Ln2) > 1e-6 {
			t.Errorf("opposite predictions differ by %v, want ln 2", v)
		}
		s.Backward(loss)
		for _, view := range []*torch.Tensor{a, b} {
			if g := s.Float32s(s.Grad(view)); slices.ContainsFunc(g, func(v float32) bool { return v-v != 0 }) {
				t.Errorf("gradient %v", g)
			}
		}
	})
}

func TestConsistencyGradient(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		shape, values, other := []int{2, 3, 2, 2}, sines(24), cosines(24)
		for name, f := range map[string]func(s *torch.Scope, x *torch.Tensor) *torch.Tensor{
			"of the first": func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
				return Consistency(s, x, s.FromFloat64(other, shape...))
			},
			"of the second": func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
				return Consistency(s, s.FromFloat64(other, shape...), x)
			},
		} {
			t.Run(name, func(t *testing.T) { checkGradient(t, s, values, shape, f, f) })
		}
	})
}

// checkGradient compares the gradient of f at values with central differences of g.
func checkGradient(t *testing.T, s *torch.Scope, values []float64, shape []int, f, g func(*torch.Scope, *torch.Tensor) *torch.Tensor) {
	t.Helper()
	x := s.RequireGrad(s.FromFloat64(values, shape...))
	s.Backward(f(s, x))
	gradient := s.Float64s(s.Grad(x))
	at := func(i int, step float64) (y float64) {
		s.In(func(s *torch.Scope) {
			moved := slices.Clone(values)
			moved[i] += step
			y = s.Item(g(s, s.FromFloat64(moved, shape...)))
		})
		return y
	}
	const step = 1e-5
	for i, got := range gradient {
		if want := (at(i, step) - at(i, -step)) / (2 * step); math.Abs(got-want) > 1e-8 {
			t.Errorf("gradient %d is %.10g, the central difference %.10g", i, got, want)
		}
	}
	if slices.Max(gradient) < 1e-3 {
		t.Error("the gradient is next to nothing")
	}
}

func TestConsistencyRefuses(t *testing.T) {
	for name, shapes := range map[string][2][]int{
		"classes": {{1, 3, 2, 2}, {1, 4, 2, 2}}, "dimensions": {{3, 2, 2}, {3, 2, 2}}, "nothing": {{0, 3, 2, 2}, {0, 3, 2, 2}},
	} {
		err := onTorch(t, func(s *torch.Scope) {
			Consistency(s, s.Zeros(torch.Float32, shapes[0]...), s.Zeros(torch.Float32, shapes[1]...))
		})
		if err == nil || !strings.Contains(err.Error(), "consistency of logits") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := onTorch(t, func(s *torch.Scope) { Consistency(s, nil, s.Zeros(torch.Float32, 1, 1, 1, 1)) }); err == nil {
		t.Error("no logits are accepted")
	}
}

var sampleMix = &Mix{Partner: []int{2, 0, 1}, Keep: []float32{0.25, 1, 0.875}}

func sampleFeatures() []float64 {
	return formula(36, func(i float64) float64 { return math.Sin(0.9*i) * (1 + i/10) })
}

// TestMixStyle compares with NumPy in float64: (x − μ)/σ·(k·σ + (1−k)·σ') + k·μ + (1−k)·μ'
// with the deviation over H·W − 1 and 1e-6 added to the variance.
func TestMixStyle(t *testing.T) {
	want := []float64{
		-0.56695629, 1.33254882, 2.00922839, 0.657835198, -1.93269025, -3.79936405,
		-3.64315178, -1.01144972, 1.90112879, 2.76280058, 0.643816105, -3.06980206,
		-2.15805971, -1.75256224, 0.0806953133, 2.00946107, 2.51071022, 1.07119955,
		-1.32278156, -2.85378851, -2.25296174, 0.156310332, 2.60375596, 3.17180399,
		1.34274283, -1.56448968, -3.3543239, -2.56419145, 0.33452574, 3.19743878,
		3.79474817, 1.52093582, -2.00433585, -4.10314154, -3.07683782, 0.424957676,
	}
	torchtest.Run(t, func(s *torch.Scope) {
		x := s.FromFloat64(sampleFeatures(), 3, 2, 2, 3)
		for i, got := range s.Float64s(MixStyle(s, x, sampleMix)) {
			if math.Abs(got-want[i]) > 1e-8 {
				t.Errorf("value %d is %.9g, want %.9g", i, got, want[i])
			}
		}
		if MixStyle(s, x, nil) != x {
			t.Error("without a mix there is another tensor")
		}
		if !slices.Equal(s.Float64s(x), sampleFeatures()) {
			t.Error("the input has changed")
		}
	})
}

// TestMixStyleGradient takes the statistics at the original features, for they count as
// constants.
func TestMixStyleGradient(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		shape, values := []int{3, 2, 2, 3}, sampleFeatures()
		weights := s.FromFloat64(cosines(36), shape...)
		weigh := func(s *torch.Scope, y *torch.Tensor) *torch.Tensor { return s.Sum(s.Mul(y, s.Mul(y, weights))) }
		scale, shift := sampleMix.affine(s, s.FromFloat64(values, shape...))
		checkGradient(t, s, values, shape,
			func(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return weigh(s, MixStyle(s, x, sampleMix)) },
			func(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return weigh(s, s.Add(s.Mul(x, scale), shift)) })
	})
}

// TestMixStyleOfFlatPictures has channels without variance, as behind a ReLU.
func TestMixStyleOfFlatPictures(t *testing.T) {
	torchtest.Run(t, func(s *torch.Scope) {
		x := s.FromFloat32([]float32{0, 0, 0, 0, 5, 5, 5, 5}, 2, 1, 2, 2)
		got := s.Float32s(MixStyle(s, x, &Mix{Partner: []int{1, 0}, Keep: []float32{0.5, 0}}))
		if want := []float32{2.5, 2.5, 2.5, 2.5, 0, 0, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestMixStyleRefuses(t *testing.T) {
	two := &Mix{Partner: []int{1, 0}, Keep: []float32{1, 1}}
	for name, c := range map[string]struct {
		shape []int
		mix   *Mix
	}{
		"another batch": {[]int{3, 1, 2, 2}, two}, "one pixel": {[]int{2, 3, 1, 1}, two}, "dimensions": {[]int{2, 3, 4}, two},
		"shares":  {[]int{2, 1, 2, 2}, &Mix{Partner: []int{1, 0}, Keep: []float32{1}}},
		"partner": {[]int{2, 1, 2, 2}, &Mix{Partner: []int{1, 2}, Keep: []float32{1, 1}}},
	} {
		if err := onTorch(t, func(s *torch.Scope) { MixStyle(s, s.Zeros(torch.Float32, c.shape...), c.mix) }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestDrawMix compares with Beta(0.1, 0.1): mean ½, variance 1/(4·1.2), and by
// numerical integration 34.36 % below 0.02, as much above 0.98.
func TestDrawMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const draws, n = 20_000, 4
	mixed, count := 0, 0.0
	var sum, squares, low, high float64
	for range draws {
		m := DrawMix(rng, n, 0.5)
		if m == nil {
			continue
		}
		mixed++
		if sorted := slices.Sorted(slices.Values(m.Partner)); !slices.Equal(sorted, []int{0, 1, 2, 3}) {
			t.Fatalf("partners %v", m.Partner)
		}
		for _, k := range m.Keep {
			count++
			sum += float64(k)
			squares += float64(k) * float64(k)
			if k < 0.02 {
				low++
			} else if k > 0.98 {
				high++
			}
		}
	}
	// Four standard deviations of the means over 40,000 shares and 20,000 draws.
	near := func(what string, got, want, tolerance float64) {
		if !(math.Abs(got-want) <= tolerance) {
			t.Errorf("%s is %v, want %v ± %v", what, got, want, tolerance)
		}
	}
	mean := sum / count
	near("the share of mixed batches", float64(mixed)/draws, 0.5, 0.0142)
	near("the mean", mean, 0.5, 0.0092)
	near("the variance", squares/count-mean*mean, 1/4.8, 0.0016)
	near("the share below 0.02", low/count, 0.3436, 0.0098)
	near("the share above 0.98", high/count, 0.3436, 0.0098)
	if DrawMix(rng, n, 0) != nil || DrawMix(rng, n, 1) == nil {
		t.Error("probabilities of 0 and 1 are not obeyed")
	}
	a, b := DrawMix(rand.New(rand.NewPCG(1, 2)), n, 1), DrawMix(rand.New(rand.NewPCG(1, 2)), n, 1)
	if !slices.Equal(a.Partner, b.Partner) || !slices.Equal(a.Keep, b.Keep) {
		t.Error("the same seed draws another mix")
	}
}
