package onnx

import "fmt"

// Builder appends to a model's graph and keeps names apart. The names depend on nothing
// but the order of calls.
type Builder struct {
	graph *Graph
	taken map[string]bool
}

// NewBuilder returns a builder that continues the model's graph. Names of outputs that are
// listed already stay free for the nodes that are to compute them.
func NewBuilder(m *Model) *Builder {
	b := &Builder{&m.Graph, map[string]bool{"": true}}
	for _, v := range m.Graph.Inputs {
		b.taken[v.Name] = true
	}
	for _, t := range m.Graph.Initializers {
		b.taken[t.Name] = true
	}
	for _, n := range m.Graph.Nodes {
		b.taken[n.Name] = true
		for _, name := range n.Outputs {
			b.taken[name] = true
		}
	}
	return b
}

// Input adds an input of the graph and returns its name, which must be free.
func (b *Builder) Input(v Value) string {
	b.taken[v.Name] = true
	b.graph.Inputs = append(b.graph.Inputs, v)
	return v.Name
}

// Initializer adds a constant and returns its name, which gets a number if it is taken.
func (b *Builder) Initializer(t *Tensor) string {
	t.Name = b.free(t.Name)
	b.graph.Initializers = append(b.graph.Initializers, t)
	return t.Name
}

// Node adds a node with one output. Both have the name, or the operator's name if it is
// empty, with a number if that is taken. It returns the name.
func (b *Builder) Node(op, name string, inputs []string, attributes ...Attribute) string {
	if name == "" {
		name = op
	}
	name = b.free(name)
	b.graph.Nodes = append(b.graph.Nodes, &Node{
		Name: name, Op: op, Inputs: inputs, Outputs: []string{name}, Attributes: attributes,
	})
	return name
}

// free returns the name, numbered if it is taken, and takes it.
func (b *Builder) free(name string) string {
	numbered := name
	for i := 2; b.taken[numbered]; i++ {
		numbered = fmt.Sprintf("%s.%d", name, i)
	}
	b.taken[numbered] = true
	return numbered
}
