package whiten

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The expected numbers were computed with the Python package kmeans1d 0.3.1, which the
// published code uses.
func TestKMeansLikeKmeans1d(t *testing.T) {
	cases := map[string]struct {
		values    []float64
		k         int
		labels    []int
		centroids []float64
	}{
		"normal": {
			[]float64{1.691, -0.466, 0.033, 0.408, -0.789, 0.002, -0.001, -1.755, 1.018, 0.6, -0.625, -0.172, 0.505, -0.261},
			4,
			[]int{3, 1, 2, 2, 1, 2, 2, 0, 3, 2, 1, 1, 2, 1},
			[]float64{-1.755, -0.4626, 0.2578333333333333, 1.3545},
		},
		"variances": {
			[]float64{0, 0, 0, 0, 0, 0, 0, 0, 5.89e-08, 2.11e-06, 3.08e-07, 1.53e-08, 7.53e-08, 2.33e-06, 2.72e-06, 2.38e-08, 1.5e-07, 4.12e-06},
			3,
			[]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 2},
			[]float64{4.5092857142857145e-08, 2.3866666666666665e-06, 4.12e-06},
		},
		"variances, more clusters": {
			[]float64{0, 0, 0, 0, 0, 0, 0, 0, 2.06e-09, 2.1e-06, 1.64e-07, 5.24e-06, 1.1e-06, 1.73e-07, 5.51e-07, 1.15e-06, 2.73e-06, 2.87e-07},
			5,
			[]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 2, 0, 1, 2, 3, 1},
			[]float64{3.082363636363636e-08, 4.19e-07, 1.125e-06, 2.415e-06, 5.24e-06},
		},
		"repeated values": {
			[]float64{0, -2, 0, 0, 0, -2, 0, 0, 1, 0, -2, 0, 3, -2, 2, -2},
			4,
			[]int{1, 0, 1, 1, 1, 0, 1, 1, 2, 1, 0, 1, 3, 0, 3, 0},
			[]float64{-2, 0, 1, 2.5},
		},
		"far from zero": {
			[]float64{1000029, 1000017, 1000031, 1000002, 1000019, 1000018, 1000021, 1000003, 1000011, 1000016, 1000012, 1000029},
			3,
			[]int{2, 1, 2, 0, 1, 1, 1, 0, 1, 1, 1, 2},
			[]float64{1000002.5, 1000016.2857142857, 1000029.6666666666},
		},
		"two optima":   {[]float64{0, 1, 2}, 2, []int{0, 1, 1}, []float64{0, 1.5}},
		"three optima": {[]float64{3, 1, 0, 2}, 3, []int{2, 1, 0, 2}, []float64{0, 1, 2.5}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := KMeans(c.values, c.k)
			if err != nil {
				t.Fatal(err)
			}
			if labels := labelsOf(got, c.values); !slices.Equal(labels, c.labels) {
				t.Errorf("labels = %v, want %v", labels, c.labels)
			}
			for q, want := range c.centroids {
				if math.Abs(got.Centroids[q]-want) > 1e-14*math.Abs(want) {
					t.Errorf("centroid %d = %v, want %v", q, got.Centroids[q], want)
				}
			}
		})
	}
}

func TestKMeansFewDistinctValues(t *testing.T) {
	cases := map[string]struct {
		values   []float64
		k        int
		smallest []float64
		sizes    []int
	}{
		"one value":              {[]float64{7}, 20, []float64{7}, []int{1}},
		"all zero":               {make([]float64, 9), 3, []float64{0}, []int{9}},
		"both zeros are one":     {[]float64{0, math.Copysign(0, -1), 1}, 3, []float64{0, 1}, []int{2, 1}},
		"as many as clusters":    {[]float64{2, 1, 2, 3}, 3, []float64{1, 2, 3}, []int{1, 2, 1}},
		"one cluster":            {[]float64{2, -1, 2, 3}, 1, []float64{-1}, []int{4}},
		"the largest float64":    {[]float64{math.MaxFloat64, -math.MaxFloat64, math.MaxFloat64 / 2}, 2, []float64{-math.MaxFloat64, math.MaxFloat64 / 2}, []int{1, 2}},
		"the smallest denormals": {[]float64{5e-324, 0, 5e-323, 0}, 2, []float64{0, 5e-323}, []int{3, 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := KMeans(c.values, c.k)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Smallest, c.smallest) || !slices.Equal(got.Sizes, c.sizes) {
				t.Errorf("clusters begin at %v with sizes %v, want %v with %v", got.Smallest, got.Sizes, c.smallest, c.sizes)
			}
		})
	}
}

