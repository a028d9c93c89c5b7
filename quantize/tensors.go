package quantize

import (
	"github.com/robustnet-edge/robustnet/onnx"
)

// mover tells whether a node gives out the values that it takes, in another order or place or
// between each other, so that one grid serves its inputs and its output.
func mover(n *onnx.Node) bool {
	return relocates(n) || is(n, "Concat", "MaxPool") || is(n, "Resize") && onnx.AttributeOf(n, "mode", "nearest") != "cubic"
}

// relocates tells whether a node only copies values: it runs on levels as it does on numbers.
func relocates(n *onnx.Node) bool {
	return is(n, "Expand", "Slice", "Gather", "Split", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")
}

// combines tells whether a node calculates from its inputs what has a grid of its own.
func combines(n *onnx.Node) bool { return is(n, "Add", "GlobalAveragePool") }

// activations are the inputs of a mover or of a node that combines that are features: others
// are shapes, positions and constants.
func (net *Network) activations(n *onnx.Node) []string {
	inputs := n.Inputs
	if len(inputs) > 0 && !is(n, "Concat", "Add") {
		inputs = inputs[:1]
	}
	for _, name := range inputs {
		if net.index.Constant(name) != nil {
			return nil // such as the ε of a variance
		}
	}
	return inputs
}

// quantised returns the tensors that hold levels when the layers that o chooses run in
// integers: what these read and write, and what movers and additions make of it.
func (net *Network) quantised(o Options) map[string]bool {
	set := map[string]bool{}
	for _, l := range net.layers {
		if o.quantised(l) {
			set[l.input()], set[l.output()] = true, true
		}
	}
	if net.picture != nil {
		delete(set, net.picture.tensor) // its levels are the picture's bytes
	}
	for _, n := range net.model.Graph.Nodes {
		if out, ok := net.carries(n, set); ok {
			for _, name := range out {
				set[name] = true
			}
		}
	}
	return set
}

// carries tells whether a node that is no layer runs in integers, because all its features are
// levels, and which tensors it then makes levels.
func (net *Network) carries(n *onnx.Node, set map[string]bool) (outputs []string, ok bool) {
	if !mover(n) && !combines(n) {
		return nil, false
	}
	features := net.activations(n)
	for _, name := range features {
		if !set[name] {
			return nil, false
		}
	}
	if len(features) == 0 {
		return nil, false
	}
	if combines(n) {
		if next := net.activation(n); next != nil {
			return next.Outputs, true
		}
	}
	return n.Outputs, true
}

// Tensors names what has to be observed to quantise any of the layers, in the graph's order.
func (net *Network) Tensors() []string {
	set := net.quantised(Options{})
	if net.picture != nil {
		set[net.picture.tensor] = true // TensorRT has a grid for it
	}
	var names []string
	for _, n := range net.model.Graph.Nodes {
		for _, name := range n.Outputs {
			if set[name] {
				names = append(names, name)
			}
		}
	}
	return names
}

// groups returns for each tensor that shares its grid with others the first of them.
func (net *Network) groups() map[string]string {
	set := net.quantised(Options{})
	leader := map[string]string{}
	var find func(name string) string
	find = func(name string) string {
		if up, ok := leader[name]; ok && up != name {
			return find(up)
		}
		return name
	}
	for _, n := range net.model.Graph.Nodes {
		outputs, ok := net.carries(n, set)
		if !ok || !mover(n) {
			continue
		}
		first := find(net.activations(n)[0])
		for _, name := range append(net.activations(n)[1:len(net.activations(n)):len(net.activations(n))], outputs...) {
			leader[find(name)] = first
		}
	}
	all := map[string]string{}
	for name := range set {
		all[name] = find(name)
	}
	return all
}

// Probe returns the prepared model with the tensors that [Network.Tensors] names as its only
// outputs.
func (net *Network) Probe() *onnx.Model { return net.model.WithOutputs(named(net.Tensors())...) }

// named returns outputs of which nothing but the name is said.
func named(names []string) (values []onnx.Value) {
	for _, name := range names {
		values = append(values, onnx.Value{Name: name})
	}
	return values
}
