// Package inspect finds out what a model is made of, above all in which precision its layers
// calculate. It needs nothing but the model: no runtime, no card.
package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Summary is what is known of a model.
type Summary struct {
	Flavour Flavour `json:"flavour"`
	// Opset is the version of the operator set ai.onnx.
	Opset   int64  `json:"opset"`
	Nodes   int    `json:"nodes"`
	Inputs  []Port `json:"inputs"`
	Outputs []Port `json:"outputs"`
	// Parameters are the elements of all constants: weights, and also scales, zero-points and
	// shapes. Bytes is what they take.
	Parameters int64 `json:"parameters"`
	Bytes      int64 `json:"parameter_bytes"`
	// Constants are the parameters by element type, those that take most bytes first.
	Constants []Constants `json:"constants"`
	// Convolutions is how many there are, products with constant matrices among them, Integer how
	// many have 8-bit weights.
	Convolutions int `json:"convolutions"`
	Integer      int `json:"integer_convolutions"`
	// Layers are the convolutions in the graph's order.
	Layers []Layer `json:"layers,omitempty"`
}

// Port is an input or output of the model.
type Port struct {
	Name string `json:"name"`
	// Type is that of its elements, such as "uint8".
	Type string `json:"type"`
	// Shape has -1 for dimensions that are not fixed; it is null where none is given.
	Shape []int64 `json:"shape"`
}

// Constants are the parameters of one element type.
type Constants struct {
	Type       string `json:"type"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// Layer is a convolution, or the product with a constant matrix that does the same.
type Layer struct {
	// Name is the node's, or its output's where it has none.
	Name string `json:"name"`
	// Shape is that of the weights: outputs, inputs of a group, kernel; inputs and outputs of a
	// matrix. It is null where they are no constants.
	Shape []int64 `json:"shape"`
	// Weight and Input are the element types of the levels from which DequantizeLinear makes
	// what the convolution reads, or of what it reads itself where none is in front of it.
	Weight string `json:"weight"`
	Input  string `json:"input"`
	// Output is the type of the levels that QuantizeLinear makes of the output, or of the
	// activation function that alone reads it, if nothing else reads this, or else its own.
	Output string `json:"output"`
}

// Inspect summarises a model.
func Inspect(m *onnx.Model) Summary {
	s := Summary{Opset: m.Opset, Nodes: len(m.Graph.Nodes), Inputs: ports(m.Graph.Inputs), Outputs: ports(m.Graph.Outputs)}
	s.count(&m.Graph)
	t := newTrace(&m.Graph)
	for _, n := range m.Graph.Nodes {
		if l, ok := t.layer(n); ok {
			s.Layers = append(s.Layers, l)
			if l.integer() {
				s.Integer++
			}
		}
	}
	s.Convolutions = len(s.Layers)
	s.Flavour = s.flavour(t)
	return s
}

func ports(values []onnx.Value) []Port {
	list := []Port{}
	for _, v := range values {
		list = append(list, Port{v.Name, v.Elem.String(), v.Shape})
	}
	return list
}

// count adds up the constants.
func (s *Summary) count(g *onnx.Graph) {
	byType := map[onnx.ElemType]*Constants{}
	add := func(t *onnx.Tensor) {
		c := byType[t.Elem]
		if c == nil {
			c = &Constants{Type: t.Elem.String()}
			byType[t.Elem] = c
		}
		elements := int64(1)
		for _, d := range t.Dims {
			elements *= d // the model was checked when it was read: it fits
		}
		c.Parameters += elements
		c.Bytes += int64(len(t.Raw))
	}
	for _, t := range g.Initializers {
		add(t)
	}
	for _, n := range g.Nodes {
		if t := onnx.AttributeOf[*onnx.Tensor](n, "value", nil); t != nil && is(n, "Constant") {
			add(t)
		}
	}
	s.Constants = []Constants{}
	for _, c := range byType {
		s.Constants = append(s.Constants, *c)
		s.Parameters += c.Parameters
		s.Bytes += c.Bytes
	}
	slices.SortFunc(s.Constants, func(a, b Constants) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type)) })
}

// Size writes a shape, such as "256×304×3×3", "?" for what is not fixed.
func Size(shape []int64) string {
	if shape == nil {
		return "?"
	}
	sides := make([]string, len(shape))
	for i, d := range shape {
		sides[i] = fmt.Sprint(d)
		if d < 0 {
			sides[i] = "?"
		}
	}
	return cmp.Or(strings.Join(sides, "×"), "scalar")
}
