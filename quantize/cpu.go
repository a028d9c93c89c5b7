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
	first := p.net.first(o)
	if first != nil {
		e.picture(first)
	}
	for _, n := range e.old {
		l := p.net.layer(n.Name)
		switch {
		case l != nil && o.quantised(l):
			e.integerConv(n, l, p, o, first)
		case l != nil && l.pointwise() && e.levels[l.input()] != "":
			e.product(n, l)
		case relocates(n) && e.allLevels(p.net.activations(n), set):
			n.Inputs[0] = e.levels[n.Inputs[0]]
			e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
			for _, name := range n.Outputs {
				e.setGrid(name, histogram.GridOf(histogram.Affine, p.affine[name]))
				e.restore(name, name)
			}
			continue
		default:
			e.copyNode(n)
		}
		for _, name := range n.Outputs {
			if !set[name] {
				continue
			}
			levels := e.round(name, histogram.GridOf(histogram.Affine, p.affine[name]))
			if first != nil && first.columns != nil && name == first.stem.output() {
				levels = e.part(first.columns, first.stem, name, levels)
			}
			e.restore(name, levels)
		}
	}
	return e.finish()
}

// firstLayer is the first layer where it runs in integers.
type firstLayer struct {
	*picture
	columns *columns // nil where it reads column by column
}

// first returns the first layer, nil if it stays in float or is not known.
func (net *Network) first(o Options) *firstLayer {
	p := net.picture
	if p == nil || !o.quantised(p.stem) {
		return nil
	}
	return &firstLayer{p, columnsOf(p.stem, int(net.model.Graph.Inputs[0].Shape[2]))}
}

// pictureScale is the scale of the picture's levels, about that of normalised pixels, and
// pictureZero the level that stands for zero, about the mean pixel.
const (
	pictureScale = 1.0 / 57
	pictureZero  = 116
)

// picture reads the bytes of the picture as levels.
func (e *emitter) picture(f *firstLayer) {
	image := f.input
	if f.columns != nil {
		image = e.join(f.columns, image)
	}
	planes := e.Node("Transpose", f.input+"/planes", []string{image}, onnx.Ints("perm", 0, 3, 1, 2))
	e.setGrid(f.tensor, histogram.Grid{Kind: histogram.Affine, Scale: pictureScale, Zero: pictureZero})
	e.restore(f.tensor, planes)
}

// layer returns the first layer for bytes, which the node n is to compute.
func (f *firstLayer) layer(n *onnx.Node) *layer {
	l := *f.stem
	l.weight, l.bias = f.fold()
	if f.columns != nil {
		return f.columns.widen(&l, n)
	}
	return &l
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
func (e *emitter) integerConv(n *onnx.Node, l *layer, p *Placer, o Options, first *firstLayer) {
	grid, input := e.grids[l.input()], e.values[l.input()]
	stem := first != nil && first.stem == l
	if stem {
		l = first.layer(n)
	}
	bias := l.bias
	q := quantiseWeights(l.weight, l.outputs(), o.PerTensorWeights, biasScales(bias, grid.Scale))
	if !stem { // which reads bytes, of which the table knows nothing
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
	n.Inputs = []string{input, e.dequantised(l, q), rounded}
	e.model.Graph.Nodes = append(e.model.Graph.Nodes, n)
}

// product adds a layer of 1×1 that stays in float as the product of its matrix with the channels
// of each pixel. ONNX Runtime keeps levels with channels last; a convolution in float would have
// them moved, and its outputs moved back.
func (e *emitter) product(n *onnx.Node, l *layer) {
	in, name := l.input(), l.name()
	outputs, inputs := l.outputs(), l.perOutput()
	matrix := make([]float32, len(l.weight))
	for o := range outputs {
		for c := range inputs {
			matrix[c*outputs+o] = l.weight[o*inputs+c]
		}
	}
	levels := e.Node("Transpose", name+"/levels", []string{e.levels[in]}, onnx.Ints("perm", 0, 2, 3, 1))
	values := e.Node("DequantizeLinear", name+"/input", []string{levels, e.scales[in], e.zeros[in]})
	weight := e.Initializer(onnx.NewTensor(name+"/matrix", matrix, inputs, outputs))
	bias := e.Initializer(onnx.NewTensor(name+"/bias", l.bias, outputs, 1, 1))
	product := e.Node("MatMul", name+"/product", []string{values, weight})
	e.model.Graph.Nodes[len(e.model.Graph.Nodes)-1].Name = name
	planes := e.Node("Transpose", name+"/planes", []string{product}, onnx.Ints("perm", 0, 3, 1, 2))
	n.Name, n.Op, n.Attributes, n.Inputs = name+"/sum", "Add", nil, []string{planes, bias}
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
