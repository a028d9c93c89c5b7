package nvinfer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestReadLayers has texts as TensorRT 8 to 11 word them, the first as NVIDIA publishes it with
// its engine explorer.
func TestReadLayers(t *testing.T) {
	const convolution = `{"Name": "conv1.weight + QuantizeLinear_7 + Conv_9", "LayerType": "CaskConvolution",
		"Inputs": [{"Name": "onnx::DequantizeLinear_125", "Location": "Device", "Dimensions": [32,3,224,224], "Format/Datatype": "Four wide channel vectorized row major Int8 format"}],
		"Outputs": [{"Name": "onnx::MaxPool_136", "Location": "Device", "Dimensions": [32,64,112,112], "Format/Datatype": "Row major linear FP32"}],
		"ParameterType": "Convolution", "Kernel": [7,7], "Groups": 1, "Weights": {"Type": "Int8", "Count": 9408}, "Bias": {"Type": "Float", "Count": 64},
		"TacticName": "ampere_fp32_icudnn_int8x4_128x64_relu_medium_nn_v1", "TacticValue": "0xb29abdd00304c881"}`
	for name, tt := range map[string]struct {
		text string
		want []Layer
	}{
		"none":       {`{"Layers": [], "Bindings": []}`, []Layer{}},
		"names only": {"{\"Layers\": [\"a + b\"\n,\"c\"], \"Bindings\": [\"x\"]}", []Layer{{Name: "a + b"}, {Name: "c"}}},
		"8": {`{"Layers": [` + convolution + `]}`, []Layer{{
			"conv1.weight + QuantizeLinear_7 + Conv_9", "CaskConvolution", "int8", "int8", "float32", "ampere_fp32_icudnn_int8x4_128x64_relu_medium_nn_v1"}}},
		"10": {`{"Layers": [{"Name": "n", "LayerType": "kgen", "Inputs": [{"Format/Datatype": "Half"}, {"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, {"Format/Datatype": "Float"}], "Outputs": [{"Format/Datatype": "BFloat16"}], "Metadata": "[ONNX Layer: n]"}]}`,
			[]Layer{{Name: "n", Kind: "kgen", Reads: "float16, float32", Writes: "bfloat16"}}},
		"11": {`{"Layers": [{"Name": "n", "LayerType": "gemm", "Inputs": [{"Format": "Row major linear FP32 format (kLINEAR)", "Datatype": "Half"}], "Outputs": [{"Format": "Row major linear FP16 format (kLINEAR)"}]}], "I/O Tensors": [{"Name": "x"}]}`,
			[]Layer{{Name: "n", Kind: "gemm", Reads: "float16", Writes: "float16"}}},
		"unknown": {`{"Layers": [{"Name": "n", "Inputs": [{"Format/Datatype": "N/A due to dynamic shapes"}, {}], "Outputs": []}]}`,
			[]Layer{{Name: "n", Reads: "N/A due to dynamic shapes"}}},
	} {
		if got, err := readLayers([]byte(tt.text)); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
	for _, bad := range []string{"", "{", `{"Layers": 1}`, `{"Layers": [1]}`, `{"Layers": [{"Inputs": 1}]}`} {
		if layers, err := readLayers([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "inspect engine: ") {
			t.Errorf("%q is read as %+v, %v", bad, layers, err)
		}
	}
}

// TestProgress sums up phases in phases, as TensorRT 10 tells them.
func TestProgress(t *testing.T) {
	var told []string
	p := progress{ctx: context.Background(), tell: func(phase string, share float64) { told = append(told, fmt.Sprintf("%s %.3f", phase, share)) }}
	for _, s := range []struct {
		name, parent string
		done, steps  int
	}{
		{"engine", "", 0, 4}, {"engine", "", 1, 4}, {"costs", "engine", 0, 2}, {"timing", "costs", 0, 10}, {"timing", "costs", 5, 10},
		{"timing", "costs", 10, 10}, {"costs", "engine", 1, 2}, {"timing", "costs", 0, 4}, {"timing", "costs", 2, 4}, {"costs", "engine", 2, 2},
		{"nothing", "engine", 0, 0}, {"engine", "", 2, 4}, {"second", "engine", 0, 2}, {"engine", "", 4, 4},
		{"another", "", 0, 2}, {"another", "", 2, 2},
	} {
		p.step(s.name, s.parent, s.done, s.steps)
	}
	want := "engine 0.000, engine 0.250, engine 0.312, engine 0.375, engine 0.438, engine 0.500, engine 1.000, another 0.000, another 1.000"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told\n%s, want\n%s", got, want)
	}
	// A phase within itself does not hang.
	p.step("a", "b", 1, 2)
	p.step("b", "a", 1, 2)
	quiet := progress{ctx: context.Background()}
	quiet.step("engine", "", 0, 1)
}
