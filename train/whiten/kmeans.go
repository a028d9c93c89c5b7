package whiten

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Clustering is a partition of numbers into intervals. Cluster 0 holds the smallest numbers.
// Equal numbers are always in the same cluster.
type Clustering struct {
	// Smallest is the least number of each cluster: a number belongs to the last cluster
	// whose Smallest is not above it.
	Smallest []float64
	// Centroids holds the mean of each cluster.
	Centroids []float64
	// Sizes holds how many numbers each cluster has, at least one.
	Sizes []int
}

// KMeans partitions the values, in any order, into k clusters with the least possible sum of
// squared distances to the cluster means. It is the global optimum, found by the dynamic
// programme of Grønlund et al., "Fast Exact k-Means, k-Medians and Bregman Divergence
// Clustering in 1D" (2017), in O(k·n·log n). Of equally good partitions it returns the one
// whose boundaries, from the last to the first, lie lowest. Values of float32 precision are
// treated exactly but for the final rounding of sums; sums of squares of others carry a
// relative error of about 1e-30.
//
// Fewer than k distinct values make one cluster each, fewer than k clusters in all. An error
// means that there are no values, that one is not finite, or that k is below 1.
func KMeans(values []float64, k int) (Clustering, error) {
	if k < 1 {
		return Clustering{}, fmt.Errorf("k-means with %d clusters: at least 1 is needed", k)
	}
	if len(values) == 0 {
		return Clustering{}, errors.New("k-means: no values")
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Clustering{}, fmt.Errorf("k-means: value %d is %v", i, v)
		}
	}
	distinct, counts := countDistinct(values)
	starts := bestStarts(newPrefixSums(distinct, counts), min(k, len(distinct)))
	var c Clustering
	for q, start := range starts {
		end := len(distinct)
		if q+1 < len(starts) {
			end = starts[q+1]
		}
		size, mean := meanOf(distinct[start:end], counts[start:end])
		c.Smallest = append(c.Smallest, distinct[start])
		c.Centroids = append(c.Centroids, mean)
		c.Sizes = append(c.Sizes, size)
	}
	return c, nil
}

// countDistinct returns the values in ascending order and how often each occurs. Clustering
// weighted points is as good: splitting equal values between clusters never lowers the cost.
func countDistinct(values []float64) (distinct []float64, counts []int) {
	distinct = slices.Clone(values)
	slices.Sort(distinct)
	n := 0
	for _, v := range distinct {
		if n > 0 && v == distinct[n-1] {
			counts[n-1]++
			continue
		}
		distinct[n] = v
		counts = append(counts, 1)
		n++
	}
	return distinct[:n], counts
}

// meanOf returns the number and the mean of weighted values. It cannot overflow, as each
// step moves the mean towards a value.
func meanOf(values []float64, counts []int) (size int, mean float64) {
	for i, v := range values {
		size += counts[i]
		share := float64(counts[i]) / float64(size)
		mean = mean*(1-share) + v*share
	}
	return size, mean
}

// bestStarts returns where each of k clusters of the points begins. There are at least k
// points.
func bestStarts(sums prefixSums, k int) []int {
	n := len(sums) - 1
	// best[i] is the least cost of the first i points in as many clusters as there have been
	// rounds, and from[q][i] is where the last of them begins when there are q+2.
	best := make([]float64, n+1)
	for i := range best {
		best[i] = sums.cost(0, i)
	}
	from := make([][]int32, k-1)
	for q := range from {
		from[q] = make([]int32, n+1)
		next := make([]float64, n+1)
		// Later rounds need at least one point more each; the last needs only the whole.
		clusters, last := q+2, n-(k-2-q)
		first := clusters
		if clusters == k {
			first = n
		}
		r := round{sums: sums, best: best, next: next, from: from[q]}
		r.fill(first, last, clusters-1, last-1)
		best = next
	}
	starts := make([]int, k)
	end := n
	for q := k - 1; q > 0; q-- {
		end = int(from[q-1][end])
		starts[q] = end
	}
	return starts
}

// round adds one cluster to the optimum of each prefix.
type round struct {
	sums       prefixSums
	best, next []float64
	from       []int32
}

// fill solves the prefixes of lo to hi points, whose last cluster is known to begin at one
// of the points low to high. Where it begins never falls as the prefix grows, so that the
// middle prefix narrows the choice for both halves.
func (r round) fill(lo, hi, low, high int) {
	if lo > hi {
		return
	}
	middle := (lo + hi) / 2
	cost, start := math.Inf(1), low
	for j := min(high, middle-1); j >= low; j-- {
		last := r.sums.cost(j, middle)
		if last > cost {
			break // a longer last cluster costs even more
		}
		if sum := r.best[j] + last; sum <= cost {
			cost, start = sum, j
		}
	}
	r.next[middle], r.from[middle] = cost, int32(start)
	r.fill(lo, middle-1, low, start)
	r.fill(middle+1, hi, start, high)
}
