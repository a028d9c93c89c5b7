package onnx_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robustnet-edge/robustnet/onnx"
)

// testdata/typed.onnx was written by the onnx package for Python, its initialisers with
// the typed fields of the schema; raw.onnx is the same model with NumPy's bytes.

func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	file, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestUnmarshalEveryField(t *testing.T) {
	m := unmarshal(t, testdata(t, "raw.onnx"))
	if m.IR != 8 || m.Opset != 17 || m.Producer != "by Python" || m.ProducerVersion != "3" || m.Graph.Name != "typed" {
		t.Errorf("head %d, %d, %q, %q, %q", m.IR, m.Opset, m.Producer, m.ProducerVersion, m.Graph.Name)
	}
	if want := []onnx.Opset{{Domain: "org.example", Version: 3}}; !slices.Equal(m.OtherOpsets, want) {
		t.Errorf("other operator sets %v, want %v", m.OtherOpsets, want)
	}
	if want := []onnx.Entry{{Key: "k", Value: "v"}, {Key: "l"}}; !slices.Equal(m.Metadata, want) {
		t.Errorf("metadata %v, want %v", m.Metadata, want)
	}
	between := onnx.Value{Name: "y", Elem: onnx.Float32, Shape: []int64{-1, 3, -1}, DimNames: []string{"batch", "", ""}}
	input := between
	input.Name = "x"
	values := slices.Concat(m.Graph.Inputs, m.Graph.Outputs, m.Graph.Values)
	want := []onnx.Value{input, {Name: "z", Elem: onnx.Float32, Shape: []int64{}}, {Name: "w", Elem: onnx.Float32}, between}
	if !reflect.DeepEqual(values, want) {
		t.Errorf("values %+v\nwant   %+v", values, want)
	}
	inner := &onnx.Tensor{Name: "inner", Elem: onnx.Float32, Dims: []int64{1}, Raw: []byte{0, 0, 0, 0x40}}
	nodes := []onnx.Node{
		{Name: "constant", Op: "Constant", Outputs: []string{"c"}, Attributes: []onnx.Attribute{{Name: "value", Value: inner}}},
		{Name: "odd", Op: "Odd", Domain: "org.example", Inputs: []string{"y", "c"}, Outputs: []string{"z", "", "w"}, Attributes: []onnx.Attribute{
			onnx.Float("a", 1.5), onnx.Int("b", -7), {Name: "fs", Value: []float32{1, 2.5}}, onnx.Ints("iz", 3, -4),
			onnx.String("s", "text"), {Name: "ss", Value: []string{"p", "q"}},
		}},
	}
	for i, at := range []int{0, 2} {
		if got := m.Graph.Nodes[at]; !reflect.DeepEqual(*got, nodes[i]) {
			t.Errorf("node %+v\nwant %+v", *got, nodes[i])
		}
	}
	if got := m.Graph.Nodes[1].Inputs; !slices.Equal(got, []string{"x", "", "scalar"}) {
		t.Errorf("inputs %q; an optional one is left out", got)
	}
}

func TestUnmarshalTypedFields(t *testing.T) {
	got, want := unmarshal(t, testdata(t, "typed.onnx")), unmarshal(t, testdata(t, "raw.onnx"))
	if len(want.Graph.Initializers) != 13 {
		t.Fatalf("%d initialisers, want 13", len(want.Graph.Initializers))
	}
	for i, w := range want.Graph.Initializers {
		if g := got.Graph.Initializers[i]; !reflect.DeepEqual(g, w) {
			t.Errorf("from typed fields %+v\nfrom NumPy's bytes %+v", g, w)
		}
	}
}

// TestRoundTrip keeps everything, documentation included.
func TestRoundTrip(t *testing.T) {
	ours, err := os.ReadFile("../models/default.onnx")
	if err != nil {
		t.Fatal(err)
	}
	models := map[string][]byte{"typed": testdata(t, "typed.onnx"), "raw": testdata(t, "raw.onnx"), "default": ours}
	for name, file := range models {
		t.Run(name, func(t *testing.T) {
			m := unmarshal(t, file)
			written := marshal(t, m)
			if again := unmarshal(t, written); !reflect.DeepEqual(again, m) {
				t.Error("the model changed when it was written")
			}
			for _, text := range []string{"a model", "a graph", "keep me"} {
				if bytes.Count(written, []byte(text)) != bytes.Count(file, []byte(text)) {
					t.Errorf("the text %q was lost", text)
				}
			}
		})
	}
}

