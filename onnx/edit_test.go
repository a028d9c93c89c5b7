package onnx

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

// editable is x → a → b → y, with c that nobody reads, and a constant for each.
func editable() *Model {
	node := func(name string, inputs ...string) *Node {
		return &Node{Name: name, Op: "Add", Inputs: inputs, Outputs: []string{name}, Attributes: []Attribute{Int("axis", 1), Ints("pads", 1, 2)}}
	}
	m := &Model{IR: 8, Opset: 17}
	m.Graph.Inputs = []Value{{Name: "x", Elem: Float32}}
	m.Graph.Outputs = []Value{{Name: "y", Elem: Float32}}
	m.Graph.Nodes = []*Node{node("a", "x", "k"), node("c", "a", "k2"), node("b", "a", "a"), node("y", "b", "", "k")}
	m.Graph.Initializers = []*Tensor{NewTensor("k", []float32{1}), NewTensor("k2", []float32{2})}
	m.Graph.Values = []Value{{Name: "a", Elem: Float32}, {Name: "c", Elem: Float32}}
	return m
}

func TestIndex(t *testing.T) {
	m := editable()
	x, nodes := NewIndex(&m.Graph), m.Graph.Nodes
	if x.Producer("b") != nodes[2] || x.Producer("x") != nil || x.Producer("k") != nil {
		t.Error("producers are wrong")
	}
	if got := x.Readers("a"); !slices.Equal(got, []*Node{nodes[1], nodes[2], nodes[2]}) {
		t.Errorf("%d readers of a, want c once and b twice", len(got))
	}
	if x.OnlyReader("b") != nodes[3] || x.OnlyReader("a") != nil || x.OnlyReader("y") != nil || x.OnlyReader("c") != nil {
		t.Error("only readers are wrong")
	}
	if x.Constant("k").Name != "k" || x.Constant("a") != nil || !x.IsOutput("y") || x.IsOutput("b") || len(x.Readers("")) != 0 {
		t.Error("constants or outputs are wrong")
	}
}

func TestPrune(t *testing.T) {
	m := editable()
	m.Graph.Prune()
	if len(m.Graph.Nodes) != 3 || len(m.Graph.Initializers) != 1 || len(m.Graph.Values) != 1 {
		t.Errorf("%d nodes, %d initialisers, %d values are left; want those of y: 3, 1, 1", len(m.Graph.Nodes), len(m.Graph.Initializers), len(m.Graph.Values))
	}
	if _, err := m.Marshal(); err != nil {
		t.Error(err)
	}
}

func TestWithOutputs(t *testing.T) {
	m := editable()
	b := m.WithOutputs(Value{Name: "b", Elem: Float32})
	if len(b.Graph.Nodes) != 2 || len(b.Graph.Outputs) != 1 || b.Graph.Outputs[0].Name != "b" {
		t.Errorf("%d nodes and outputs %v are left, want a and b, and the output b", len(b.Graph.Nodes), b.Graph.Outputs)
	}
	if !reflect.DeepEqual(m, editable()) {
		t.Error("the model itself has changed")
	}
}

func TestElements(t *testing.T) {
	for want, shapes := range map[int64][][]int64{
		24: {{1, 2, 3, 4}}, 1: {{}}, 1 << 48: {{1 << 24, 1 << 24}},
		0: {nil, {2, -1}, {0, 3}, {1 << 24, 1 << 25}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64}},
	} {
		for _, shape := range shapes {
			if got := (Value{Shape: shape}).Elements(); got != want {
				t.Errorf("shape %v has %d elements, want %d", shape, got, want)
			}
		}
	}
}

// TestClone changes everything in a copy.
func TestClone(t *testing.T) {
	m, same := editable(), editable()
	c := m.Clone()
	c.Graph.Nodes[0].Inputs[0], c.Graph.Nodes[0].Op, c.Graph.Nodes[0].Outputs[0] = "k", "Mul", "z"
	c.Graph.Nodes[0].SetAttribute(Int("axis", 3))
	c.Graph.Nodes[1].RemoveAttribute("axis")
	c.Graph.Initializers[0].Name, c.Graph.Initializers[0].Raw = "q", nil
	c.Graph.Inputs[0].Name, c.Graph.Outputs[0].Name, c.Graph.Values[0].Name = "p", "p", "p"
	c.Graph.Nodes = c.Graph.Nodes[:1]
	c.SetMetadata("a", "b")
	if !reflect.DeepEqual(m, same) {
		t.Error("a change of the copy changed the model")
	}
}

func TestAttributes(t *testing.T) {
	n := editable().Graph.Nodes[0]
	if AttributeOf[int64](n, "axis", 7) != 1 || AttributeOf[int64](n, "pads", 7) != 7 || AttributeOf[string](n, "mode", "x") != "x" || n.Input(9) != "" || n.Input(0) != "x" {
		t.Error("attributes or inputs are wrong")
	}
	n.SetAttribute(Int("axis", 4))
	n.SetAttribute(String("mode", "linear"))
	n.RemoveAttribute("pads")
	if AttributeOf[int64](n, "axis", 0) != 4 || AttributeOf(n, "mode", "") != "linear" || len(n.Attributes) != 2 {
		t.Errorf("attributes %v", n.Attributes)
	}
}

// TestHalf holds float16 to values of IEEE 754 binary16.
func TestHalf(t *testing.T) {
	values := []float32{0, 1, -2, 65504, 65520, 1.0 / 3, 6.1035156e-05, 5.9604645e-08, 1e-9, 2049, float32(math.Inf(-1))}
	want := []float32{0, 1, -2, 65504, float32(math.Inf(1)), 0.33325195, 6.1035156e-05, 5.9604645e-08, 0, 2048, float32(math.Inf(-1))}
	h := NewHalfTensor("h", values, len(values))
	got, err := Float32s(h)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("float16 gives %v, want %v: %v", got, want, err)
	}
	if raw := NewHalfTensor("one", []float32{1}); raw.Raw[0] != 0 || raw.Raw[1] != 0x3c || len(raw.Dims) != 0 {
		t.Errorf("1 is stored as %x", raw.Raw)
	}
	if same, err := Float32s(NewTensor("f", values, len(values))); err != nil || !slices.Equal(same, values) {
		t.Errorf("float32 gives %v: %v", same, err)
	}
	if _, err := Float32s(NewTensor("i", []int64{1})); err == nil {
		t.Error("whole numbers are read as floats")
	}
	h.Dims[0]++
	if _, err := Float32s(h); err == nil {
		t.Error("a tensor with too few bytes is read")
	}
}
