package augment

import (
	"image"
	"math"
	"sync"

	"github.com/robustnet-edge/robustnet/train/data"
)

// weightBits is the precision of the filters' weights, Pillow's: the products of bytes, their
// sum and its overshoot stay within 32 bits.
const weightBits = 22

// taps are the weights by which pixels of a line are made from those of another line, for the
// pixels in a range.
type taps struct {
	// first[i] is the first source pixel of the i-th pixel in the range, and weights[i] its
	// and the next pixels' weights, in units of 2^-weightBits.
	first   []int
	weights [][]int32
}

// bicubicTaps returns the weights of Pillow's bicubic filter, of slope −½, for pixels lo to
// hi−1 when a line of n pixels becomes one of m. Where lines shrink, the filter grows, so that
// nothing is skipped.
func bicubicTaps(n, m, lo, hi int) taps {
	step := float64(n) / float64(m)
	stretch := max(step, 1)
	support := 2 * stretch
	t := taps{make([]int, hi-lo), make([][]int32, hi-lo)}
	most := 2*int(math.Ceil(support)) + 1
	all := make([]int32, (hi-lo)*most)
	exact := make([]float64, most)
	for i := range t.first {
		centre := (float64(lo+i) + 0.5) * step
		first := max(0, int(centre-support+0.5))
		last := min(n, int(centre+support+0.5))
		w := exact[:last-first]
		sum := 0.0
		for k := range w {
			w[k] = bicubic((float64(first+k) - centre + 0.5) / stretch)
			sum += w[k]
		}
		t.first[i] = first
		t.weights[i] = all[i*most:][:len(w)]
		for k := range w {
			t.weights[i][k] = int32(math.Round(w[k] / sum * (1 << weightBits)))
		}
	}
	return t
}

func bicubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// span returns the source pixels that the taps need.
func (t taps) span() (first, end int) {
	last := len(t.first) - 1
	return t.first[0], t.first[last] + len(t.weights[last])
}

// scratch is memory that is used again.
type scratch struct {
	bytes []uint8
	sums  []int32
	words []uint64
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// resample fills the square to with the window of the picture from, scaled from one size to
// another. What lies outside stays as it is.
func resample(to []uint8, window image.Rectangle, from []uint8, size, scaled image.Point) {
	inside := window.Intersect(image.Rectangle{Max: scaled})
	if inside.Empty() {
		return
	}
	columns := bicubicTaps(size.X, scaled.X, inside.Min.X, inside.Max.X)
	rows := bicubicTaps(size.Y, scaled.Y, inside.Min.Y, inside.Max.Y)
	first, end := rows.span()
	width := 3 * inside.Dx()

	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.bytes = grown(s.bytes, (end-first)*width)
	s.sums = grown(s.sums, width)
	for y := first; y < end; y++ {
		columns.across(s.bytes[(y-first)*width:][:width], from[3*y*size.X:][:3*size.X])
	}
	start, stride := inside.Min.Sub(window.Min), 3*window.Dx()
	for i, weights := range rows.weights {
		source := s.bytes[(rows.first[i]-first)*width:]
		down(to[(start.Y+i)*stride+3*start.X:][:width], s.sums, source, weights)
	}
}

// grown returns a slice of n elements, s's where that is long enough. Their values are left.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// across makes a row of pixels from another.
func (t taps) across(to, from []uint8) {
	const half = 1 << (weightBits - 1)
	for i, first := range t.first {
		r, g, b := int32(half), int32(half), int32(half)
		weights, pixels := t.weights[i], from[3*first:]
		for ; len(weights) >= 2 && len(pixels) >= 6; weights, pixels = weights[2:], pixels[6:] {
			v, w := weights[0], weights[1]
			r += v*int32(pixels[0]) + w*int32(pixels[3])
			g += v*int32(pixels[1]) + w*int32(pixels[4])
			b += v*int32(pixels[2]) + w*int32(pixels[5])
		}
		if len(weights) == 1 && len(pixels) >= 3 {
			r += weights[0] * int32(pixels[0])
			g += weights[0] * int32(pixels[1])
			b += weights[0] * int32(pixels[2])
		}
		to[0], to[1], to[2] = clipped(r>>weightBits), clipped(g>>weightBits), clipped(b>>weightBits)
		to = to[3:]
	}
}

// down makes a row from rows that follow each other in from, each as long as to.
func down(to []uint8, sums []int32, from []uint8, weights []int32) {
	sums = sums[:len(to)]
	for i := range sums {
		sums[i] = 1 << (weightBits - 1)
	}
	n := len(to)
	for ; len(weights) >= 4; weights, from = weights[4:], from[4*n:] {
		w0, w1, w2, w3 := weights[0], weights[1], weights[2], weights[3]
		a, b, c, d := from[:n], from[n:][:n], from[2*n:][:n], from[3*n:][:n]
		for i := range sums {
			sums[i] += w0*int32(a[i]) + w1*int32(b[i]) + w2*int32(c[i]) + w3*int32(d[i])
		}
	}
	for ; len(weights) > 0; weights, from = weights[1:], from[n:] {
		w, a := weights[0], from[:n]
		for i := range sums {
			sums[i] += w * int32(a[i])
		}
	}
	for i, sum := range sums {
		to[i] = clipped(sum >> weightBits)
	}
}

func clipped(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// resampleLabels fills the square to with the window of labels, scaled from one size to
// another; what lies outside is ignored.
func resampleLabels(to []uint8, window image.Rectangle, from []uint8, size, scaled image.Point) {
	side := window.Dx()
	inside := window.Intersect(image.Rectangle{Max: scaled})
	columns := make([]int, inside.Dx())
	for i := range columns {
		columns[i] = scaledPlace(inside.Min.X+i, scaled.X, size.X)
	}
	for i := range to {
		to[i] = data.Ignored
	}
	for y := inside.Min.Y; y < inside.Max.Y; y++ {
		row := from[scaledPlace(y, scaled.Y, size.Y)*size.X:][:size.X]
		out := to[(y-window.Min.Y)*side+inside.Min.X-window.Min.X:][:len(columns)]
		for i, x := range columns {
			out[i] = row[x]
		}
	}
}
