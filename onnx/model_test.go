package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
)

// tiny is a model of one node: y = x + c.
func tiny() *onnx.Model {
	m := &onnx.Model{IR: 8, Opset: 17, Graph: onnx.Graph{Name: "tiny"}}
	b := onnx.NewBuilder(m)
	x := b.Input(onnx.Value{Name: "x", Elem: onnx.Float32, Shape: []int64{2}})
	c := b.Initializer(onnx.NewTensor("c", []float32{1, 2}, 2))
	y := b.Node("Add", "y", []string{x, c})
	m.Graph.Outputs = []onnx.Value{{Name: y, Elem: onnx.Float32, Shape: []int64{2}}}
	return m
}

func marshal(tb testing.TB, m *onnx.Model) []byte {
	tb.Helper()
	file, err := m.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func unmarshal(tb testing.TB, file []byte) *onnx.Model {
	tb.Helper()
	m, err := onnx.Unmarshal(file)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMarshalRefuses(t *testing.T) {
	big := onnx.NewTensor("big", make([]uint8, 1<<26), 1<<26)
	graph := func(change func(g *onnx.Graph)) func(*onnx.Model) {
		return func(m *onnx.Model) { change(&m.Graph) }
	}
	tests := map[string]struct {
		change func(*onnx.Model)
		want   string
	}{
		"no version":     {func(m *onnx.Model) { m.IR = 0 }, "it has no version of the file format"},
		"no opset":       {func(m *onnx.Model) { m.Opset = 0 }, "it imports no version of the operator set ai.onnx"},
		"opset twice":    {func(m *onnx.Model) { m.OtherOpsets = []onnx.Opset{{Domain: "ai.onnx", Version: 1}} }, `it imports the operator set "ai.onnx" twice`},
		"no domain":      {graph(func(g *onnx.Graph) { g.Nodes[0].Domain = "d" }), `node 0, Add "y": the model does not import its operator set "d"`},
		"no operator":    {graph(func(g *onnx.Graph) { g.Nodes[0].Op = "" }), `node 0,  "y": it has no operator`},
		"no node":        {graph(func(g *onnx.Graph) { g.Nodes[0] = nil }), `node 0 is missing`},
		"dangling input": {graph(func(g *onnx.Graph) { g.Initializers = nil }), `node 0, Add "y": its input "c" is no input or initialiser of the graph and no output of a node before it`},
		"cycle": {graph(func(g *onnx.Graph) { g.Nodes[0].Inputs[1] = "y" }),
			`node 0, Add "y": its input "y" is no input or initialiser of the graph and no output of a node before it`},
		"output twice": {graph(func(g *onnx.Graph) {
			g.Nodes = append(g.Nodes, &onnx.Node{Op: "Relu", Name: "again", Inputs: []string{"x"}, Outputs: []string{"y"}})
		}), `node 1, Relu "again": its output "y" has a name that is taken`},
		"output is input":     {graph(func(g *onnx.Graph) { g.Nodes[0].Outputs[0] = "x" }), `node 0, Add "y": its output "x" has a name that is taken`},
		"output of nobody":    {graph(func(g *onnx.Graph) { g.Outputs[0].Name = "z" }), `output "z": no node has it as output`},
		"listed twice":        {graph(func(g *onnx.Graph) { g.Outputs = append(g.Outputs, g.Outputs[0]) }), `output "y" is listed twice`},
		"input twice":         {graph(func(g *onnx.Graph) { g.Inputs = append(g.Inputs, g.Inputs[0]) }), `input "x" is listed twice`},
		"nameless input":      {graph(func(g *onnx.Graph) { g.Inputs[0].Name = "" }), `input "": it has no name`},
		"negative shape":      {graph(func(g *onnx.Graph) { g.Inputs[0].Shape[0] = -2 }), `input "x": its shape [-2] is negative or has names [] for fixed dimensions`},
		"few dimension names": {graph(func(g *onnx.Graph) { g.Inputs[0].DimNames = []string{} }), `input "x": it has 1 dimensions and 0 names for them`},
		"initialiser twice": {graph(func(g *onnx.Graph) { g.Initializers = append(g.Initializers, g.Initializers[0]) }),
			`initialiser 1: its name "c" is empty or taken`},
		"no initialiser": {graph(func(g *onnx.Graph) { g.Initializers[0] = nil }), `initialiser 0 is missing`},
		"values do not fill the shape": {graph(func(g *onnx.Graph) { g.Initializers[0].Dims[0] = 3 }),
			`initialiser "c": its shape [3] of float32 asks for 12 bytes but it holds 8`},
		"overflowing shape": {graph(func(g *onnx.Graph) { g.Initializers[0].Dims = []int64{1 << 62, 4, 1} }),
			`initialiser "c": its shape [4611686018427387904 4 1] asks for more values than a file can hold`},
		"negative dimension": {graph(func(g *onnx.Graph) { g.Initializers[0].Dims = []int64{-1, -2} }), `initialiser "c": its shape [-1 -2] has a negative dimension`},
		"element type":       {graph(func(g *onnx.Graph) { g.Initializers[0].Elem = 99 }), `initialiser "c": its elements are of type element type 99, which cannot be stored`},
		"attribute type": {graph(func(g *onnx.Graph) { g.Nodes[0].Attributes = []onnx.Attribute{{Name: "axis", Value: 1}} }),
			`node 0, Add "y": attribute "axis": a value of type int cannot be stored`},
		"nameless attribute": {graph(func(g *onnx.Graph) { g.Nodes[0].Attributes = []onnx.Attribute{onnx.Int("", 1)} }),
			`node 0, Add "y": attribute "": it has no name`},
		"attribute without tensor": {graph(func(g *onnx.Graph) {
			g.Nodes[0].Attributes = []onnx.Attribute{{Name: "value", Value: (*onnx.Tensor)(nil)}}
		}), `node 0, Add "y": attribute "value": a tensor is missing`},
		"2 GiB": {graph(func(g *onnx.Graph) {
			for i := range 32 { // the same bytes under several names
				part := *big
				part.Name = strings.Repeat("b", i+1)
				g.Initializers = append(g.Initializers, &part)
			}
		}), "bytes, and a file holds at most 2147483647"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := tiny()
			tt.change(m)
			file, err := m.Marshal()
			if err == nil {
				t.Fatalf("%d bytes and no error; want %q", len(file), tt.want)
			}
			if got := err.Error(); !strings.HasPrefix(got, "write ONNX model: ") || !strings.HasSuffix(got, tt.want) {
				t.Errorf("got  %s\nwant write ONNX model: %s", got, tt.want)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.onnx")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := tiny()
	bad.Graph.Nodes = nil
	if err := onnx.WriteFile(path, bad); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
	if old, _ := os.ReadFile(path); string(old) != "old" {
		t.Errorf("a model that is refused left %q; want the old file", old)
	}
	if err := onnx.WriteFile(path, tiny()); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, marshal(t, tiny())) {
		t.Error("the file is not what Marshal returns")
	}
	if err := onnx.WriteFile(filepath.Join(folder, "none", "m.onnx"), tiny()); err == nil {
		t.Error("no error for a folder that does not exist")
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("the folder holds %v; want the model alone", entries)
	}
}

func TestSetMetadata(t *testing.T) {
	m := &onnx.Model{Metadata: []onnx.Entry{{"a", "1"}, {"b", "2"}, {"a", "3"}, {"c", "4"}}}
	m.SetMetadata("a", "5")
	m.SetMetadata("d", "6")
	if want := []onnx.Entry{{"a", "5"}, {"b", "2"}, {"c", "4"}, {"d", "6"}}; !slices.Equal(m.Metadata, want) {
		t.Errorf("metadata %v, want %v", m.Metadata, want)
	}
}

func TestTensorValues(t *testing.T) {
	// The bytes are those of the IEEE 754 and two's complement definitions.
	check(t, []float32{1, -2}, "\x00\x00\x80\x3f\x00\x00\x00\xc0")
	check(t, []int64{-2}, "\xfe\xff\xff\xff\xff\xff\xff\xff")
	check(t, []int32{258}, "\x02\x01\x00\x00")
	check(t, []int8{-1, 127}, "\xff\x7f")
	check(t, []uint8{255, 0}, "\xff\x00")
	if _, err := onnx.Values[int8](onnx.NewTensor("t", []uint8{1}, 1)); err == nil {
		t.Error("uint8 read as int8")
	}
	if _, err := onnx.Values[int32](&onnx.Tensor{Elem: onnx.Int32, Raw: make([]byte, 5)}); err == nil {
		t.Error("5 bytes read as a scalar of int32")
	}
}

func check[T onnx.Element](t *testing.T, values []T, raw string) {
	t.Helper()
	tensor := onnx.NewTensor("t", values, len(values))
	if string(tensor.Raw) != raw {
		t.Errorf("%v has bytes % x, want % x", values, tensor.Raw, raw)
	}
	if got, err := onnx.Values[T](tensor); err != nil || !slices.Equal(got, values) {
		t.Errorf("values %v, error %v; want %v", got, err, values)
	}
}

func TestBuilderKeepsNamesApart(t *testing.T) {
	m := tiny()
	m.Graph.Outputs = append(m.Graph.Outputs, onnx.Value{Name: "mask"})
	b := onnx.NewBuilder(m)
	got := []string{
		b.Node("Relu", "y", []string{"x"}), b.Node("Relu", "", []string{"x"}), b.Node("Relu", "", []string{"x"}),
		b.Initializer(onnx.NewTensor("c", []uint8{1})), b.Initializer(onnx.NewTensor("Relu.3", []uint8{1})),
		b.Node("Relu", "", []string{"x"}), b.Node("Relu", "mask", []string{"x"}),
	}
	if want := []string{"y.2", "Relu", "Relu.2", "c.2", "Relu.3", "Relu.4", "mask"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	if again := unmarshal(t, marshal(t, m)); !reflect.DeepEqual(again, m) {
		t.Errorf("read back %+v\nwant      %+v", again, m)
	}
}
