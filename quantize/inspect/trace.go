package inspect

import (
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// trace is what is known of the tensors of a graph.
type trace struct {
	index   *onnx.Index
	tensors map[string]tensor
	nodes   int
	// rounding lists the grids of activations.
	rounding []grid
	// integer says that there are convolutions of integers as operators of their own.
	integer bool
}

// tensor is what a reader of it sees.
type tensor struct {
	elem onnx.ElemType // 0 where it is not known
	// levels is the type of what DequantizeLinear made it from, 0 if nothing did.
	levels onnx.ElemType
	// constant is what it was made from by conversion alone, nil if there was more.
	constant *onnx.Tensor
}

// precision is the type of the levels, or else of the elements.
func (t tensor) precision() string {
	switch {
	case t.levels != 0:
		return t.levels.String()
	case t.elem != 0:
		return t.elem.String()
	}
	return "unknown"
}

// grid is that of a QuantizeLinear.
type grid struct {
	elem onnx.ElemType
	// zero says that the zero-point is 0.
	zero bool
}

// newTrace follows the tensors through the graph, whose nodes are ordered.
func newTrace(g *onnx.Graph) *trace {
	t := &trace{index: onnx.NewIndex(g), tensors: map[string]tensor{}, nodes: len(g.Nodes)}
	for _, v := range slices.Concat(g.Inputs, g.Values) {
		t.tensors[v.Name] = tensor{elem: v.Elem}
	}
	for _, c := range g.Initializers {
		t.tensors[c.Name] = tensor{elem: c.Elem, constant: c}
	}
	for _, n := range g.Nodes {
		out := t.output(n)
		for _, name := range n.Outputs {
			if out.elem != 0 || out.levels != 0 {
				t.tensors[name] = out
			}
		}
	}
	return t
}

// input is what is known of a node's i-th input.
func (t *trace) input(n *onnx.Node, i int) tensor { return t.tensors[n.Input(i)] }

// output is what is known of a node's outputs.
func (t *trace) output(n *onnx.Node) tensor {
	first := t.input(n, 0)
	switch n.Op {
	case "Constant":
		return constantOf(n)
	case "Identity":
		return first
	case "Cast":
		first.elem = onnx.ElemType(onnx.AttributeOf[int64](n, "to", 0))
		return first
	case "DequantizeLinear":
		return tensor{elem: t.input(n, 1).elem, levels: first.elem, constant: first.constant}
	case "QuantizeLinear":
		g := t.gridOf(n)
		t.rounding = append(t.rounding, g)
		return tensor{elem: g.elem}
	case "DynamicQuantizeLinear":
		return tensor{elem: onnx.Uint8}
	case "QLinearConv":
		t.integer = true
		return tensor{elem: t.input(n, 7).elem} // the zero-point of the output
	case "ConvInteger":
		t.integer = true
		return tensor{elem: onnx.Int32}
	case "Shape", "Size", "ArgMax", "ArgMin", "NonZero":
		return tensor{elem: onnx.Int64}
	case "Where":
		return tensor{elem: t.input(n, 1).elem}
	}
	for i := range n.Inputs {
		if known := t.input(n, i); known.elem != 0 {
			return tensor{elem: known.elem}
		}
	}
	return tensor{}
}

func constantOf(n *onnx.Node) tensor {
	if c := onnx.AttributeOf[*onnx.Tensor](n, "value", nil); c != nil {
		return tensor{elem: c.Elem, constant: c}
	}
	for _, a := range n.Attributes {
		switch a.Value.(type) {
		case float32, []float32:
			return tensor{elem: onnx.Float32}
		case int64, []int64:
			return tensor{elem: onnx.Int64}
		}
	}
	return tensor{}
}

// gridOf is the grid of a QuantizeLinear, whose zero-point says of which type the levels are.
func (t *trace) gridOf(n *onnx.Node) grid {
	if n.Input(2) == "" {
		return grid{onnx.ElemType(onnx.AttributeOf(n, "output_dtype", int64(onnx.Uint8))), true}
	}
	point := t.input(n, 2)
	zero := point.constant != nil && !slices.ContainsFunc(point.constant.Raw, func(b byte) bool { return b != 0 })
	return grid{point.elem, zero}
}

// layer returns the layer of a node that is a convolution, or that multiplies numbers made of
// levels by a constant matrix, which INT8 models for CPUs have in place of a convolution of 1×1.
func (t *trace) layer(n *onnx.Node) (l Layer, ok bool) {
	weight := t.input(n, 1)
	matrix := is(n, "MatMul") && t.input(n, 0).levels != 0 && weight.constant != nil && len(weight.constant.Dims) == 2
	if !is(n, "Conv", "QLinearConv", "ConvInteger") && !matrix || len(n.Outputs) == 0 {
		return l, false
	}
	if n.Op == "QLinearConv" {
		weight = t.input(n, 3)
	}
	l = Layer{Name: n.Name, Weight: weight.precision(), Input: t.input(n, 0).precision(), Output: t.result(n.Outputs[0])}
	if l.Name == "" {
		l.Name = n.Outputs[0]
	}
	if weight.constant != nil {
		l.Shape = weight.constant.Dims
	}
	return l, true
}

// result is the precision in which a convolution's output is handed on.
func (t *trace) result(name string) string {
	own := t.tensors[name]
	for range t.nodes { // a graph that was not checked may have a circle
		next := t.index.OnlyReader(name)
		if !is(next, "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh") || next.Input(0) != name || len(next.Outputs) != 1 {
			break
		}
		name = next.Outputs[0]
	}
	readers := t.index.Readers(name)
	other := func(n *onnx.Node) bool { return n.Op != "QuantizeLinear" || n.Input(0) != name }
	if len(readers) == 0 || t.index.IsOutput(name) || slices.ContainsFunc(readers, other) {
		return own.precision()
	}
	return tensor{elem: t.gridOf(readers[0]).elem}.precision()
}

// is tells whether a node is one of the operators of the default set.
func is(n *onnx.Node, ops ...string) bool {
	return n != nil && (n.Domain == "" || n.Domain == "ai.onnx") && slices.Contains(ops, n.Op)
}
