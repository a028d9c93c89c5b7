package onnx_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robustnet-edge/robustnet/onnx"
)

// The fields below are written as onnx.proto numbers them, independently of the reader.

func text(num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s)
}

func number(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

func nested(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(parts, nil))
}

func fixed(b []byte, num protowire.Number) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), 0x3f800000)
}

func named(name string, elem int64, dims ...[]byte) []byte {
	return bytes.Join([][]byte{text(1, name), nested(2, nested(1, number(1, elem), nested(2, dims...)))}, nil)
}

func dim(v int64) []byte { return nested(1, number(1, v)) }

func dimNamed(name string) []byte { return nested(1, text(2, name)) }

// smallModel holds every field that a header is made of, some that it is not, and in an
// order that writers do not use.
func smallModel() (model []byte, fields []int) {
	parts := [][]byte{
		text(3, "1.2.3"), // producer_version
		nested(14, text(1, "robustnet.card"), text(2, `{"version": 0}`)),
		number(1, 8),
		nested(8, text(1, "com.microsoft"), number(2, 1)),
		nested(8, number(2, 17)),
		nested(7,
			nested(12, named("mask", 2, dim(1), dim(2), dim(3))),
			nested(1, text(4, "Relu"), nested(5, text(1, "alpha"), fixed(nil, 2), number(20, 1))),
			nested(11, named("weight", 1, dim(4))),
			nested(11, named("image", 2, dimNamed("batch"), dim(4), dim(6), dim(3))),
			nested(5, number(1, 4), number(2, 1), text(8, "weight"), text(9, strings.Repeat("w", 200))),
			text(2, "graph"),
			nested(1, text(4, "Relu")),
			nested(12, text(1, "loose")),
		),
		text(2, "by hand"),
		nested(14, text(1, "empty")),
		fixed(nil, 200), // from a later schema
	}
	for _, p := range parts {
		fields = append(fields, len(model))
		model = append(model, p...)
	}
	return model, fields
}

