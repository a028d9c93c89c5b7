package whiten

import "math"

// double is the unevaluated sum of two float64, about 106 bits: covariance variances span
// many powers of ten, and differences of float64 sums would lose the small ones.
type double struct{ hi, lo float64 }

// quickTwoSum returns a + b exactly, for |a| ≥ |b|.
func quickTwoSum(a, b float64) double {
	s := a + b
	return double{s, b - (s - a)}
}

func (a double) add(b double) double {
	s := a.hi + b.hi
	t := s - a.hi
	e := (a.hi - (s - t)) + (b.hi - t)
	return quickTwoSum(s, e+(a.lo+b.lo))
}

func (a double) neg() double { return double{-a.hi, -a.lo} }

func (a double) mul(f float64) double {
	p := float64(a.hi * f) // the conversion keeps the compiler from fusing p into a sum
	return quickTwoSum(p, math.FMA(a.hi, f, -p)+a.lo*f)
}

// moments are the number, sum and sum of squares of points.
type moments struct {
	count       float64
	sum, square double
}

// prefixSums[j] − prefixSums[i] are the moments of points i to j−1. Sums are scaled by
// a power of two, so that squares neither overflow nor vanish.
type prefixSums []moments

func newPrefixSums(points []float64, counts []int) prefixSums {
	n := len(points)
	_, exponent := math.Frexp(max(math.Abs(points[0]), math.Abs(points[n-1])))
	at := func(i int) moments {
		x, w := math.Ldexp(points[i], -exponent), float64(counts[i])
		sum := double{hi: x}.mul(w)
		return moments{w, sum, double{hi: x}.mul(x).mul(w)}
	}
	// Summing outwards from zero keeps the sums of small numbers small.
	zero := 0
	for zero < n && points[zero] < 0 {
		zero++
	}
	sums := make(prefixSums, n+1)
	for i := zero; i < n; i++ {
		s, p := sums[i], at(i)
		sums[i+1] = moments{s.count + p.count, s.sum.add(p.sum), s.square.add(p.square)}
	}
	for i := zero - 1; i >= 0; i-- {
		s, p := sums[i+1], at(i)
		sums[i] = moments{s.count - p.count, s.sum.add(p.sum.neg()), s.square.add(p.square.neg())}
	}
	return sums
}

// cost returns the sum of squared distances of points i to j−1 to their mean, scaled.
func (s prefixSums) cost(i, j int) float64 {
	a, b := &s[i], &s[j]
	count := b.count - a.count
	if j-i < 2 {
		return 0
	}
	sum := b.sum.add(a.sum.neg())
	square := b.square.add(a.square.neg())
	// sum² / count
	p := float64(sum.hi * sum.hi)
	e := math.FMA(sum.hi, sum.hi, -p) + 2*sum.hi*sum.lo
	q := p / count
	r := (math.FMA(-q, count, p) + e) / count
	return max(0, square.add(double{-q, -r}).hi)
}
