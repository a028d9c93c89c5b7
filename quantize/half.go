package quantize

import (
	"fmt"
	"maps"
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// halfOpset is the first operator set with QuantizeLinear in float16.
const halfOpset = 19

// single are operators that stay in float32: sums over a whole picture do not fit into
// float16's eleven bits.
var single = []string{"InstanceNormalization", "GlobalAveragePool", "ReduceMean", "ReduceSum", "ReduceL2", "Pow", "Sqrt", "Div", "MatMul"}

// neutral are operators that give out numbers which are not features, or take any type.
var neutral = []string{"Shape", "ArgMax", "Cast", "ConstantOfShape"}

// halve converts a graph of float32 to float16 wherever it holds features, with Cast at the
// borders, and to the operator set that this takes.
func halve(m *onnx.Model, wide map[string]bool) (*onnx.Model, error) {
	h := &halving{model: m, index: onnx.NewIndex(&m.Graph), types: map[string]onnx.ElemType{}, casts: map[string]string{}, halves: map[string]string{}}
	old := m.Graph.Nodes
	h.Builder = onnx.NewBuilder(m)
	m.Graph.Nodes, m.Graph.Values = nil, nil
	for _, v := range m.Graph.Inputs {
		h.types[v.Name] = v.Elem
	}
	for _, t := range m.Graph.Initializers {
		h.types[t.Name] = t.Elem
	}
	h.aside = asides(m, old)
	wide = spread(wide, old, h.index)
	for _, n := range swapTransposes(old, h.index) {
		if err := upgrade(n, h.Builder); err != nil {
			return nil, err
		}
		h.convert(n, wide)
	}
	h.outputs()
	m.Opset = halfOpset
	m.IR = max(m.IR, 9) // the format's version with operator set 19
	m.Graph.Prune()
	return m, nil
}

// halving is the state of a conversion.
type halving struct {
	*onnx.Builder
	model *onnx.Model
	index *onnx.Index
	types map[string]onnx.ElemType // of tensors of the new graph
	aside map[*onnx.Node]bool
	// casts are the tensors converted to the other of the two types, by name, and halves the
	// float16 copies of constants.
	casts, halves map[string]string
}

// convert adds a node in the type that suits it.
func (h *halving) convert(n *onnx.Node, wide map[string]bool) {
	want := onnx.Float16
	isWide := func(name string) bool { return wide[name] }
	if n.Domain != "" || slices.Contains(single, n.Op) || slices.ContainsFunc(n.Inputs, isWide) || slices.ContainsFunc(n.Outputs, isWide) || h.aside[n] || h.whitens(n) {
		want = onnx.Float32
	}
	switch {
	case is(n, "Cast") && len(n.Inputs) == 1 && len(n.Outputs) == 1:
		h.cast(n)
		return
	case !slices.Contains(neutral, n.Op):
		for i, name := range n.Inputs {
			if i > 0 && is(n, "Resize") {
				break // its scales are float32 for every type of feature
			}
			n.Inputs[i] = h.as(name, want)
		}
	}
	h.model.Graph.Nodes = append(h.model.Graph.Nodes, n)
	for _, name := range n.Outputs {
		h.types[name] = h.typeOf(n)
	}
}

// asides returns the nodes on which neither a convolution nor the choice of classes depends: they
// are the statistics of the style.
func asides(m *onnx.Model, nodes []*onnx.Node) map[*onnx.Node]bool {
	leads, aside := map[string]bool{}, map[*onnx.Node]bool{}
	for _, v := range m.Graph.Outputs {
		leads[v.Name] = v.Elem != onnx.Float32 || len(v.Shape) == 4 // masks and logits
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !is(n, "Conv", "ArgMax") && !slices.ContainsFunc(n.Outputs, func(name string) bool { return leads[name] }) {
			aside[n] = true
			continue
		}
		for _, name := range n.Inputs {
			leads[name] = true
		}
	}
	return aside
}

// spread adds to the wide tensors those that activations make them of, whose values nobody has
// observed, those that are made of them by rounding, and the weights of convolutions that read or
// make one, so that no Cast stands between these and their levels.
func spread(wide map[string]bool, nodes []*onnx.Node, x *onnx.Index) map[string]bool {
	all := maps.Clone(wide)
	for _, n := range nodes {
		if is(n, "Relu", "Clip") && len(n.Inputs) > 0 && len(n.Outputs) > 0 && all[n.Outputs[0]] {
			all[n.Inputs[0]] = true
		}
	}
	for _, n := range nodes {
		if is(n, "DequantizeLinear") && len(n.Inputs) > 0 && len(n.Outputs) > 0 {
			if q := x.Producer(n.Inputs[0]); is(q, "QuantizeLinear") && len(q.Inputs) > 0 && all[q.Inputs[0]] {
				all[n.Outputs[0]] = true
			}
		}
	}
	for _, n := range nodes {
		touches := func(names []string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return all[name] })
		}
		if is(n, "Conv") && len(n.Inputs) > 1 && (touches(n.Inputs[:1]) || touches(n.Outputs)) {
			all[n.Inputs[1]] = true
		}
	}
	return all
}

