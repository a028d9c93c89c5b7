package quantize

import (
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// prepare returns a copy of the model in the form that the rest of the package reads: constants
// are initialisers, weights are float32, what nothing depends on is gone.
func prepare(m *onnx.Model) (*onnx.Model, error) {
	m = m.Clone()
	g := &m.Graph
	constants := map[string]*onnx.Tensor{}
	for _, t := range g.Initializers {
		constants[t.Name] = t
	}
	kept := g.Nodes[:0]
	for _, n := range g.Nodes {
		folded, err := fold(n, constants)
		if err != nil {
			return nil, fmt.Errorf("prepare node %s: %w", n.Name, err)
		}
		if folded == nil {
			kept = append(kept, n)
			continue
		}
		folded.Name = n.Outputs[0]
		constants[folded.Name] = folded
		g.Initializers = append(g.Initializers, folded)
	}
	g.Nodes = kept
	dropRelus(g)
	nameNodes(g)
	shapeBounds(g)
	g.Prune()
	return m, nil
}

// dropRelus removes each Relu that alone is read by a Clip from 0 on, which does the same.
func dropRelus(g *onnx.Graph) {
	x := onnx.NewIndex(g)
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *onnx.Node) bool {
		if !is(n, "Relu") || len(n.Inputs) != 1 || len(n.Outputs) != 1 {
			return false
		}
		next := x.OnlyReader(n.Outputs[0])
		if low, ok := scalarOf(x, input(next, 1)); !is(next, "Clip") || !ok || low != 0 {
			return false
		}
		next.Inputs[0] = n.Inputs[0]
		return true
	})
}

// input is [onnx.Node.Input] of a node that may be missing.
func input(n *onnx.Node, i int) string {
	if n == nil {
		return ""
	}
	return n.Input(i)
}

// shapeBounds gives the bounds of Clip no dimensions: with one, they are taken and silently keep
// ONNX Runtime from fusing.
func shapeBounds(g *onnx.Graph) {
	x := onnx.NewIndex(g)
	for _, n := range g.Nodes {
		if !is(n, "Clip") {
			continue
		}
		for _, i := range []int{1, 2} {
			name := n.Input(i)
			v, ok := scalarOf(x, name)
			if !ok || len(x.Constant(name).Dims) == 0 {
				continue
			}
			m := &onnx.Model{Graph: *g}
			n.Inputs[i] = onnx.NewBuilder(m).Initializer(onnx.NewTensor(name+"/scalar", []float32{v}))
			*g = m.Graph
		}
	}
}

// fold returns the constant that a node comes down to, nil if it is none.
func fold(n *onnx.Node, constants map[string]*onnx.Tensor) (*onnx.Tensor, error) {
	if n.Domain != "" {
		return nil, nil
	}
	switch n.Op {
	case "Constant":
		if t := onnx.AttributeOf[*onnx.Tensor](n, "value", nil); t != nil {
			copied := *t
			return &copied, nil
		}
	case "Identity":
		if t := constants[n.Input(0)]; t != nil {
			copied := *t
			return &copied, nil
		}
	case "Cast":
		t := constants[n.Input(0)]
		if t == nil || t.Elem != onnx.Float16 || onnx.ElemType(onnx.AttributeOf[int64](n, "to", 0)) != onnx.Float32 {
			return nil, nil
		}
		values, err := onnx.Float32s(t)
		if err != nil {
			return nil, err
		}
		wide := onnx.NewTensor(t.Name, values)
		wide.Dims = t.Dims
		return wide, nil
	}
	return nil, nil
}

// nameNodes gives each node without a name, or with one that another has, one of its own:
// reports and --keep speak of layers by name.
func nameNodes(g *onnx.Graph) {
	taken := map[string]bool{"": true}
	for _, n := range g.Nodes {
		if taken[n.Name] && len(n.Outputs) > 0 {
			n.Name = n.Outputs[0]
		}
		for taken[n.Name] {
			n.Name += "_"
		}
		taken[n.Name] = true
	}
}

// floats returns the values of a float32 constant, nil if the tensor is none.
func floats(x *onnx.Index, name string) []float32 {
	t := x.Constant(name)
	if t == nil || t.Elem != onnx.Float32 {
		return nil
	}
	values, err := onnx.Values[float32](t)
	if err != nil {
		return nil // the model was checked when it was read
	}
	return values
}

// scalarOf returns the only value of a float32 constant.
func scalarOf(x *onnx.Index, name string) (v float32, ok bool) {
	if values := floats(x, name); len(values) == 1 {
		return values[0], true
	}
	return 0, false
}

// is tells whether a node is one of the operators of the default set.
func is(n *onnx.Node, ops ...string) bool {
	return n != nil && n.Domain == "" && slices.Contains(ops, n.Op)
}
