package onnx

import (
	"fmt"
	"slices"
)

// Index looks up who makes and who reads the tensors of a graph. It shows the graph as it was
// when the index was made.
type Index struct {
	producers map[string]*Node
	readers   map[string][]*Node
	constants map[string]*Tensor
	outputs   map[string]bool
}

// NewIndex returns the index of a graph.
func NewIndex(g *Graph) *Index {
	x := &Index{map[string]*Node{}, map[string][]*Node{}, map[string]*Tensor{}, map[string]bool{}}
	for _, t := range g.Initializers {
		x.constants[t.Name] = t
	}
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			x.producers[name] = n
		}
		for _, name := range n.Inputs {
			if name != "" {
				x.readers[name] = append(x.readers[name], n)
			}
		}
	}
	for _, v := range g.Outputs {
		x.outputs[v.Name] = true
	}
	return x
}

// Producer returns the node whose output the tensor is, nil for inputs and constants.
func (x *Index) Producer(tensor string) *Node { return x.producers[tensor] }

// Readers returns the nodes that take the tensor, in the graph's order, once for each time.
func (x *Index) Readers(tensor string) []*Node { return x.readers[tensor] }

// Constant returns the initialiser of that name, nil if there is none.
func (x *Index) Constant(tensor string) *Tensor { return x.constants[tensor] }

// IsOutput tells whether the tensor is an output of the graph.
func (x *Index) IsOutput(tensor string) bool { return x.outputs[tensor] }

// OnlyReader returns the node that alone takes the tensor, nil if others or the graph's user
// do, too.
func (x *Index) OnlyReader(tensor string) *Node {
	if readers := x.readers[tensor]; len(readers) == 1 && !x.outputs[tensor] {
		return readers[0]
	}
	return nil
}

// Clone returns a copy of the model that can be changed without changing the model. The bytes
// of tensors are shared; replace them, do not write into them.
func (m *Model) Clone() *Model {
	c := *m
	c.OtherOpsets, c.Metadata = slices.Clone(m.OtherOpsets), slices.Clone(m.Metadata)
	g := &c.Graph
	g.Inputs, g.Outputs, g.Values = slices.Clone(g.Inputs), slices.Clone(g.Outputs), slices.Clone(g.Values)
	g.Nodes, g.Initializers = slices.Clone(g.Nodes), slices.Clone(g.Initializers)
	for i, n := range g.Nodes {
		g.Nodes[i] = n.Clone()
	}
	for i, t := range g.Initializers {
		copied := *t
		g.Initializers[i] = &copied
	}
	return &c
}

// Clone returns a copy of the node. Values of attributes that are lists or tensors are shared.
func (n *Node) Clone() *Node {
	c := *n
	c.Inputs, c.Outputs, c.Attributes = slices.Clone(n.Inputs), slices.Clone(n.Outputs), slices.Clone(n.Attributes)
	return &c
}

// Input returns the name of the i-th input, empty if it is left out.
func (n *Node) Input(i int) string {
	if i >= len(n.Inputs) {
		return ""
	}
	return n.Inputs[i]
}

// AttributeOf returns the value of the attribute, or the fallback if the node has none of this
// name and type. T is one of the types that [Attribute] lists.
func AttributeOf[T any](n *Node, name string, fallback T) T {
	for _, a := range n.Attributes {
		if v, ok := a.Value.(T); ok && a.Name == name {
			return v
		}
	}
	return fallback
}

// SetAttribute replaces the node's attribute of the same name, or adds it.
func (n *Node) SetAttribute(a Attribute) {
	at := slices.IndexFunc(n.Attributes, func(old Attribute) bool { return old.Name == a.Name })
	if at < 0 {
		n.Attributes = append(n.Attributes, a)
		return
	}
	n.Attributes[at] = a
}

// RemoveAttribute removes the attributes of that name.
func (n *Node) RemoveAttribute(name string) {
	n.Attributes = slices.DeleteFunc(n.Attributes, func(a Attribute) bool { return a.Name == name })
}

// WithOutputs returns a copy of the model whose outputs are the tensors given, without what none
// of them depends on.
func (m *Model) WithOutputs(outputs ...Value) *Model {
	c := m.Clone()
	c.Graph.Outputs = outputs
	c.Graph.Prune()
	return c
}

// Prune removes nodes, initialisers and descriptions of tensors on which no output depends.
func (g *Graph) Prune() {
	x, needed := NewIndex(g), map[string]bool{}
	used := map[*Node]bool{}
	var open []string
	for _, v := range g.Outputs {
		open = append(open, v.Name)
	}
	for len(open) > 0 {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		if name == "" || needed[name] {
			continue
		}
		needed[name] = true
		if n := x.Producer(name); n != nil && !used[n] {
			used[n] = true
			open = append(open, n.Inputs...)
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool { return !used[n] })
	g.Initializers = slices.DeleteFunc(g.Initializers, func(t *Tensor) bool { return !needed[t.Name] })
	g.Values = slices.DeleteFunc(g.Values, func(v Value) bool { return !needed[v.Name] })
}

// Float32s returns a copy of the tensor's elements, which are float32 or float16.
func Float32s(t *Tensor) ([]float32, error) {
	if t.Elem != Float16 {
		return Values[float32](t)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("read tensor %q: %w", t.Name, err)
	}
	return fromHalf(t.Raw), nil
}
