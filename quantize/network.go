package quantize

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Network is a prepared model with what quantisation has to know of its graph.
type Network struct {
	model *onnx.Model
	index *onnx.Index
	// layers are the convolutions, in the graph's order.
	layers []*layer
	byNode map[*onnx.Node]*layer
	// picture is the way from the input to the first convolutions, if it is known.
	picture *picture
	// factors are those by which channels were multiplied, by tensor; nil unless equalised.
	factors map[string][]float64
}

// layer is a convolution with constant weights, together with the activation that alone reads
// its output.
type layer struct {
	node       *onnx.Node
	activation *onnx.Node // Relu or Clip, or nil
	// head says that no other convolution follows: it scores classes and stays in float.
	head bool
	// weight has the shape outputs × inputs of a group × kernel.
	weight, bias []float32
	shape        []int64
}

// name is that of the layer in reports.
func (l *layer) name() string { return l.node.Name }

// input and output are the layer's tensors.
func (l *layer) input() string { return l.node.Inputs[0] }

func (l *layer) output() string {
	if l.activation != nil {
		return l.activation.Outputs[0]
	}
	return l.node.Outputs[0]
}

func (l *layer) outputs() int { return int(l.shape[0]) }

// pointwise tells whether each pixel of the output is of the same pixel of the input alone.
func (l *layer) pointwise() bool {
	w := l.window(1, 1)
	pads := onnx.AttributeOf(l.node, "pads", []int64{0, 0, 0, 0})
	return w.kernel == [2]int{1, 1} && w.stride == [2]int{1, 1} && l.groups() == 1 && !slices.ContainsFunc(pads, func(p int64) bool { return p != 0 })
}

// perOutput is the number of weights of one output channel.
func (l *layer) perOutput() int { return len(l.weight) / l.outputs() }

// Open reads a float model, which stays as it is. It is an error if it holds no convolution with
// constant weights, is quantised already, or has weights that are not finite.
func Open(m *onnx.Model) (*Network, error) {
	m, err := prepare(m)
	if err != nil {
		return nil, err
	}
	for _, n := range m.Graph.Nodes {
		if is(n, "QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger") {
			return nil, fmt.Errorf("the model is quantised already: node %s is %s; give the float model", n.Name, n.Op)
		}
	}
	net := &Network{model: m, index: onnx.NewIndex(&m.Graph), byNode: map[*onnx.Node]*layer{}}
	for _, n := range m.Graph.Nodes {
		if l := net.layerOf(n); l != nil {
			net.layers = append(net.layers, l)
			net.byNode[n] = l
		}
	}
	for _, l := range net.layers {
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("node %s: %w", clip(l.name()), err)
		}
	}
	if len(net.layers) == 0 {
		return nil, errors.New("the model has no convolution with constant weights: there is nothing to quantise")
	}
	net.findHeads()
	net.picture = net.findPicture()
	return net, nil
}

// check refuses weights that no training that worked can have left.
func (l *layer) check() error {
	for _, values := range [][]float32{l.weight, l.bias} {
		for i, v := range values {
			if v-v != 0 {
				return fmt.Errorf("its weight or bias %d is %v; the training diverged or the file is damaged", i, v)
			}
		}
	}
	if _, ok := l.inputs(); !ok {
		return fmt.Errorf("%d groups do not divide its %d outputs; the file is damaged", l.groups(), l.outputs())
	}
	return nil
}

// layerOf returns the layer of a node, nil if it is none.
func (net *Network) layerOf(n *onnx.Node) *layer {
	if !is(n, "Conv") || len(n.Inputs) < 2 || len(n.Outputs) != 1 {
		return nil
	}
	l := &layer{node: n, weight: floats(net.index, n.Inputs[1])}
	if len(l.weight) == 0 || net.index.Producer(n.Inputs[0]) == nil || len(net.index.Constant(n.Inputs[1]).Dims) != 4 {
		return nil
	}
	l.shape = net.index.Constant(n.Inputs[1]).Dims
	l.bias = make([]float32, l.outputs())
	if name := n.Input(2); name != "" {
		if l.bias = floats(net.index, name); len(l.bias) != l.outputs() {
			return nil
		}
	}
	l.activation = net.activation(n)
	return l
}

// activation returns the Relu, or the Clip with constant bounds around zero, that alone reads a
// node's output.
func (net *Network) activation(n *onnx.Node) *onnx.Node {
	if len(n.Outputs) != 1 {
		return nil
	}
	next := net.index.OnlyReader(n.Outputs[0])
	if next == nil || len(next.Outputs) != 1 {
		return nil
	}
	if is(next, "Relu") {
		return next
	}
	if !is(next, "Clip") || next.Inputs[0] != n.Outputs[0] {
		return nil
	}
	low, lowOK := scalarOf(net.index, next.Input(1))
	high, highOK := scalarOf(net.index, next.Input(2))
	if lowOK && highOK && low <= 0 && high > 0 {
		return next
	}
	return nil
}

// findHeads marks the layers that no other layer follows.
func (net *Network) findHeads() {
	followed := map[string]bool{} // tensors on which a layer depends
	nodes := net.model.Graph.Nodes
	for i := len(nodes) - 1; i >= 0; i-- {
		n, leads := nodes[i], false
		for _, name := range n.Outputs {
			leads = leads || followed[name]
		}
		l := net.byNode[n]
		if l != nil {
			l.head = !leads
		}
		if leads || l != nil {
			for _, name := range n.Inputs {
				followed[name] = true
			}
		}
	}
}

// layer returns the layer of that name.
func (net *Network) layer(name string) *layer {
	for _, l := range net.layers {
		if l.name() == name {
			return l
		}
	}
	return nil
}