func TestReadHeader(t *testing.T) {
	model, _ := smallModel()
	got, err := onnx.ReadHeader(model)
	if err != nil {
		t.Fatal(err)
	}
	want := onnx.Header{
		IR: 8, Opset: 17, Producer: "by hand", Nodes: 2,
		Inputs: []onnx.Value{{Name: "image", Elem: onnx.Uint8, Shape: []int64{-1, 4, 6, 3}, DimNames: []string{"batch", "", "", ""}}},
		Outputs: []onnx.Value{
			{Name: "mask", Elem: onnx.Uint8, Shape: []int64{1, 2, 3}},
			{Name: "loose"},
		},
		Metadata: map[string]string{"robustnet.card": `{"version": 0}`, "empty": ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("header = %+v\nwant     %+v", got, want)
	}
	if v, ok := got.Output("mask"); !ok || v.Name != "mask" {
		t.Errorf("Output(mask) = %v, %v", v, ok)
	}
	if v, ok := got.Input("weight"); ok {
		t.Errorf("Input(weight) = %v; it is initialised in the file, so it is no input", v)
	}
}

func TestReadHeaderKeepsNoReference(t *testing.T) {
	model, _ := smallModel()
	h, err := onnx.ReadHeader(model)
	if err != nil {
		t.Fatal(err)
	}
	clear(model)
	if h.Producer != "by hand" || h.Inputs[0].Name != "image" || h.Metadata["robustnet.card"] != `{"version": 0}` {
		t.Errorf("header changed with the file's bytes: %+v", h)
	}
}

func TestReadHeaderNoticesExternalWeights(t *testing.T) {
	model := append(number(1, 8), nested(7, nested(5, text(8, "weight"), number(14, 1)), nested(5, text(8, "bias"), number(14, 0)))...)
	h, err := onnx.ReadHeader(model)
	if err != nil || !h.External {
		t.Errorf("External = %v, error %v; want true", h.External, err)
	}
}

// Protocol buffers carry no total length, so a cut between two fields of the outermost
// message is a well-formed file; every other cut must be noticed.
func TestReadHeaderTruncated(t *testing.T) {
	model, fields := smallModel()
	boundary := map[int]bool{}
	for _, at := range fields {
		boundary[at] = true
	}
	graphAt, irAt := fields[5], fields[2]
	for n := range model {
		_, err := onnx.ReadHeader(model[:n])
		complete := boundary[n] && n > graphAt && n > irAt
		if complete && err != nil {
			t.Errorf("first %d bytes, all whole fields: %v", n, err)
		}
		if !complete && !errors.Is(err, onnx.ErrCorrupt) {
			t.Errorf("first %d of %d bytes: error = %v, want ErrCorrupt", n, len(model), err)
		}
	}
}

func TestReadHeaderCorrupt(t *testing.T) {
	many := bytes.Repeat(nested(11), 1<<16+1)
	wide := named("x", 1, bytes.Repeat(nested(1), 65))
	ir := number(1, 8)
	tests := map[string]struct {
		model []byte
		want  string
	}{
		"empty":           {nil, "not a readable ONNX model: it is empty"},
		"no graph":        {ir, "not a readable ONNX model: it holds no graph"},
		"no version":      {nested(7), "not a readable ONNX model: it holds no graph"},
		"text":            {[]byte("hello, world"), "not a readable ONNX model: it is cut short or damaged"},
		"zeros":           {make([]byte, 64), "not a readable ONNX model: it is cut short or damaged"},
		"endless number":  {bytes.Repeat([]byte{0xff}, 64), "not a readable ONNX model: it is cut short or damaged"},
		"length overflow": {[]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, "not a readable ONNX model: it is cut short or damaged"},
		"many inputs":     {append(ir, nested(7, many)...), "not a readable ONNX model: its graph lists more than 65536 inputs or outputs"},
		"many dimensions": {append(ir, nested(7, nested(11, wide))...), "not a readable ONNX model: a tensor has more than 64 dimensions"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := onnx.ReadHeader(tt.model)
			if !errors.Is(err, onnx.ErrCorrupt) {
				t.Fatalf("error = %v, want ErrCorrupt", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestElemTypeString(t *testing.T) {
	for elem, want := range map[onnx.ElemType]string{
		onnx.Float32: "float32", onnx.Uint8: "uint8", 10: "float16", 16: "bfloat16",
		0: "undefined", 17: "element type 17", -1: "element type -1",
	} {
		if got := elem.String(); got != want {
			t.Errorf("ElemType(%d) = %q, want %q", int32(elem), got, want)
		}
	}
}

// TestReadHeaderReference holds the reader against a file that PyTorch wrote; the values
// are those of the file's README.
func TestReadHeaderReference(t *testing.T) {
	model := referenceModel(t)
	h, err := onnx.ReadHeader(model)
	if err != nil {
		t.Fatal(err)
	}
	want := []onnx.Value{
		{Name: "image", Elem: onnx.Uint8, Shape: []int64{1, 360, 480, 3}},
		{Name: "mask", Elem: onnx.Uint8, Shape: []int64{1, 180, 240}},
		{Name: "style", Elem: onnx.Float32, Shape: []int64{1, 224}},
	}
	if got := append(h.Inputs, h.Outputs...); !reflect.DeepEqual(got, want) {
		t.Errorf("inputs and outputs = %v\nwant %v", got, want)
	}
	if h.Opset != 17 || h.External || !strings.Contains(h.Metadata["robustnet.card"], "54.07") {
		t.Errorf("opset %d, external %v, card %.60q…; want 17, false, a card with 54.07", h.Opset, h.External, h.Metadata["robustnet.card"])
	}
	if h.Nodes == 0 {
		t.Error("no nodes counted")
	}
}

func BenchmarkReadHeaderReference(b *testing.B) {
	model := referenceModel(b)
	b.SetBytes(int64(len(model)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := onnx.ReadHeader(model); err != nil {
			b.Fatal(err)
		}
	}
}

func referenceModel(tb testing.TB) []byte {
	tb.Helper()
	shared := os.Getenv("ROBUSTNET_SHARED")
	if shared == "" {
		shared = "../../shared"
	}
	model, err := os.ReadFile(filepath.Join(shared, "models/camvid_mobilenetv2_isw_reference.onnx"))
	if errors.Is(err, os.ErrNotExist) {
		tb.Skipf("the reference model is not here (set ROBUSTNET_SHARED): %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

func FuzzReadHeader(f *testing.F) {
	model, _ := smallModel()
	f.Add(model)
	f.Add(model[:len(model)/2])
	f.Add([]byte(nil))
	f.Add(append(number(1, 8), nested(7, bytes.Repeat(nested(11), 100))...))
	f.Add(append(number(1, 8), nested(14, text(1, "k"))...))
	f.Add([]byte{0x0b, 0x0b, 0x0b, 0x0c}) // groups, which protocol buffers once had
	f.Fuzz(func(t *testing.T, model []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h, err := onnx.ReadHeader(model)
		runtime.ReadMemStats(&after)
		// The costliest file is one of empty inputs: two bytes each, and a slice that grows.
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(1<<20+400*len(model)) {
			t.Errorf("%d bytes allocated for a file of %d", grown, len(model))
		}
		if err != nil && !errors.Is(err, onnx.ErrCorrupt) {
			t.Errorf("error %v does not wrap ErrCorrupt", err)
		}
		if err != nil && !reflect.DeepEqual(h, onnx.Header{}) {
			t.Errorf("header %+v beside error %v", h, err)
		}
	})
}
