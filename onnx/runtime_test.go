package onnx_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// infer runs a model with one input in ONNX Runtime, or skips, and returns its outputs.
func infer[T onnxruntime_go.TensorData](t *testing.T, file []byte, input []T) []any {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	header, err := onnx.ReadHeader(file)
	must(err)
	onnxruntime_go.SetSharedLibraryPath(trttest.Library(t))
	must(onnxruntime_go.InitializeEnvironment())
	defer onnxruntime_go.DestroyEnvironment()
	var names []string
	for _, v := range header.Outputs {
		names = append(names, v.Name)
	}
	session, err := onnxruntime_go.NewDynamicAdvancedSessionWithONNXData(file, []string{header.Inputs[0].Name}, names, nil)
	must(err)
	defer session.Destroy()
	in, err := onnxruntime_go.NewTensor(onnxruntime_go.Shape(header.Inputs[0].Shape), input)
	must(err)
	defer in.Destroy()
	values := make([]onnxruntime_go.Value, len(names))
	must(session.Run([]onnxruntime_go.Value{in}, values))
	var outputs []any
	for _, v := range values {
		switch v := v.(type) {
		case *onnxruntime_go.Tensor[float32]:
			outputs = append(outputs, slices.Clone(v.GetData()))
		case *onnxruntime_go.Tensor[uint8]:
			outputs = append(outputs, slices.Clone(v.GetData()))
		}
		must(v.Destroy())
	}
	return outputs
}

// TestBuiltModelRuns: the numbers are those of the operators' definitions, by hand.
func TestBuiltModelRuns(t *testing.T) {
	m := &onnx.Model{IR: 8, Opset: 17, Producer: "test", Graph: onnx.Graph{Name: "g"}}
	b := onnx.NewBuilder(m)
	x := b.Input(onnx.Value{Name: "x", Elem: onnx.Uint8, Shape: []int64{1, 1, 2, 2}})
	x = b.Node("Cast", "", []string{x}, onnx.Int("to", int64(onnx.Float32)))
	weight := b.Initializer(onnx.NewTensor("weight", []float32{2, -1}, 2, 1, 1, 1))
	bias := b.Initializer(onnx.NewTensor("bias", []float32{1, 4}, 2))
	x = b.Node("Conv", "", []string{x, weight, bias}, onnx.Ints("kernel_shape", 1, 1))
	size := b.Initializer(onnx.NewTensor("size", []int64{1, 2, 3, 3}, 4))
	x = b.Node("Resize", "", []string{x, "", "", size}, onnx.String("mode", "linear"),
		onnx.String("coordinate_transformation_mode", "align_corners"))
	low, high := b.Initializer(onnx.NewTensor("low", []float32{0})), b.Initializer(onnx.NewTensor("high", []float32{6}))
	clipped := b.Node("Clip", "clipped", []string{x, low, high})
	ids := b.Node("ArgMax", "", []string{clipped}, onnx.Int("axis", 1), onnx.Int("keepdims", 0))
	mask := b.Node("Cast", "mask", []string{ids}, onnx.Int("to", int64(onnx.Uint8)))
	m.Graph.Outputs = []onnx.Value{
		{Name: clipped, Elem: onnx.Float32, Shape: []int64{1, 2, 3, 3}},
		{Name: mask, Elem: onnx.Uint8, Shape: []int64{1, 3, 3}},
	}
	got := infer(t, marshal(t, m), []uint8{0, 1, 2, 3})
	if want := []float32{1, 2, 3, 3, 4, 5, 5, 6, 6, 4, 3.5, 3, 3, 2.5, 2, 2, 1.5, 1}; !slices.Equal(got[0].([]float32), want) {
		t.Errorf("clipped %v\nwant    %v", got[0], want)
	}
	if want := []uint8{1, 1, 0, 0, 0, 0, 0, 0, 0}; !slices.Equal(got[1].([]uint8), want) {
		t.Errorf("mask %v\nwant %v", got[1], want)
	}
}

func TestRoundTripRunsTheSame(t *testing.T) {
	file, err := os.ReadFile("../models/default.onnx")
	if err != nil {
		t.Fatal(err)
	}
	header, err := onnx.ReadHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	shape := header.Inputs[0].Shape
	random, picture := rand.New(rand.NewPCG(1, 2)), make([]uint8, shape[1]*shape[2]*3)
	for i := range picture {
		picture[i] = uint8(random.Uint32())
	}
	want := infer(t, file, picture)
	got := infer(t, marshal(t, unmarshal(t, file)), picture)
	if !slices.Equal(got[0].([]uint8), want[0].([]uint8)) || !slices.Equal(got[1].([]float32), want[1].([]float32)) {
		t.Error("the model gives other numbers after it was written again")
	}
}
