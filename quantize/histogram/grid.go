package histogram

import (
	"fmt"
	"math"
)

// Kind is how the levels of a quantiser lie around zero.
type Kind string

// The kinds.
const (
	// Affine is uint8 with any zero-point, as ONNX Runtime is fast with on x86-64.
	Affine Kind = "affine"
	// Symmetric is int8 with zero-point 0, as TensorRT asks for.
	Symmetric Kind = "symmetric"
)

// Grid is a quantiser: real value = Scale · (level − Zero), as ONNX's QuantizeLinear has it.
type Grid struct {
	Kind  Kind
	Scale float32
	// Zero is the zero-point: 0 to 255, or 0 for a symmetric grid.
	Zero int
}

// Levels returns the first and the last level.
func (k Kind) Levels() (first, last int) {
	if k == Symmetric {
		return -128, 127
	}
	return 0, 255
}

// GridOf returns the grid of a range. An affine one has its first level at the low end and its
// last at the high end, moved by less than half a step so that zero is a level. A symmetric one
// reaches as far as the end that is farther from zero on both sides.
func GridOf(kind Kind, r Range) Grid {
	low, high := min(float64(r.Low), 0), max(float64(r.High), 0)
	if kind == Symmetric {
		return Grid{kind, stepOf(max(high, -low)/127, smallestHalf), 0}
	}
	step := stepOf((high-low)/255, smallestStep)
	return Grid{kind, step, int(math.RoundToEven(-low / float64(step)))}
}

// stepOf keeps scales above 0, for tensors that are all zero.
func stepOf(step, smallest float64) float32 { return float32(max(step, smallest)) }

const (
	// smallestStep times the least scale of weights is still a normal float32.
	smallestStep = 0x1p-60
	// smallestHalf is the least normal number of float16, which scales are for TensorRT.
	smallestHalf = 0x1p-14
)

// Round returns the value of the grid's level that is nearest.
func (g Grid) Round(v float64) float64 {
	first, last := g.Kind.Levels()
	level := math.RoundToEven(v/float64(g.Scale)) + float64(g.Zero)
	level = min(max(level, float64(first)), float64(last))
	return float64(g.Scale) * (level - float64(g.Zero))
}

// Range returns the values of the first and the last level.
func (g Grid) Range() Range {
	first, last := g.Kind.Levels()
	return Range{g.Scale * float32(first-g.Zero), g.Scale * float32(last-g.Zero)}
}

// Range is a stretch of real values, Low ≤ 0 ≤ High.
type Range struct {
	Low  float32 `json:"low"`
	High float32 `json:"high"`
}

// String is the range with three significant digits.
func (r Range) String() string { return fmt.Sprintf("%.3g to %.3g", r.Low, r.High) }

// Error returns the mean square of what the grid changes in the values.
func (h *Histogram) Error(g Grid) float64 {
	if h.count == 0 {
		return 0
	}
	sum := 0.0
	h.each(func(value float64, count uint64) {
		d := value - g.Round(value)
		sum += d * d * float64(count)
	})
	return sum / float64(h.count)
}

// Power returns the mean square of the values.
func (h *Histogram) Power() float64 {
	if h.count == 0 {
		return 0
	}
	sum := 0.0
	h.each(func(value float64, count uint64) { sum += value * value * float64(count) })
	return sum / float64(h.count)
}
