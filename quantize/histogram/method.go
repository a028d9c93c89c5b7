package histogram

import (
	"fmt"
	"math"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Method is a way to choose a range.
type Method string

// The methods.
const (
	// MinMax takes all values that occurred.
	MinMax Method = "minmax"
	// Percentile leaves out the same small share of the values at either end.
	Percentile Method = "percentile"
	// Entropy takes the threshold at which the quantised distribution of magnitudes has the
	// least Kullback-Leibler divergence from the original (Migacz, "8-bit Inference with
	// TensorRT", GTC 2017).
	Entropy Method = "entropy"
	// MSE takes the range with the least mean square error, of clipping and rounding together.
	MSE Method = "mse"
)

// Methods lists the methods.
func Methods() []Method { return []Method{MinMax, Percentile, Entropy, MSE} }

// ParseMethod returns the method of a name.
func ParseMethod(name string) (Method, error) {
	var names []string
	for _, m := range Methods() {
		if string(m) == name {
			return m, nil
		}
		names = append(names, string(m))
	}
	hint := "choose of " + strings.Join(names, ", ")
	if near := nearest.Word(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return "", fmt.Errorf("range method %q is unknown; %s", name, hint)
}

// Choice says how ranges are chosen.
type Choice struct {
	Method Method `json:"method"`
	// Share is that of the values that [Percentile] keeps at either end, such as 0.9999.
	Share float64 `json:"share,omitempty"`
}

// Range chooses the range of a grid of the kind. It holds zero, and is all zero for a
// histogram without other values.
func (h *Histogram) Range(kind Kind, c Choice) Range {
	whole := Range{min(h.low, 0), max(h.high, 0)}
	if h.count == 0 || whole == (Range{}) {
		return Range{}
	}
	switch c.Method {
	case Percentile:
		return h.percentile(c.Share)
	case Entropy:
		t := h.entropy(kind)
		return Range{max(whole.Low, -t), min(whole.High, t)}
	case MSE:
		return h.leastError(kind, whole)
	}
	return whole
}

// percentile returns the range without the outermost values.
func (h *Histogram) percentile(share float64) Range {
	left := (1 - share) * float64(h.count)
	r, below, half := Range{}, 0.0, h.width()/2
	found := false
	h.each(func(value float64, count uint64) {
		below += float64(count)
		if !found && below > left {
			r.Low, found = float32(min(value-half, 0)), true
		}
		if below-float64(count) < float64(h.count)-left {
			r.High = float32(max(value+half, 0))
		}
	})
	r.Low, r.High = max(r.Low, min(h.low, 0)), min(r.High, max(h.high, 0))
	return r
}

// leastError narrows the range from the whole one, end by end, as long as the error falls.
func (h *Histogram) leastError(kind Kind, r Range) Range {
	const steps, rounds = 128, 2
	whole := r
	best := h.Error(GridOf(kind, r))
	try := func(candidate Range) {
		if e := h.Error(GridOf(kind, candidate)); e < best {
			best, r = e, candidate
		}
	}
	if kind == Symmetric {
		m := float32(h.magnitude())
		for i := 1; i < steps; i++ {
			t := m * float32(i) / steps
			try(Range{max(whole.Low, -t), min(whole.High, t)})
		}
		return r
	}
	for range rounds {
		for i := 1; i < steps && whole.High > 0; i++ {
			try(Range{r.Low, whole.High * float32(i) / steps})
		}
		for i := 1; i < steps && whole.Low < 0; i++ {
			try(Range{whole.Low * float32(i) / steps, r.High})
		}
		if whole.Low == 0 || whole.High == 0 {
			break // one end only
		}
	}
	return r
}

// entropy returns the threshold of magnitudes.
func (h *Histogram) entropy(kind Kind) float32 {
	levels := 128
	if kind == Affine && (h.low >= 0 || h.high <= 0) {
		levels = 256
	}
	const bars = 2048
	counts, m := make([]float64, bars), h.magnitude()
	h.each(func(value float64, count uint64) {
		if value != 0 { // zero is exact at every threshold, and would drown the rest
			counts[min(int(math.Abs(value)/m*bars), bars-1)] += float64(count)
		}
	})
	best, at := math.Inf(1), bars
	for n := levels; n <= bars; n++ {
		if d := divergence(counts, n, levels); d < best {
			best, at = d, n
		}
	}
	return float32(m * float64(at) / bars)
}

// smoothing is the count that stands for none, without which the divergence is infinite.
const smoothing = 1e-4

// divergence returns KL(p ‖ q) where p holds the first n counts, the rest added to the last of
// them, and q the same counts averaged over each level.
func divergence(counts []float64, n, levels int) float64 {
	total, beyond := 0.0, 0.0
	for i, c := range counts {
		total += c
		if i >= n {
			beyond += c
		}
	}
	kept := total - beyond
	if kept == 0 {
		return math.Inf(1)
	}
	d := 0.0
	for level := range levels {
		from, to := level*n/levels, (level+1)*n/levels
		sum, filled := 0.0, 0
		for _, c := range counts[from:to] {
			sum += c
			if c > 0 {
				filled++
			}
		}
		for i, c := range counts[from:to] {
			p := c
			if from+i == n-1 {
				p += beyond
			}
			if p == 0 {
				continue
			}
			q := smoothing
			if c > 0 { // else only what was clipped is there
				q = sum / float64(filled)
			}
			d += p / total * math.Log((p/total)/(q/kept))
		}
	}
	return d
}