func TestKMeansErrors(t *testing.T) {
	cases := map[string]struct {
		values []float64
		k      int
		want   string
	}{
		"no values":   {nil, 2, "no values"},
		"no clusters": {[]float64{1}, 0, "0 clusters"},
		"NaN":         {[]float64{1, math.NaN()}, 2, "value 1 is NaN"},
		"infinite":    {[]float64{math.Inf(-1)}, 2, "value 0 is -Inf"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := KMeans(c.values, c.k); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want it to contain %q", err, c.want)
			}
		})
	}
}

// TestKMeansAgainstBruteForce compares the cost with the least over all partitions into
// intervals.
func TestKMeansAgainstBruteForce(t *testing.T) {
	draws := map[string]func(*rand.Rand) float64{
		"normal":      func(r *rand.Rand) float64 { return r.NormFloat64() },
		"ties":        func(r *rand.Rand) float64 { return float64(r.IntN(5) - 2) },
		"mostly zero": func(r *rand.Rand) float64 { return max(0, r.NormFloat64()) * 1e-6 },
		"any scale":   func(r *rand.Rand) float64 { return r.NormFloat64() * math.Exp(30*r.NormFloat64()) },
		"far away":    func(r *rand.Rand) float64 { return 1e9 + r.Float64() },
		"denormal":    func(r *rand.Rand) float64 { return float64(r.IntN(90)-20) * 5e-324 },
		"float32":     func(r *rand.Rand) float64 { return finite32(r.Uint32()) },
	}
	for name, draw := range draws {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(20, 21))
			for range 400 {
				values := make([]float64, 1+rng.IntN(9))
				for i := range values {
					values[i] = draw(rng)
				}
				k := 1 + rng.IntN(len(values))
				c, err := KMeans(values, k)
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(values)
				if got, want := costOf(values, c.Sizes), leastCost(values, k); above(got, want) {
					t.Fatalf("KMeans(%v, %d) = %v costs %v, want %v", values, k, c.Sizes, got, want)
				}
			}
		})
	}
}

// FuzzKMeans reads the values as float32 and compares with a partition at random.
func FuzzKMeans(f *testing.F) {
	f.Add([]byte{}, uint8(3), uint64(0))
	f.Add(make([]byte, 40), uint8(3), uint64(1))
	f.Add(slices.Repeat([]byte{0, 0, 128, 63, 1, 0, 0, 0, 9, 9, 9, 9, 255, 255, 127, 255}, 4), uint8(4), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, k uint8, seed uint64) {
		var values []float64
		for ; len(data) >= 4 && len(values) < 200; data = data[4:] {
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
		}
		c, err := KMeans(values, int(k))
		valid := k > 0 && len(values) > 0 && !slices.ContainsFunc(values, func(v float64) bool { return v-v != 0 })
		if (err == nil) != valid {
			t.Fatalf("KMeans(%v, %d): error %v", values, k, err)
		}
		if err != nil {
			return
		}
		slices.Sort(values)
		checkIntervals(t, values, c)
		rng := rand.New(rand.NewPCG(seed, 0))
		if got, other := costOf(values, c.Sizes), costOf(values, randomSizes(rng, len(values), int(k))); above(got, other) {
			t.Errorf("KMeans(%v, %d) = %v costs %v, another partition %v", values, k, c.Sizes, got, other)
		}
	})
}

