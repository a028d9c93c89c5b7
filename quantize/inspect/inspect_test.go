package inspect_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
)

// graph builds models of layers with two outputs, one input and a kernel of 3×3.
type graph struct {
	*onnx.Builder
	model *onnx.Model
}

// newGraph begins a model whose input is x.
func newGraph(elem onnx.ElemType) *graph {
	m := &onnx.Model{IR: 8, Opset: 17}
	g := &graph{onnx.NewBuilder(m), m}
	g.Input(onnx.Value{Name: "x", Elem: elem, Shape: []int64{1, 1, -1, 4}, DimNames: []string{"", "", "rows", ""}})
	return g
}

// end names the output, and returns the model as it comes back from a file.
func (g *graph) end(t *testing.T, output string) *onnx.Model {
	t.Helper()
	g.model.Graph.Outputs = []onnx.Value{{Name: output, Elem: onnx.Float32}}
	file, err := g.model.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Unmarshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// conv adds a convolution.
func (g *graph) conv(name, input, weight string) string {
	return g.Node("Conv", name, []string{input, weight})
}

// floats adds weights of float32, 18 parameters in 72 bytes, and halves in 36.
func (g *graph) floats() string {
	return g.Initializer(onnx.NewTensor("w", make([]float32, 18), 2, 1, 3, 3))
}

func (g *graph) halves() string {
	return g.Initializer(onnx.NewHalfTensor("w", make([]float32, 18), 2, 1, 3, 3))
}

// bytes adds weights of int8 with a scale: 18 parameters of int8 and one of float32.
func (g *graph) bytes() string {
	w := g.Initializer(onnx.NewTensor("w", make([]int8, 18), 2, 1, 3, 3))
	return g.Node("DequantizeLinear", "", []string{w, g.Initializer(onnx.NewTensor("scale", []float32{1}))})
}

// round adds QuantizeLinear and DequantizeLinear.
func (g *graph) round(input, scale, zero string) string {
	levels := g.Node("QuantizeLinear", "", []string{input, scale, zero})
	return g.Node("DequantizeLinear", "", []string{levels, scale, zero})
}

func (g *graph) float(v float32) string { return g.Initializer(onnx.NewTensor("scale", []float32{v})) }

func unsigned(g *graph, v uint8) string { return g.Initializer(onnx.NewTensor("zero", []uint8{v})) }

func signed(g *graph, v int8) string { return g.Initializer(onnx.NewTensor("zero", []int8{v})) }

var kernel = []int64{2, 1, 3, 3}

func TestInspect(t *testing.T) {
	for name, c := range map[string]struct {
		build   func(g *graph) (output string)
		input   onnx.ElemType
		flavour inspect.Flavour
		integer int
		layers  []inspect.Layer
		sizes   []inspect.Constants
	}{
		"float": {
			func(g *graph) string {
				return g.conv("b", g.Node("Relu", "", []string{g.conv("a", "x", g.floats())}), g.floats())
			},
			onnx.Float32, inspect.Float32, 0,
			[]inspect.Layer{{"a", kernel, "float32", "float32", "float32"}, {"b", kernel, "float32", "float32", "float32"}},
			[]inspect.Constants{{"float32", 36, 144}},
		},
		"weights stored as float16": {
			func(g *graph) string {
				w := g.Node("Constant", "", nil, onnx.Attribute{Name: "value", Value: onnx.NewHalfTensor("", make([]float32, 18), 2, 1, 3, 3)})
				return g.conv("a", g.Node("Cast", "", []string{"x"}, onnx.Int("to", 1)), g.Node("Cast", "", []string{w}, onnx.Int("to", 1)))
			},
			onnx.Uint8, inspect.Float32, 0,
			[]inspect.Layer{{"a", kernel, "float32", "float32", "float32"}}, []inspect.Constants{{"float16", 18, 36}},
		},
		"half": {
			func(g *graph) string {
				half := g.conv("a", g.Node("Cast", "", []string{"x"}, onnx.Int("to", 10)), g.halves())
				single := g.Node("Cast", "", []string{g.conv("b", half, g.halves())}, onnx.Int("to", 1))
				return g.conv("c", single, g.floats())
			},
			onnx.Uint8, inspect.Float16, 0,
			[]inspect.Layer{{"a", kernel, "float16", "float16", "float16"}, {"b", kernel, "float16", "float16", "float16"}, {"c", kernel, "float32", "float32", "float32"}},
			[]inspect.Constants{{"float16", 36, 72}, {"float32", 18, 72}},
		},
		"for ONNX Runtime": {
			func(g *graph) string {
				scale, zero := g.float(0.5), unsigned(g, 116)
				picture := g.Node("DequantizeLinear", "", []string{"x", scale, zero})
				a := g.Node("Clip", "", []string{g.conv("a", picture, g.bytes())})
				return g.conv("head", g.round(a, scale, zero), g.floats())
			},
			onnx.Uint8, inspect.CPUInt8, 1,
			[]inspect.Layer{{"a", kernel, "int8", "uint8", "uint8"}, {"head", kernel, "float32", "uint8", "float32"}},
			[]inspect.Constants{{"float32", 20, 80}, {"int8", 18, 18}, {"uint8", 1, 1}},
		},
		"a matrix for a layer of 1×1": {
			func(g *graph) string {
				w := g.Initializer(onnx.NewTensor("w", make([]float32, 6), 2, 3))
				product := g.Node("MatMul", "head", []string{g.round("x", g.float(0.5), unsigned(g, 116)), w})
				return g.Node("MatMul", "", []string{product, g.Node("Transpose", "", []string{product})})
			},
			onnx.Float32, inspect.CPUInt8, 0,
			[]inspect.Layer{{"head", []int64{2, 3}, "float32", "uint8", "float32"}},
			[]inspect.Constants{{"float32", 7, 28}, {"uint8", 1, 1}},
		},
		"for TensorRT": {
			func(g *graph) string {
				g.model.Opset, g.model.IR = 19, 9
				scale, zero := g.Initializer(onnx.NewHalfTensor("scale", []float32{0.5})), signed(g, 0)
				a := g.conv("a", g.round("x", scale, zero), g.bytes())
				b := g.conv("b", g.round(a, scale, zero), g.bytes())
				// The skip reads what b is added to as it is: a's own output is float16.
				return g.conv("head", g.Node("Add", "", []string{a, b}), g.halves())
			},
			onnx.Float16, inspect.TRTInt8, 2,
			// bytes has scales of float32.
			[]inspect.Layer{{"a", kernel, "int8", "int8", "float16"}, {"b", kernel, "int8", "int8", "float16"}, {"head", kernel, "float16", "float16", "float16"}},
			[]inspect.Constants{{"float16", 19, 38}, {"int8", 37, 37}, {"float32", 2, 8}},
		},
		"levels alone follow": {
			func(g *graph) string {
				scale, zero := g.float(1), signed(g, 0)
				a := g.Node("HardSwish", "", []string{g.conv("a", "x", g.bytes())})
				return g.conv("b", g.round(a, scale, zero), g.bytes())
			},
			onnx.Float32, inspect.TRTInt8, 2,
			[]inspect.Layer{{"a", kernel, "int8", "float32", "int8"}, {"b", kernel, "int8", "int8", "float32"}},
			[]inspect.Constants{{"int8", 37, 37}, {"float32", 3, 12}},
		},
		"int8 off zero": {
			func(g *graph) string { return g.conv("a", g.round("x", g.float(1), signed(g, -3)), g.bytes()) },
			onnx.Float32, inspect.CPUInt8, 1,
			[]inspect.Layer{{"a", kernel, "int8", "int8", "float32"}}, []inspect.Constants{{"int8", 19, 19}, {"float32", 2, 8}},
		},
		"no zero-point": { // then levels are uint8
			func(g *graph) string { return g.conv("a", g.round("x", g.float(1), ""), g.floats()) },
			onnx.Float32, inspect.CPUInt8, 0,
			[]inspect.Layer{{"a", kernel, "float32", "uint8", "float32"}}, []inspect.Constants{{"float32", 19, 76}},
		},
		"weights alone": {
			func(g *graph) string { return g.conv("a", "x", g.bytes()) },
			onnx.Float32, inspect.WeightInt8, 1,
			[]inspect.Layer{{"a", kernel, "int8", "float32", "float32"}}, []inspect.Constants{{"int8", 18, 18}, {"float32", 1, 4}},
		},
		"operators of integers": {
			func(g *graph) string {
				w, scale, zero := g.Initializer(onnx.NewTensor("w", make([]int8, 18), 2, 1, 3, 3)), g.float(1), signed(g, 0)
				y := g.Node("QLinearConv", "a", []string{"x", scale, zero, w, scale, zero, scale, zero})
				return g.Node("ConvInteger", "b", []string{y, w})
			},
			onnx.Int8, inspect.CPUInt8, 2,
			[]inspect.Layer{{"a", kernel, "int8", "int8", "int8"}, {"b", kernel, "int8", "int8", "int32"}},
			[]inspect.Constants{{"int8", 19, 19}, {"float32", 1, 4}},
		},
		"weights that are no constants": {
			func(g *graph) string { return g.conv("a", "x", g.Node("Shape", "", []string{"x"})) },
			onnx.Float32, inspect.Float32, 0,
			[]inspect.Layer{{"a", nil, "int64", "float32", "float32"}}, []inspect.Constants{},
		},
		"no convolution": {
			func(g *graph) string { return g.Node("MatMul", "", []string{"x", g.halves()}) },
			onnx.Float16, inspect.Float16, 0, nil, []inspect.Constants{{"float16", 18, 36}},
		},
		"another domain's": {
			func(g *graph) string {
				g.model.OtherOpsets = []onnx.Opset{{Domain: "ours", Version: 1}}
				out := g.conv("a", "x", g.floats())
				g.model.Graph.Nodes[0].Domain = "ours"
				return out
			},
			onnx.Float32, inspect.Float32, 0, nil, []inspect.Constants{{"float32", 18, 72}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(c.input)
			m := g.end(t, c.build(g))
			s := inspect.Inspect(m)
			if s.Flavour != c.flavour || s.Convolutions != len(c.layers) || s.Integer != c.integer {
				t.Errorf("%s with %d of %d convolutions in integers; want %s with %d of %d", s.Flavour, s.Integer, s.Convolutions, c.flavour, c.integer, len(c.layers))
			}
			if !reflect.DeepEqual(s.Layers, c.layers) {
				t.Errorf("layers %v, want %v", s.Layers, c.layers)
			}
			if !slices.Equal(s.Constants, c.sizes) {
				t.Errorf("constants %v, want %v", s.Constants, c.sizes)
			}
			if s.Nodes != len(m.Graph.Nodes) || s.Opset != m.Opset || s.Inputs[0].Type != c.input.String() || !slices.Equal(s.Inputs[0].Shape, []int64{1, 1, -1, 4}) || s.Outputs[0].Shape != nil {
				t.Errorf("%d nodes, opset %d, inputs %v, outputs %v", s.Nodes, s.Opset, s.Inputs, s.Outputs)
			}
		})
	}
}

// TestInspectDefault compares with what Python's package onnx counts in the file.
func TestInspectDefault(t *testing.T) {
	m, err := onnx.Unmarshal(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	s := inspect.Inspect(m)
	if s.Nodes != 187 || s.Opset != 17 || s.Convolutions != 42 || s.Integer != 0 || s.Flavour != inspect.Float32 {
		t.Errorf("%d nodes, opset %d, %d of %d convolutions in integers, %s", s.Nodes, s.Opset, s.Integer, s.Convolutions, s.Flavour)
	}
	if want := []inspect.Constants{{"float32", 205574, 822296}, {"int64", 15, 120}}; !slices.Equal(s.Constants, want) || s.Parameters != 205589 || s.Bytes != 822416 {
		t.Errorf("%d parameters in %d bytes: %v, want %v", s.Parameters, s.Bytes, s.Constants, want)
	}
	for i, want := range map[int]inspect.Layer{
		0:  {"/stem/Conv", []int64{16, 3, 3, 3}, "float32", "float32", "float32"},
		41: {"/cls/Conv", []int64{11, 32, 1, 1}, "float32", "float32", "float32"},
	} {
		if !reflect.DeepEqual(s.Layers[i], want) {
			t.Errorf("layer %d: %v, want %v", i, s.Layers[i], want)
		}
	}
}

// TestInspectUnchecked has graphs that no file can have: nodes in a circle, and a node without
// anything.
func TestInspectUnchecked(t *testing.T) {
	m := &onnx.Model{Graph: onnx.Graph{Nodes: []*onnx.Node{
		{Op: "Conv", Outputs: []string{"a"}},
		{Op: "Relu", Inputs: []string{"a"}, Outputs: []string{"a"}},
		{Op: "Conv"}, {Op: "QLinearConv"}, {Op: "QuantizeLinear"}, {Op: "Cast"}, {Op: "Constant"},
	}}}
	if s := inspect.Inspect(m); s.Convolutions != 1 || s.Layers[0].Name != "a" || s.Layers[0].Weight != "unknown" {
		t.Errorf("got %+v", s)
	}
}

func TestSize(t *testing.T) {
	for want, shape := range map[string][]int64{"256×304×3×3": {256, 304, 3, 3}, "1×?": {1, -1}, "scalar": {}, "?": nil} {
		if got := inspect.Size(shape); got != want {
			t.Errorf("%v is written %q, want %q", shape, got, want)
		}
	}
}
