package quantize

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Grams are, by layer, the mean products E[x·xᵀ] of the patches that the layer reads, with which
// weights are rounded up or down so that the layer's outputs change least, rather than each
// weight by itself: the objective of AdaRound (Nagel et al., "Up or Down? Adaptive Rounding for
// Post-Training Quantization", ICML 2020, equation 20).
type Grams map[string]*gram

// gram is that of one layer: for each group of channels a symmetric matrix, of which the upper
// triangle is filled.
type gram struct {
	size     int // of a patch: input channels of a group × kernel
	matrices []blas32.Symmetric
}

// largestPatch bounds the memory of a matrix to 64 MiB. Layers beyond round to nearest.
const largestPatch = 4096

// A GramRecorder fills grams.
type GramRecorder struct {
	layers []*layer
	inputs []int // of layers, as indices of tensors
	grams  Grams
	rng    *rand.Rand
}

// NewGramRecorder returns empty grams of the layers that read tensors which will be recorded, in
// their order. The seed picks the patches.
func (net *Network) NewGramRecorder(tensors []string, seed uint64) *GramRecorder {
	r := &GramRecorder{grams: Grams{}, rng: rand.New(rand.NewPCG(seed, 0x4772616d))}
	place := map[string]int{}
	for i, name := range tensors {
		place[name] = i
	}
	for _, l := range net.layers {
		at, observed := place[l.input()]
		if l.head || !observed || l.perOutput() > largestPatch {
			continue
		}
		g := &gram{size: l.perOutput()}
		for range l.groups() {
			g.matrices = append(g.matrices, blas32.Symmetric{N: g.size, Stride: g.size, Uplo: blas.Upper, Data: make([]float32, g.size*g.size)})
		}
		r.layers, r.inputs = append(r.layers, l), append(r.inputs, at)
		r.grams[l.name()] = g
	}
	return r
}

// Record adds one run of the model, of which tensor gives the i-th tensor.
func (r *GramRecorder) Record(tensor func(i int) (values []float32, shape []int64, err error)) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range r.layers {
		values, shape, err := tensor(r.inputs[i])
		if err == nil && (len(shape) != 4 || int(shape[1]) != int(l.shape[1])*l.groups()) {
			err = fmt.Errorf("its shape is %v", shape)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("record what %s reads: %w", l.name(), err), g.Wait())
		}
		seed := r.rng.Uint64()
		g.Go(func() error {
			r.grams[l.name()].add(l, values, shape, rand.New(rand.NewPCG(seed, 1)))
			return nil
		})
	}
	return g.Wait()
}

// Grams returns what has been recorded.
func (r *GramRecorder) Grams() Grams { return r.grams }

// patches is the number of places of a feature that are looked at in a run.
const patches = 128

// add adds patches at random places.
func (g *gram) add(l *layer, values []float32, shape []int64, rng *rand.Rand) {
	w := l.window(int(shape[2]), int(shape[3]))
	places := make([][2]int, patches)
	for i := range places {
		places[i] = [2]int{rng.IntN(w.outHeight), rng.IntN(w.outWidth)}
	}
	perGroup := int(l.shape[1])
	rows := blas32.General{Rows: patches, Cols: g.size, Stride: g.size, Data: make([]float32, patches*g.size)}
	for group, m := range g.matrices {
		for i, at := range places {
			w.patch(rows.Data[i*g.size:(i+1)*g.size], values, group*perGroup, at)
		}
		blas32.Syrk(blas.Trans, 1, rows, 1, m)
	}
}

// window is how a layer slides over a feature.
type window struct {
	height, width, outHeight, outWidth int
	kernel, stride, dilation, pad      [2]int
}

func (l *layer) window(height, width int) window {
	two := func(name string, fallback int64) [2]int {
		v := onnx.AttributeOf[[]int64](l.node, name, nil)
		if len(v) < 2 || min(v[0], v[1]) < fallback {
			return [2]int{int(fallback), int(fallback)}
		}
		return [2]int{int(v[0]), int(v[1])}
	}
	w := window{height: height, width: width, kernel: [2]int{int(l.shape[2]), int(l.shape[3])},
		stride: two("strides", 1), dilation: two("dilations", 1), pad: two("pads", 0)}
	out := func(size, axis int) int {
		return max(1, (size+2*w.pad[axis]-w.dilation[axis]*(w.kernel[axis]-1)-1)/w.stride[axis]+1)
	}
	w.outHeight, w.outWidth = out(height, 0), out(width, 1)
	return w
}

// patch copies what the window sees at a place, zeros beyond the feature.
func (w window) patch(to, values []float32, firstChannel int, at [2]int) {
	plane, i := w.height*w.width, 0
	for c := firstChannel; i < len(to); c++ {
		for ky := range w.kernel[0] {
			y := at[0]*w.stride[0] - w.pad[0] + ky*w.dilation[0]
			for kx := range w.kernel[1] {
				x := at[1]*w.stride[1] - w.pad[1] + kx*w.dilation[1]
				to[i] = 0
				if y >= 0 && y < w.height && x >= 0 && x < w.width {
					to[i] = values[c*plane+y*w.width+x]
				}
				i++
			}
		}
	}
}

// groups is the number of groups of a layer's channels.
func (l *layer) groups() int { return int(onnx.AttributeOf[int64](l.node, "group", 1)) }

// adapt moves levels that were rounded to nearest to the other side of their weights where that
// changes the layer's outputs less.
func (g *gram) adapt(q levels, weight []float32) {
	outputs := len(q.scales)
	var work errgroup.Group
	work.SetLimit(runtime.GOMAXPROCS(0))
	for o := range outputs {
		m := g.matrices[o/(outputs/len(g.matrices))]
		work.Go(func() error {
			adaptRow(q.values[o*g.size:(o+1)*g.size], weight[o*g.size:(o+1)*g.size], q.scales[o], m)
			return nil
		})
	}
	_ = work.Wait() // none of them fails
}

// adaptRow lowers eᵀ·G·e for the error e = scale·level − weight of one output by moving one level
// at a time, as long as that helps. AdaRound relaxes the same choice; with a matrix at hand,
// descending by coordinates is quicker and needs no settings.
func adaptRow(row []int8, weight []float32, scale float32, g blas32.Symmetric) {
	n := len(row)
	e, slope := make([]float32, n), blas32.Vector{N: n, Inc: 1, Data: make([]float32, n)}
	for i, level := range row {
		e[i] = scale*float32(level) - weight[i]
	}
	blas32.Symv(1, g, blas32.Vector{N: n, Inc: 1, Data: e}, 0, slope)
	const sweeps = 20
	for range sweeps {
		moved := false
		for i := range row {
			step := int8(1)
			if e[i] > 0 {
				step = -1
			}
			level := int(row[i]) + int(step)
			d := scale * float32(step)
			if gain := 2*d*slope.Data[i] + d*d*g.Data[i*g.Stride+i]; gain >= -1e-7*d*d*g.Data[i*g.Stride+i] || level < -127 || level > 127 || math.Abs(float64(e[i]+d)) > float64(scale) {
				continue
			}
			row[i], moved = int8(level), true
			e[i] += d
			for k := range n {
				at := min(i, k)*g.Stride + max(i, k)
				slope.Data[k] += d * g.Data[at]
			}
		}
		if !moved {
			return
		}
	}
}