// checkIntervals demands clusters that are disjoint intervals of the sorted values.
func checkIntervals(t *testing.T, sorted []float64, c Clustering) {
	t.Helper()
	at := 0
	for q, size := range c.Sizes {
		members := sorted[at : at+size]
		if members[0] != c.Smallest[q] || at > 0 && members[0] == sorted[at-1] {
			t.Fatalf("cluster %d of %v begins at %v after %v", q, c, members[0], sorted[:at])
		}
		last := members[size-1]
		if slack := 1e-12 * max(math.Abs(members[0]), math.Abs(last)); c.Centroids[q] < members[0]-slack || c.Centroids[q] > last+slack {
			t.Fatalf("centroid %v of cluster %d is outside %v to %v", c.Centroids[q], q, members[0], last)
		}
		at += size
	}
	if at != len(sorted) {
		t.Fatalf("clusters hold %d of %d values", at, len(sorted))
	}
}

// labelsOf returns the cluster of each value.
func labelsOf(c Clustering, values []float64) []int {
	labels := make([]int, len(values))
	for i, v := range values {
		for labels[i]+1 < len(c.Smallest) && v >= c.Smallest[labels[i]+1] {
			labels[i]++
		}
	}
	return labels
}

// costOf returns the sum of squared distances to the means of clusters of consecutive values.
func costOf(sorted []float64, sizes []int) *big.Float {
	total := new(big.Float).SetPrec(500)
	for _, size := range sizes {
		total.Add(total, intervalCost(sorted[:size]))
		sorted = sorted[size:]
	}
	return total
}

func intervalCost(values []float64) *big.Float {
	mean, cost := new(big.Float).SetPrec(500), new(big.Float).SetPrec(500)
	for _, v := range values {
		mean.Add(mean, big.NewFloat(v))
	}
	mean.Quo(mean, big.NewFloat(float64(max(1, len(values)))))
	for _, v := range values {
		d := new(big.Float).Sub(big.NewFloat(v).SetPrec(500), mean)
		cost.Add(cost, d.Mul(d, d))
	}
	return cost
}

// leastCost tries every partition of the sorted values into k intervals.
func leastCost(sorted []float64, k int) *big.Float {
	if k == 1 {
		return intervalCost(sorted)
	}
	var least *big.Float
	for end := 1; end <= len(sorted)-k+1; end++ {
		cost := intervalCost(sorted[:end])
		if cost.Add(cost, leastCost(sorted[end:], k-1)); least == nil || cost.Cmp(least) < 0 {
			least = cost
		}
	}
	return least
}

// above says whether a cost exceeds another by more than the rounding of float64 sums.
func above(cost, other *big.Float) bool {
	limit := new(big.Float).Mul(other, big.NewFloat(1+1e-14))
	return cost.Cmp(limit) > 0
}

// randomSizes divides n values into at most k intervals.
func randomSizes(rng *rand.Rand, n, k int) []int {
	ends := []int{0, n}
	for range k - 1 {
		ends = append(ends, rng.IntN(n+1))
	}
	slices.Sort(ends)
	var sizes []int
	for i, end := range ends[1:] {
		sizes = append(sizes, end-ends[i])
	}
	return sizes
}

// finite32 reads a float32 of any exponent but those of infinities.
func finite32(bits uint32) float64 {
	if v := float64(math.Float32frombits(bits)); v-v == 0 {
		return v
	}
	return 0
}

// BenchmarkKMeans clusters what a layer of 512 channels gives, as the published code does it:
// 262,144 values, the half on and below the diagonal zero.
func BenchmarkKMeans(b *testing.B) {
	values := variances(rand.New(rand.NewPCG(1, 2)), 512)
	for b.Loop() {
		if _, err := KMeans(values, 20); err != nil {
			b.Fatal(err)
		}
	}
}

// variances draws a matrix like those of real networks: squares of differences of two views'
// covariances, zero on and below the diagonal.
func variances(rng *rand.Rand, channels int) []float64 {
	v := make([]float64, channels*channels)
	for i := range channels {
		for j := i + 1; j < channels; j++ {
			d := 1e-3 * rng.NormFloat64() * rng.ExpFloat64()
			v[i*channels+j] = d * d / 2
		}
	}
	return v
}
