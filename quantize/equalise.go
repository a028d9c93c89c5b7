package quantize

import (
	"math"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Equalise scales the channels between pairs of layers so that each channel has weights of the
// same magnitude on both sides, which evens the ranges of the channels that share a grid (Nagel
// et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
// section 4.1). It returns how many pairs there are.
//
// The model computes the same as before, up to rounding: between the layers of a pair is a ReLU
// or nothing. Pairs around a ReLU6, whose bound does not scale, are left alone. Calibrate
// afterwards, since the values of tensors change.
func (net *Network) Equalise() int {
	var pairs [][2]*layer
	for _, l := range net.layers {
		if next := net.byNode[net.index.OnlyReader(l.output())]; next != nil && next.input() == l.output() && scales(l.activation) {
			pairs = append(pairs, [2]*layer{l, next})
		}
	}
	// Each pair moves what its neighbours have evened: Nagel et al. iterate until it settles.
	const rounds, settled = 20, 1e-3
	for range rounds {
		moved := 0.0
		for _, pair := range pairs {
			moved = max(moved, equalisePair(pair[0], pair[1]))
		}
		if moved < settled {
			break
		}
	}
	changed := map[*layer]bool{}
	for _, pair := range pairs {
		changed[pair[0]], changed[pair[1]] = true, true
	}
	for _, l := range net.layers {
		if changed[l] {
			net.store(l)
		}
	}
	return len(pairs)
}

// scales tells whether f(s·x) = s·f(x) for an activation and s > 0.
func scales(activation *onnx.Node) bool { return activation == nil || activation.Op == "Relu" }

// equalisePair divides each channel by a factor in one layer and multiplies by it in the next,
// and returns the greatest change as |log factor|.
func equalisePair(a, b *layer) (moved float64) {
	outputs, inputs := a.largest(), b.largestInputs(a.outputs())
	if inputs == nil {
		return 0
	}
	for c := range outputs {
		if outputs[c] == 0 || inputs[c] == 0 {
			continue // a channel without a say
		}
		factor := math.Sqrt(outputs[c] / inputs[c])
		moved = max(moved, math.Abs(math.Log(factor)))
		per := a.perOutput()
		for i := range per {
			a.weight[c*per+i] = float32(float64(a.weight[c*per+i]) / factor)
		}
		a.bias[c] = float32(float64(a.bias[c]) / factor)
		b.eachOfInput(c, func(at int) { b.weight[at] = float32(float64(b.weight[at]) * factor) })
	}
	return moved
}

// largest returns the largest magnitude of the weights of each output channel.
func (l *layer) largest() []float64 {
	largest, per := make([]float64, l.outputs()), l.perOutput()
	for i, w := range l.weight {
		largest[i/per] = max(largest[i/per], math.Abs(float64(w)))
	}
	return largest
}

// largestInputs is largest for each of n input channels, nil if the layer has not as many.
func (l *layer) largestInputs(n int) []float64 {
	perGroup := int(l.shape[1])
	if perGroup == 0 || n%perGroup != 0 || l.outputs()%(n/perGroup) != 0 {
		return nil
	}
	largest := make([]float64, n)
	for c := range largest {
		l.eachOfInput(c, func(at int) { largest[c] = max(largest[c], math.Abs(float64(l.weight[at]))) })
	}
	return largest
}

// eachOfInput calls f with the places of the weights that read input channel c.
func (l *layer) eachOfInput(c int, f func(at int)) {
	perGroup, per := int(l.shape[1]), l.perOutput()
	plane := per / perGroup
	groups := int(onnx.AttributeOf[int64](l.node, "group", 1))
	outputs := l.outputs() / groups // of a group
	for o := range outputs {
		row := (c/perGroup*outputs + o) * per
		for k := range plane {
			f(row + c%perGroup*plane + k)
		}
	}
}

// store puts the layer's weights and bias into the model.
func (net *Network) store(l *layer) {
	b := onnx.NewBuilder(net.model)
	l.node.Inputs = []string{
		l.node.Inputs[0],
		b.Initializer(onnx.NewTensor(l.name()+"/equalised", l.weight, l.dims()...)),
		b.Initializer(onnx.NewTensor(l.name()+"/equalised.bias", l.bias, len(l.bias))),
	}
	net.model.Graph.Prune()
	net.index = onnx.NewIndex(&net.model.Graph)
}
