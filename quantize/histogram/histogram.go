// Package histogram counts the values that tensors take, in memory that does not grow with
// their number, and chooses the range of an 8-bit quantiser from the counts.
package histogram

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// side is the number of bins on each side of zero.
const side = 8192

// ErrNotFinite is wrapped where a value is not a finite number.
var ErrNotFinite = errors.New("it is not a finite number")

// Histogram counts values in bins of one width, a power of two that is doubled when a value
// lies beyond the last bin. So the counts depend on the values alone, not on their order, and
// between 4096 and 8192 bins cover the largest magnitude. The zero value is empty.
type Histogram struct {
	// exponent is log2 of the width of a bin.
	exponent int
	// bins[side+i] counts values v with i·width ≤ v < (i+1)·width, but not exact zeros.
	bins      []uint64
	zeros     uint64
	low, high float32
	count     uint64
}

// Count is the number of values.
func (h *Histogram) Count() uint64 { return h.count }

// Min and Max are the extreme values, 0 without any.
func (h *Histogram) Min() float32 { return h.low }

// Max is the greatest value.
func (h *Histogram) Max() float32 { return h.high }

// magnitude is the largest absolute value.
func (h *Histogram) magnitude() float64 { return max(float64(h.high), -float64(h.low)) }

// width is that of a bin.
func (h *Histogram) width() float64 { return math.Ldexp(1, h.exponent) }

// Add counts values. Those that are not finite are an error, and then none is counted.
func (h *Histogram) Add(values []float32) error {
	if len(values) == 0 {
		return nil
	}
	low, high := values[0], values[0]
	sum := float32(0) // not finite if one of the values is not: v−v is 0 or NaN
	for _, v := range values {
		low, high = min(low, v), max(high, v)
		sum += v - v
	}
	if sum != 0 {
		for i, v := range values {
			if v-v != 0 {
				return fmt.Errorf("value %d is %v: %w", i, v, ErrNotFinite)
			}
		}
	}
	h.widen(low, high)
	scale, bins, zeros := float32(math.Ldexp(1, -h.exponent)), h.bins, uint64(0)
	for _, v := range values {
		switch {
		case v > 0:
			bins[side+int(v*scale)]++
		case v < 0:
			bins[side-1-int(-v*scale)]++
		default:
			zeros++
		}
	}
	h.zeros += zeros
	h.count += uint64(len(values))
	return nil
}

// Merge adds the counts of another histogram.
func (h *Histogram) Merge(other *Histogram) {
	if other.count == 0 {
		return
	}
	h.widen(other.low, other.high)
	for i, n := range other.bins {
		if n == 0 {
			continue
		}
		// An arithmetic shift halves towards minus infinity, as the bins are.
		h.bins[side+(i-side)>>(h.exponent-other.exponent)] += n
	}
	h.zeros += other.zeros
	h.count += other.count
}

// widen makes room for values from low to high and takes these as values that occur.
func (h *Histogram) widen(low, high float32) {
	if h.bins == nil {
		h.bins, h.low, h.high = make([]uint64, 2*side), low, high
		h.exponent = math.MinInt32
	}
	h.low, h.high = min(h.low, low), max(h.high, high)
	exponent := exponentOf(h.magnitude())
	if by := exponent - h.exponent; by > 0 && h.exponent != math.MinInt32 {
		h.coarsen(by)
	}
	h.exponent = max(h.exponent, exponent)
}

// exponentOf is log2 of the width of bins for values up to a magnitude.
func exponentOf(magnitude float64) int {
	if magnitude == 0 {
		return minExponent
	}
	// Frexp's fraction is below 1, so that the largest value lies below the last bin's end.
	_, e := math.Frexp(magnitude)
	return max(minExponent, e-sideLog)
}

const (
	sideLog = 13
	// minExponent keeps the factor from values to bins finite. Smaller magnitudes share bins.
	minExponent = -120
	// maxExponent is that of the largest float32.
	maxExponent = 128 - sideLog
)

// coarsen joins 2^by neighbouring bins.
func (h *Histogram) coarsen(by int) {
	joined := make([]uint64, len(h.bins))
	for i, n := range h.bins {
		joined[side+(i-side)>>min(by, 62)] += n
	}
	h.bins = joined
}

// each calls f for the bins that are not empty, in the order of their values, with the value
// in their middle. Exact zeros come as one.
func (h *Histogram) each(f func(value float64, count uint64)) {
	width := h.width()
	for i, n := range h.bins {
		if i == side && h.zeros > 0 {
			f(0, h.zeros)
		}
		if n > 0 {
			f((float64(i-side)+0.5)*width, n)
		}
	}
}

// Bars returns how the values are spread over n stretches of equal length from low to high,
// as shares of all values. Values beyond are left out.
func (h *Histogram) Bars(low, high float64, n int) []float64 {
	bars := make([]float64, n)
	if !(high > low) {
		return bars
	}
	h.each(func(value float64, count uint64) {
		if at := int(float64(n) * (value - low) / (high - low)); value >= low && at < n {
			bars[at] += float64(count) / float64(h.count)
		}
	})
	return bars
}

// stored is the form of a histogram in JSON.
type stored struct {
	Exponent int      `json:"exponent"`
	First    int      `json:"first"` // the first of Bins, counted from zero
	Bins     []uint64 `json:"bins"`
	Zeros    uint64   `json:"zeros"`
	Min      float32  `json:"min"`
	Max      float32  `json:"max"`
}

// MarshalJSON implements [json.Marshaler]. Empty bins at the ends are left out.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	s := stored{Exponent: h.exponent, Zeros: h.zeros, Min: h.low, Max: h.high}
	first := slices.IndexFunc(h.bins, func(n uint64) bool { return n > 0 })
	if first >= 0 {
		last := len(h.bins)
		for h.bins[last-1] == 0 {
			last--
		}
		s.First, s.Bins = first-side, h.bins[first:last]
	}
	return json.Marshal(s)
}

// UnmarshalJSON implements [json.Unmarshaler]. Histograms that cannot have come from counting
// are an error.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var s stored
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	n := len(s.Bins)
	if n > 2*side || s.First < -side || s.First > side-n || s.Exponent < minExponent || s.Exponent > maxExponent || s.Min > s.Max {
		return errors.New("a histogram's bins lie beyond its ends")
	}
	*h = Histogram{exponent: s.Exponent, bins: make([]uint64, 2*side), zeros: s.Zeros, low: s.Min, high: s.Max, count: s.Zeros}
	for i, c := range s.Bins {
		if h.count+c < h.count {
			return errors.New("a histogram's counts overflow")
		}
		h.bins[side+s.First+i] = c
		h.count += c
	}
	if h.count == 0 {
		*h = Histogram{}
		return nil
	}
	if h.exponent != exponentOf(h.magnitude()) {
		return errors.New("a histogram's bins are not as wide as its values ask for")
	}
	return nil
}