// whitens tells whether a node goes on with numbers of float32, as whitening by matrices does.
func (h *halving) whitens(n *onnx.Node) bool {
	if !is(n, "Sub", "Mul", "Add", "Concat", "Flatten", "Unsqueeze", "Squeeze", "Reshape", "Transpose") {
		return false
	}
	return slices.ContainsFunc(n.Inputs, func(name string) bool {
		p := h.index.Producer(name)
		return p != nil && h.types[name] == onnx.Float32 && !is(p, "Cast", "InstanceNormalization")
	})
}

// cast adds a Cast. What became float32 becomes float16, by way of which alone TensorRT makes
// bytes of class ids.
func (h *halving) cast(n *onnx.Node) {
	to := onnx.ElemType(onnx.AttributeOf[int64](n, "to", 0))
	switch {
	case to == onnx.Float32:
		to = onnx.Float16
	case to == onnx.Uint8 && h.types[n.Inputs[0]] == onnx.Int64:
		n.Inputs[0] = h.castTo(n.Inputs[0], onnx.Float16)
	}
	n.SetAttribute(onnx.Int("to", int64(to)))
	h.model.Graph.Nodes = append(h.model.Graph.Nodes, n)
	h.types[n.Outputs[0]] = to
}

// typeOf is the type of a converted node's outputs.
func (h *halving) typeOf(n *onnx.Node) onnx.ElemType {
	switch n.Op {
	case "Shape", "ArgMax", "NonZero":
		return onnx.Int64
	case "QuantizeLinear":
		return h.types[n.Input(2)]
	case "DequantizeLinear":
		return h.types[n.Input(1)]
	}
	for _, name := range n.Inputs {
		if t, ok := h.types[name]; ok && name != "" {
			return t
		}
	}
	return onnx.Float32
}

// as returns a tensor in float16 or float32 if it is one of them in the other.
func (h *halving) as(name string, want onnx.ElemType) string {
	have := h.types[name]
	if name == "" || have == want || have != onnx.Float16 && have != onnx.Float32 {
		return name
	}
	if t := h.index.Constant(name); t != nil && want == onnx.Float16 {
		return h.constant(t)
	}
	return h.castTo(name, want)
}

func (h *halving) castTo(name string, to onnx.ElemType) string {
	key := fmt.Sprint(name, "/", to)
	if h.casts[key] == "" {
		h.casts[key] = h.Node("Cast", key, []string{name}, onnx.Int("to", int64(to)))
		h.types[h.casts[key]] = to
	}
	return h.casts[key]
}

