package quantize

import (
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Equalise evens the channels of features that share a grid: in a layer it multiplies the
// weights of each output channel by a factor, and in the layer that alone reads them divides by
// it. Weights have a scale for each output channel, so that the first costs nothing, and where
// the reader is a depthwise convolution, neither does the second. It returns how many pairs of
// layers there were.
//
// That weights can be moved between layers is from Nagel et al., "Data-Free Quantization Through
// Weight Equalization and Bias Correction", ICCV 2019. Here the factors are chosen by what the
// channels were seen to hold, and pairs around a ReLU6 take part, whose bound then cuts a
// channel off where the pictures of the calibration ended, as its range would. Instance norms
// make it matter: a shallow channel of small values is as loud as any other behind them, and so
// is its rounding.
//
// Afterwards the values of tensors are others: calibrate again, with [Network.Factors] in
// [Table.Equalised].
func (net *Network) Equalise(table *Table) (pairs int, err error) {
	factors := map[string][]float64{}
	for _, pair := range net.pairs() {
		t := table.Tensors[pair[0].output()]
		if t == nil || len(t.Channels) != pair[0].outputs() {
			return 0, fmt.Errorf("the calibration table does not know the channels of %s: it is of another model; calibrate again", clip(pair[0].output()))
		}
		factors[pair[0].output()] = pair.factors(t.Channels)
	}
	return len(factors), net.ApplyFactors(factors)
}

// Factors are those of [Network.Equalise] by tensor, nil if it was not called.
func (net *Network) Factors() map[string][]float64 { return net.factors }

// ApplyFactors equalises by the factors of an earlier time. It is an error if they are not of
// this network.
func (net *Network) ApplyFactors(factors map[string][]float64) error {
	applied := 0
	for _, pair := range net.pairs() {
		of := factors[pair[0].output()]
		if of == nil {
			continue
		}
		if len(of) != pair[0].outputs() {
			return fmt.Errorf("equalise %s: there are %d factors for %d channels; calibrate again", clip(pair[0].output()), len(of), pair[0].outputs())
		}
		applied++
		pair.apply(of)
		net.store(pair[0])
		net.store(pair[1])
	}
	if applied != len(factors) {
		return fmt.Errorf("equalise: %d of %d tensors with factors are not between two layers; calibrate again", len(factors)-applied, len(factors))
	}
	net.factors = factors
	return nil
}

// pair is two layers of which the second alone reads the first.
type pair [2]*layer

// pairs returns those whose channels can be scaled.
func (net *Network) pairs() []pair {
	var all []pair
	for _, l := range net.layers {
		next := net.byNode[net.index.OnlyReader(l.output())]
		if next == nil || next.input() != l.output() {
			continue
		}
		if inputs, ok := next.inputs(); ok && inputs == l.outputs() && net.scales(l.activation) {
			all = append(all, pair{l, next})
		}
	}
	return all
}

// scales tells whether a factor above 0 can be moved across an activation.
func (net *Network) scales(activation *onnx.Node) bool {
	if activation == nil || activation.Op == "Relu" {
		return true
	}
	low, _ := scalarOf(net.index, activation.Input(1))
	return low == 0
}

// inputs is the number of channels that a layer reads, if its shape makes sense.
func (l *layer) inputs() (channels int, ok bool) {
	groups := l.groups()
	return int(l.shape[1]) * groups, groups > 0 && l.outputs()%groups == 0
}

// largestFactor bounds the factors of channels that hold next to nothing.
const largestFactor = 64

// factors returns those of the channels between the layers: as large as the widest channel
// allows or, if the reader is no depthwise convolution, as balances two noises. A factor f divides
// the noise that rounding the channel adds to the outputs, by the power of its weights, and
// multiplies that of rounding its weights, by the power of the channel.
func (p pair) factors(channels []Channel) []float64 {
	reader := p[1]
	widest := 0.0
	for _, c := range channels {
		widest = max(widest, c.Max)
	}
	step := widest / 127
	weightStep := 0.0 // mean square over the output channels
	for _, largest := range reader.largest() {
		weightStep += largest * largest / (127 * 127) / float64(reader.outputs())
	}
	all := make([]float64, len(channels))
	for c, channel := range channels {
		all[c] = 1
		if channel.Max == 0 {
			continue
		}
		f := min(widest/channel.Max, largestFactor)
		if weightStep == 0 {
			f = 1 // nobody listens
		} else if reader.shape[1] != 1 {
			power, readers := 0.0, 0.0
			reader.eachOfInput(c, func(at int) {
				power += float64(reader.weight[at]) * float64(reader.weight[at])
				readers++
			})
			balance := math.Sqrt(step / math.Sqrt(weightStep) * math.Sqrt(power/(readers*channel.Power)))
			f = min(f, max(balance, 1))
		}
		all[c] = f
	}
	return all
}

// apply multiplies the channels between the layers.
func (p pair) apply(factors []float64) {
	from, to := p[0], p[1]
	per := from.perOutput()
	for c, f := range factors {
		for i := c * per; i < (c+1)*per; i++ {
			from.weight[i] = float32(float64(from.weight[i]) * f)
		}
		from.bias[c] = float32(float64(from.bias[c]) * f)
		to.eachOfInput(c, func(at int) { to.weight[at] = float32(float64(to.weight[at]) / f) })
	}
}

// largest returns the largest magnitude of the weights of each output channel.
func (l *layer) largest() []float64 {
	largest, per := make([]float64, l.outputs()), l.perOutput()
	for i, w := range l.weight {
		largest[i/per] = max(largest[i/per], math.Abs(float64(w)))
	}
	return largest
}

// eachOfInput calls f with the places of the weights that read input channel c.
func (l *layer) eachOfInput(c int, f func(at int)) {
	perGroup, per := int(l.shape[1]), l.perOutput()
	plane := per / perGroup
	outputs := l.outputs() / l.groups() // of a group
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
