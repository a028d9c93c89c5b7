package quantize

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// correlated returns samples of n features with structure, and their products in the upper
// triangle.
func correlated(rng *rand.Rand, n int) blas32.Symmetric {
	m := blas32.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float32, n*n)}
	for range 4 * n {
		x, common := make([]float32, n), rng.NormFloat64()
		for i := range x {
			x[i] = float32(max(common+0.5*rng.NormFloat64(), 0))
		}
		blas32.Syr(1, blas32.Vector{N: n, Inc: 1, Data: x}, m)
	}
	return m
}

// loss is eᵀ·G·e.
func loss(row []int8, weight []float32, scale float32, g blas32.Symmetric) float64 {
	sum := 0.0
	for i := range row {
		for k := range row {
			a, b := float64(scale)*float64(row[i])-float64(weight[i]), float64(scale)*float64(row[k])-float64(weight[k])
			sum += a * b * float64(g.Data[min(i, k)*g.Stride+max(i, k)])
		}
	}
	return sum
}

// TestAdaptRow compares with nearest rounding and with every way to round up or down.
func TestAdaptRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n, scale = 10, 0.01
	nearestSum, adaptedSum, bestSum := 0.0, 0.0, 0.0
	for range 20 {
		g, weight := correlated(rng, n), make([]float32, n)
		row, floor := make([]int8, n), make([]int8, n)
		for i := range weight {
			weight[i] = float32(rng.NormFloat64() * 0.3)
			row[i] = int8(math.RoundToEven(float64(weight[i]) / scale))
			floor[i] = int8(math.Floor(float64(weight[i]) / scale))
		}
		nearest := loss(row, weight, scale, g)
		best := nearest
		for choice := range 1 << n {
			tried := slices.Clone(floor)
			for i := range tried {
				tried[i] += int8(choice >> i & 1)
			}
			best = min(best, loss(tried, weight, scale, g))
		}
		adaptRow(row, weight, scale, g)
		adapted := loss(row, weight, scale, g)
		if adapted > nearest*(1+1e-6) {
			t.Errorf("the loss rose from %g to %g", nearest, adapted)
		}
		for i := range row {
			if d := math.Abs(float64(row[i])*scale - float64(weight[i])); d > scale*1.0001 {
				t.Errorf("weight %g became level %d, %g away", weight[i], row[i], d)
			}
		}
		nearestSum, adaptedSum, bestSum = nearestSum+nearest, adaptedSum+adapted, bestSum+best
	}
	t.Logf("nearest %.4f, adapted %.4f, the best of all %.4f", nearestSum, adaptedSum, bestSum)
	if gained, possible := nearestSum-adaptedSum, nearestSum-bestSum; gained < 0.8*possible {
		t.Errorf("%.0f %% of what is possible was gained, want 80 %%", 100*gained/possible)
	}
}

// TestAdaptRowEnds keeps levels in their range.
func TestAdaptRowEnds(t *testing.T) {
	g := blas32.Symmetric{N: 2, Stride: 2, Uplo: blas.Upper, Data: []float32{1, 1, 0, 1}}
	row := []int8{127, 0}
	adaptRow(row, []float32{1.2749, 0.0049}, 0.01, g) // together a whole step too low
	if row[0] != 127 || row[1] != 1 {
		t.Errorf("levels %v, want 127 and 1", row)
	}
}

// TestPatch compares with the definition of a convolution: its window by hand.
func TestPatch(t *testing.T) {
	values := make([]float32, 2*3*4) // two channels of 3×4
	for i := range values {
		values[i] = float32(i + 1)
	}
	w := window{height: 3, width: 4, kernel: [2]int{3, 3}, stride: [2]int{2, 1}, dilation: [2]int{1, 1}, pad: [2]int{1, 1}}
	got := make([]float32, 9)
	w.patch(got, values, 1, [2]int{0, 3})
	if want := []float32{0, 0, 0, 15, 16, 0, 19, 20, 0}; !slices.Equal(got, want) {
		t.Errorf("patch %v, want %v", got, want)
	}
	w.dilation, w.stride = [2]int{2, 2}, [2]int{1, 1}
	w.pad = [2]int{2, 2}
	w.patch(got, values, 0, [2]int{2, 0})
	if want := []float32{0, 1, 3, 0, 9, 11, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("dilated patch %v, want %v", got, want)
	}
}
