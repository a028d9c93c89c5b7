package quantize

import (
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// CPU places QuantizeLinear and DequantizeLinear as ONNX Runtime fuses them on CPUs: uint8
// activations with any zero-point around every convolution, addition, Concat, Resize and
// global pooling, int8 weights by output channel, int32 biases. The bytes of the picture are
// the levels of the first convolution, which takes the normalisation over.
//
// With zero padding, the picture's border then is the level that stands for zero, 116, in all
// channels, where the float network pads with the mean pixel.
func (p *Placer) CPU(o Options) (*onnx.Model, error) {
	if err := p.net.Check(o); err != nil {
		return nil, err
	}
	e, set := p.net.newEmitter(), p.net.quantised(o)
	stem := p.net.picture
	if stem != nil && !o.quantised(stem.stem) {
		stem = nil
	}
	if stem != nil {
		e.picture(stem)
	}
	for _, n := range e.old {
		l := p.net.layer(n.Name)
		switch {
		case l != nil && o.quantised(l):
			e.integerConv(n, l, p, o, stem)
		case relocates(n) && e.allLevels(p.net.activations(n), set):
			n.Inputs[0] = e.levels[n.Inputs[0]]
			e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
			for _, name := range n.Outputs {
				e.carry(name, histogram.GridOf(histogram.Affine, p.affine[name]))
			}
			continue
		default:
			e.copyNode(n)
		}
		for _, name := range n.Outputs {
			if set[name] {
				e.quantise(name, histogram.GridOf(histogram.Affine, p.affine[name]))
			}
		}
	}
	return e.finish()
}

// pictureScale is the scale of the picture's levels, about that of normalised pixels, and
// pictureZero the level that stands for zero, about the mean pixel.
const (
	pictureScale = 1.0 / 57
	pictureZero  = 116
)

// picture reads the bytes of the picture as levels.
func (e *emitter) picture(p *picture) {
	planes := e.Node("Transpose", p.input+"/planes", []string{p.input}, onnx.Ints("perm", 0, 3, 1, 2))
	scale, zero := e.gridTensors(p.input, p.grid())
	e.values[p.tensor] = e.Node("DequantizeLinear", p.input+"/rounded", []string{planes, scale, zero})
	e.grids[p.tensor] = p.grid()
}

func (p *picture) grid() histogram.Grid {
	return histogram.Grid{Kind: histogram.Affine, Scale: pictureScale, Zero: pictureZero}
}

// fold returns the first layer's weights and bias for bytes on the picture's grid. A pixel
// scale·byte + shift is (scale / grid scale)·value + scale·zero-point + shift of the grid.
func (p *picture) fold() (weight, bias []float32) {
	l := p.stem
	weight, bias = make([]float32, len(l.weight)), make([]float32, len(l.bias))
	plane := l.perOutput() / 3
	for o := range l.outputs() {
		sum := float64(l.bias[o])
		for c := range 3 {
			constant := p.scale[c]*pictureZero + p.shift[c]
			for k := range plane {
				at := o*l.perOutput() + c*plane + k
				weight[at] = float32(float64(l.weight[at]) * p.scale[c] / pictureScale)
				sum += float64(l.weight[at]) * constant
			}
		}
		bias[o] = float32(sum)
	}
	return weight, bias
}

// integerConv adds a convolution with weights and bias in integers.
func (e *emitter) integerConv(n *onnx.Node, l *layer, p *Placer, o Options, stem *picture) {
	weight, bias := l.weight, l.bias
	if stem != nil && stem.stem == l {
		weight, bias = stem.fold()
	}
	grid := e.grids[l.input()]
	q := quantiseWeights(weight, l.outputs(), o.PerTensorWeights, biasScales(bias, grid.Scale))
	if stem == nil || stem.stem != l { // which reads bytes, of which the table knows nothing
		o.adapt(l, q)
		if means := p.means(l); o.CorrectBias && means != nil {
			bias = l.correctedBias(q, means)
		}
	}
	values, scales := biasLevels(bias, q.scales, grid.Scale)
	name := l.name() + "/bias"
	levels := e.Initializer(onnx.NewTensor(name+"/levels", values, len(values)))
	scale := e.Initializer(onnx.NewTensor(name+"/scale", scales, len(scales)))
	rounded := e.Node("DequantizeLinear", name, []string{levels, scale}, onnx.Int("axis", 0))
	n.Inputs = []string{e.values[l.input()], e.dequantised(l, q), rounded}
	e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
}

// allLevels tells whether all tensors are there as levels.
func (e *emitter) allLevels(names []string, set map[string]bool) bool {
	for _, name := range names {
		if !set[name] || e.levels[name] == "" {
			return false
		}
	}
	return len(names) > 0
}