// constant returns the float16 copy of a constant.
func (h *halving) constant(t *onnx.Tensor) string {
	if h.halves[t.Name] == "" {
		values, err := onnx.Values[float32](t)
		if err != nil {
			return t.Name // the model was checked when it was read
		}
		half := onnx.NewHalfTensor(t.Name+"/half", values)
		half.Dims = t.Dims
		h.halves[t.Name] = h.Initializer(half)
		h.types[h.halves[t.Name]] = onnx.Float16
	}
	return h.halves[t.Name]
}

// outputs gives the graph's outputs the types that they had.
func (h *halving) outputs() {
	for _, v := range h.model.Graph.Outputs {
		have := h.types[v.Name]
		if have == v.Elem || v.Elem != onnx.Float32 || have != onnx.Float16 {
			continue
		}
		inner := h.rename(v.Name)
		h.model.Graph.Nodes = append(h.model.Graph.Nodes, &onnx.Node{
			Name: v.Name + "/float", Op: "Cast", Inputs: []string{inner}, Outputs: []string{v.Name},
			Attributes: []onnx.Attribute{onnx.Int("to", int64(onnx.Float32))},
		})
	}
}

// rename gives a tensor of the new graph another name, so that an output can take its.
func (h *halving) rename(name string) string {
	inner := name + "/half"
	for _, n := range h.model.Graph.Nodes {
		for i := range n.Inputs {
			if n.Inputs[i] == name {
				n.Inputs[i] = inner
			}
		}
		for i := range n.Outputs {
			if n.Outputs[i] == name {
				n.Outputs[i] = inner
			}
		}
	}
	return inner
}

// swapTransposes puts a Cast of the picture before its Transpose: TensorRT does nothing with
// bytes but convert them.
func swapTransposes(nodes []*onnx.Node, x *onnx.Index) []*onnx.Node {
	swapped := slices.Clone(nodes)
	for i, n := range swapped {
		if !is(n, "Transpose") || len(n.Inputs) != 1 || len(n.Outputs) != 1 || x.Producer(n.Inputs[0]) != nil || x.Constant(n.Inputs[0]) != nil {
			continue
		}
		cast := x.OnlyReader(n.Outputs[0])
		if !is(cast, "Cast") || len(cast.Inputs) != 1 || len(cast.Outputs) != 1 {
			continue
		}
		at := slices.Index(swapped, cast)
		between := n.Outputs[0]
		cast.Inputs[0], cast.Outputs[0], n.Inputs[0], n.Outputs[0] = n.Inputs[0], between, between, cast.Outputs[0]
		swapped[i], swapped[at] = cast, n
	}
	return swapped
}

// compatible are operators whose meaning is the same in operator sets 17 and 19 for all
// attributes that the older one has.
var compatible = []string{
	"Add", "ArgMax", "AveragePool", "Cast", "Clip", "Concat", "Conv", "ConstantOfShape", "DequantizeLinear", "Div", "Equal", "Expand", "Flatten",
	"Gather", "Gemm", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LeakyRelu", "MatMul", "MaxPool",
	"Mul", "Pad", "Pow", "PRelu", "QuantizeLinear", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze",
	"Sub", "Tanh", "Transpose", "Unsqueeze", "Where", "Reciprocal", "Exp", "ReduceSum",
}

// upgrade makes a node of operator set 17 one of [halfOpset].
func upgrade(n *onnx.Node, b *onnx.Builder) error {
	switch {
	case n.Domain != "" || slices.Contains(compatible, n.Op):
		return nil
	case is(n, "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"):
		if axes := onnx.AttributeOf[[]int64](n, "axes", nil); axes != nil {
			n.RemoveAttribute("axes")
			n.Inputs = append(n.Inputs, b.Initializer(onnx.NewTensor(n.Name+"/axes", axes, len(axes))))
		}
		return nil
	case is(n, "Split") && n.Input(1) != "":
		return nil
	}
	return fmt.Errorf("node %s is %s, which is not known to mean the same in operator set %d; export the model without it", clip(n.Name), n.Op, halfOpset)
}