// TestReferenceRoundTrip: PyTorch writes the fields in the order of their numbers, as
// Marshal does, so that not a byte may differ.
func TestReferenceRoundTrip(t *testing.T) {
	file := referenceModel(t)
	if written := marshal(t, unmarshal(t, file)); !bytes.Equal(written, file) {
		t.Errorf("written again, the model has other bytes: %d, were %d", len(written), len(file))
	}
}

func TestUnmarshalKeepsUnknownFields(t *testing.T) {
	unknown := func(num protowire.Number) []byte { return slices.Concat(fixed(nil, num), text(num+1, "?")) }
	file := slices.Concat(number(1, 8), nested(8, number(2, 17)), unknown(100), nested(7, unknown(110),
		nested(1, text(4, "Constant"), text(2, "c"), unknown(120), nested(5, text(1, "value_int"), number(3, 1), unknown(130))),
		nested(5, number(2, 2), number(1, 1), text(9, "w"), text(8, "w"), unknown(140)),
		nested(13, text(1, "c"), unknown(150)),
		nested(12, text(1, "c"))))
	written := marshal(t, unmarshal(t, file))
	for num := protowire.Number(100); num <= 150; num += 10 {
		if !bytes.Contains(written, unknown(num)) {
			t.Errorf("field %d was lost", num)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	const cut = "not a readable ONNX model: it is cut short or damaged"
	head := slices.Concat(number(1, 8), nested(8, number(2, 17)))
	graph := func(parts ...[]byte) []byte { return append(slices.Clone(head), nested(7, parts...)...) }
	tensor := func(parts ...[]byte) []byte { return graph(nested(5, append([][]byte{text(8, "w")}, parts...)...)) }
	attribute := func(parts ...[]byte) []byte {
		return graph(nested(1, text(4, "If"), text(3, "n"), nested(5, append([][]byte{text(1, "a")}, parts...)...)))
	}
	const inTensor, inAttribute = `initialiser "w": `, `node 0, If "n": attribute "a": `
	tests := map[string]struct {
		file []byte
		want string
	}{
		"empty":             {nil, "not a readable ONNX model: it is empty"},
		"no graph":          {head, "not a readable ONNX model: it holds no graph"},
		"text":              {[]byte("hello, world"), cut},
		"wrong wire type":   {append(slices.Clone(head), number(7, 1)...), cut},
		"functions":         {append(slices.Clone(head), nested(25)...), "it has functions of its own, which cannot be read"},
		"training":          {append(slices.Clone(head), nested(20)...), "it has training information, which cannot be read"},
		"opset twice":       {append(slices.Clone(head), nested(8, number(2, 18))...), "it imports the operator set ai.onnx twice"},
		"odd metadata":      {append(slices.Clone(head), nested(14, text(1, "k"), number(3, 1))...), `metadata "k": it has field 3, which is not known; update the program`},
		"sparse":            {graph(nested(15)), "it has sparse initialisers, which cannot be read"},
		"sequence":          {graph(nested(11, text(1, "x"), nested(2, nested(4)))), `input "x": its type is not that of a plain tensor`},
		"denotation":        {graph(nested(12, text(1, "x"), nested(2, nested(1, nested(2, nested(1, text(3, "C"))))))), `output "x": its type is not that of a plain tensor`},
		"no operator":       {graph(nested(1)), `node 0,  "": it has no operator`},
		"missing weights":   {graph(nested(1, text(4, "Relu"), text(1, "w"))), `node 0, Relu "": its input "w" is no input or initialiser of the graph and no output of a node before it`},
		"subgraph":          {attribute(nested(6)), inAttribute + "it has a subgraph, which cannot be read"},
		"subgraphs":         {attribute(nested(11)), inAttribute + "it has subgraphs, which cannot be read"},
		"reference":         {attribute(text(21, "f")), inAttribute + "it has a reference to a function, which cannot be read"},
		"nameless":          {graph(nested(1, text(4, "If"), nested(5, number(3, 1)))), `node 0, If "": attribute "": it has no name`},
		"no value":          {attribute(), inAttribute + "it has no value"},
		"no tensor":         {attribute(number(20, 4)), inAttribute + "it has no value"},
		"two values":        {attribute(number(3, 1), nested(8, []byte{1})), inAttribute + "it has more than one value"},
		"same value twice":  {attribute(number(3, 1), number(3, 1)), inAttribute + "it has more than one value"},
		"kind":              {attribute(number(3, 1), number(20, 1)), inAttribute + "it is said to be of kind 1 but its value is of kind 2"},
		"cut list":          {attribute(nested(8, []byte{0x80})), inAttribute + cut},
		"external data":     {tensor(number(2, 1), nested(13, text(1, "location"), text(2, "../../etc/passwd"))), inTensor + "it has values in another file (save the model as a single file), which cannot be read"},
		"external location": {tensor(number(2, 1), number(14, 1)), inTensor + "its values are in another file; save the model as a single file"},
		"texts":             {tensor(number(2, 8), text(6, "t")), inTensor + "it has texts, which cannot be read"},
		"segment":           {tensor(number(2, 1), nested(3)), inTensor + "it has segments, which cannot be read"},
		"given twice":       {tensor(number(2, 6), number(5, 1), text(9, "1234")), inTensor + "its values are given twice"},
		"two typed fields":  {tensor(number(2, 6), number(5, 1), number(7, 1)), inTensor + "its values are given twice"},
		"wrong field":       {tensor(number(2, 1), number(5, 1)), inTensor + "its elements are of type float32, which its field 5 cannot hold"},
		"too large":         {tensor(number(2, 2), number(5, 256)), inTensor + "its value 256 is too large for elements of type uint8"},
		"too small":         {tensor(number(2, 3), number(5, -129)), inTensor + "its value -129 is too large for elements of type int8"},
		"too many values":   {tensor(number(2, 6), nested(5, []byte{1, 2})), inTensor + "its shape [] asks for fewer values than it holds"},
		"too few values":    {tensor(number(2, 6), number(1, 2), nested(5, []byte{1})), inTensor + "its shape [2] of int32 asks for 8 bytes but it holds 4"},
		"huge shape":        {tensor(number(2, 6), number(1, math.MaxInt32), number(5, 1)), inTensor + "its shape [2147483647] asks for more values than it holds"},
		"rank":              {tensor(number(2, 6), nested(1, make([]byte, 65))), inTensor + "not a readable ONNX model: a tensor has more than 64 dimensions"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Unmarshal(tt.file)
			if err == nil {
				t.Fatalf("no error; want %q", tt.want)
			}
			if err.Error() != tt.want || m != nil {
				t.Errorf("got  %s, model %v\nwant %s", err, m, tt.want)
			}
			if errors.Is(err, onnx.ErrCorrupt) != strings.Contains(tt.want, "not a readable") {
				t.Errorf("errors.Is(%v, ErrCorrupt) = %v", err, errors.Is(err, onnx.ErrCorrupt))
			}
		})
	}
}

func TestUnmarshalTruncated(t *testing.T) {
	file := testdata(t, "raw.onnx")
	for n := range file {
		m, err := onnx.Unmarshal(file[:n])
		if err == nil { // cut between two fields of the model, which nothing can tell
			marshal(t, m)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	small, _ := smallModel()
	for _, file := range [][]byte{small, testdata(f, "typed.onnx"), testdata(f, "raw.onnx"), marshal(f, tiny()), nil} {
		f.Add(file)
	}
	f.Add(slices.Concat(number(1, 8), nested(8, number(2, 17)), nested(7, bytes.Repeat(nested(1, text(4, "R")), 1000))))
	f.Fuzz(func(t *testing.T, file []byte) {
		var m *onnx.Model
		var err error
		// The costliest files list what takes a few bytes each: values, nodes.
		if got := allocated(func() { m, err = onnx.Unmarshal(file) }); got > uint64(1<<20+64*len(file)) {
			t.Errorf("%d bytes allocated for a file of %d", got, len(file))
		}
		if err != nil {
			if m != nil {
				t.Errorf("model %+v beside error %v", m, err)
			}
			return
		}
		written := marshal(t, m)
		if again := marshal(t, unmarshal(t, written)); !bytes.Equal(again, written) {
			t.Errorf("written twice, the model differs:\n%x\n%x", written, again)
		}
	})
}

// TestUnmarshalMemory: weights are not copied, so that a model takes little more memory
// than its file.
func TestUnmarshalMemory(t *testing.T) {
	m := tiny()
	m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor("big", make([]float32, 1<<22), 1<<22))
	file := marshal(t, m)
	if got := allocated(func() { unmarshal(t, file) }); got > 64<<10 {
		t.Errorf("%d bytes allocated for a file of %d", got, len(file))
	}
}

// allocated is the number of bytes that f allocates, with what it frees again.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
