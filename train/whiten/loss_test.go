package whiten

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

func normal(seed uint64, n int) []float64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	values := make([]float64, n)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return values
}

// checkGradient compares the gradient of a scalar function at values with central
// differences.
func checkGradient(t *testing.T, s *torch.Scope, values []float64, shape []int, f func(*torch.Scope, *torch.Tensor) *torch.Tensor) {
	t.Helper()
	var gradient []float64
	s.In(func(s *torch.Scope) {
		x := s.FromFloat64(values, shape...)
		s.RequireGrad(x)
		s.Backward(f(s, x))
		gradient = s.Float64s(s.Grad(x))
	})
	at := func(i int, step float64) (y float64) {
		s.NoGrad(func(s *torch.Scope) {
			moved := append([]float64(nil), values...)
			moved[i] += step
			y = s.Item(f(s, s.FromFloat64(moved, shape...)))
		})
		return y
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	const step = 1e-5
	largest := 0.0
	for _, g := range gradient {
		largest = math.Max(largest, math.Abs(g))
	}
	if largest == 0 {
		t.Fatal("the gradient is zero everywhere")
	}
	for i, g := range gradient {
		difference := (at(i, step) - at(i, -step)) / (2 * step)
		if math.Abs(difference-g) > 1e-6*largest {
			t.Fatalf("gradient %d is %.10g, the central difference %.10g (largest gradient %.3g)", i, g, difference, largest)
		}
	}
}

// TestPenaltyGradients goes through the instance norm, as training does.
func TestPenaltyGradients(t *testing.T) {
	const b, c, h, w = 2, 6, 3, 4
	torchtest.Run(t, func(s *torch.Scope) {
		ones := func(c int) *torch.Tensor { return s.Call("triu", s.Ones(torch.Float64, c, c), 1) }
		selected := s.FromFloat64([]float64{
			0, 1, 0, 0, 1, 0,
			0, 0, 0, 1, 0, 0,
			0, 0, 0, 0, 0, 1,
			0, 0, 0, 0, 1, 0,
			0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0}, c, c)
		for name, p := range map[string]Penalty{
			"IW":  {Mask: ones(c), Groups: 1, Count: 15},
			"IRW": {Mask: ones(c), Groups: 1, Count: 15, Margin: 1},
			"ISW": {Mask: selected, Groups: 1, Count: 5},
			"GIW": {Mask: ones(2), Groups: 3, Count: 3},
		} {
			t.Run(name, func(t *testing.T) {
				checkGradient(t, s, normal(1, b*c*h*w), []int{b, c, h, w}, func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
					return p.Of(s, s.InstanceNorm(x, nil, nil, eps))
				})
			})
		}
	})
}

func TestLayerGradients(t *testing.T) {
	const b, g, c, h, w = 2, 2, 3, 3, 4
	shape := []int{b, g * c, h, w}
	torchtest.Run(t, func(s *torch.Scope) {
		target := s.FromFloat64(normal(2, b*g*c*h*w), shape...)
		distance := func(s *torch.Scope, y *torch.Tensor) *torch.Tensor { return s.Sum(s.Mul(y, target)) }
		zeros, eyes := s.Zeros(torch.Float64, g, c, 1), s.Expand(s.Eye(c, torch.Float64), g, c, c)
		t.Run("switchable", func(t *testing.T) {
			checkGradient(t, s, normal(1, b*g*c*h*w), shape, func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
				w := Switchable{
					MeanWeight: s.FromFloat64([]float64{0.3, -0.2}, 2), CovWeight: s.FromFloat64([]float64{-0.1, 0.4}, 2),
					RunningMean: s.Clone(zeros), RunningCov: s.Clone(eyes),
				}
				return distance(s, w.Apply(s, x, true))
			})
		})
		t.Run("iterative", func(t *testing.T) {
			checkGradient(t, s, normal(1, b*g*c*h*w), shape, func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
				return distance(s, Iterative{RunningMean: s.Clone(zeros), RunningWhitener: s.Clone(eyes)}.Apply(s, x, true))
			})
		})
	})
}

// TestPenaltyByHand compares with sums over covariances that plain loops compute.
func TestPenaltyByHand(t *testing.T) {
	const b, c, h, w = 2, 4, 5, 3
	values := normal(3, b*c*h*w)
	cov := loopCovariance(values, b, c, h*w)
	torchtest.Run(t, func(s *torch.Scope) {
		x := s.FromFloat64(values, b, c, h, w)
		for name, test := range map[string]struct {
			penalty Penalty
			selects func(i, j int) bool
		}{
			"IW":  {Penalty{Mask: s.Call("triu", s.Ones(torch.Float64, c, c), 1), Groups: 1, Count: 6}, func(i, j int) bool { return i < j }},
			"IRW": {Penalty{Mask: s.Call("triu", s.Ones(torch.Float64, c, c), 1), Groups: 1, Count: 6, Margin: 0.9}, func(i, j int) bool { return i < j }},
			"GIW": {Penalty{Mask: s.Call("triu", s.Ones(torch.Float64, 2, 2), 1), Groups: 2, Count: 2}, func(i, j int) bool { return i < j && i/2 == j/2 }},
		} {
			want := 0.0
			for _, picture := range cov {
				sum := -test.penalty.Margin
				for i := range c {
					for j := range c {
						if test.selects(i, j) {
							sum += math.Abs(picture[i][j])
						}
					}
				}
				want += math.Max(0, sum/test.penalty.Count) / b
			}
			if got := s.Item(test.penalty.Of(s, x)); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: got %.15g, want %.15g", name, got, want)
			}
		}
	})
}

func loopCovariance(values []float64, b, c, n int) [][][]float64 {
	all := make([][][]float64, b)
	for p := range all {
		all[p] = make([][]float64, c)
		for i := range c {
			all[p][i] = make([]float64, c)
			for j := range c {
				for k := range n {
					all[p][i][j] += values[(p*c+i)*n+k] * values[(p*c+j)*n+k] / float64(n-1)
				}
			}
			all[p][i][i] += eps
		}
	}
	return all
}

// TestWhitenedCovarianceIsIdentity mixes channels and lets each method take the mixing out.
func TestWhitenedCovarianceIsIdentity(t *testing.T) {
	const b, c, h, w = 3, 4, 16, 16
	torchtest.Run(t, func(s *torch.Scope) {
		mixing := s.FromFloat64([]float64{1, .4, 0, .2, .1, 1.2, .3, 0, 0, -.3, .9, .1, .2, 0, .2, 1.1}, c, c)
		x := s.Reshape(s.MatMul(mixing, s.FromFloat64(normal(4, b*c*h*w), b, c, h*w)), b, c, h, w)
		statistics := func() (*torch.Tensor, *torch.Tensor) {
			return s.Zeros(torch.Float64, 1, c, 1), s.Clone(s.Reshape(s.Eye(c, torch.Float64), 1, c, c))
		}

		mean, cov := statistics()
		instanceOnly := s.FromFloat64([]float64{-40, 40}, 2)
		y := Switchable{MeanWeight: instanceOnly, CovWeight: instanceOnly, RunningMean: mean, RunningCov: cov}.Apply(s, x, true)
		expectIdentity(t, "switchable, instance statistics only, each picture", s.Float64s(Covariance(s, y)), c, 0.02)

		mean, whitener := statistics()
		y = Iterative{RunningMean: mean, RunningWhitener: whitener}.Apply(s, x, true)
		joined := s.Reshape(s.Transpose(y, 0, 1), 1, c, b*h, w)
		expectIdentity(t, "IterNorm, the batch", s.Float64s(Covariance(s, joined)), c, 0.02)

		penalty := Penalty{Mask: s.Call("triu", s.Ones(torch.Float64, c, c), 1), Groups: 1, Count: 6}
		feature := s.Clone(x)
		s.RequireGrad(feature)
		const steps = 600
		for step := range steps {
			s.In(func(s *torch.Scope) {
				s.Backward(penalty.Of(s, s.InstanceNorm(feature, nil, nil, eps)))
				s.NoGrad(func(s *torch.Scope) { s.AddInPlace(feature, s.Grad(feature), -8*(1-float64(step)/steps)) })
				s.ZeroGrad(feature)
			})
		}
		expectIdentity(t, "descending the IW loss", s.Float64s(Covariance(s, s.InstanceNorm(feature, nil, nil, eps))), c, 0.02)
	})
}

// expectIdentity checks matrices [., c, c].
func expectIdentity(t *testing.T, name string, matrices []float64, c int, tolerance float64) {
	t.Helper()
	if len(matrices) == 0 {
		t.Fatalf("%s: no covariance", name)
	}
	for k, v := range matrices {
		want := 0.0
		if i := k % (c * c); i/c == i%c {
			want = 1
		}
		if math.Abs(v-want) > tolerance || math.IsNaN(v) {
			t.Errorf("%s: covariance entry %d is %.4f, want %.0f", name, k, v, want)
		}
	}
}
