package ort

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

func TestPlace(t *testing.T) {
	cpu := func(operator string) kernel { return kernel{operator, "CPUExecutionProvider"} }
	cuda := func(operator string) kernel { return kernel{operator, "CUDAExecutionProvider"} }
	for name, tt := range map[string]struct {
		kernels  []kernel
		provider trt.Provider
		want     string
		operator []string
	}{
		"all":     {[]kernel{cuda("Conv"), cuda("MemcpyFromHost"), cuda("Relu")}, trt.CUDA, "no kernel runs on the CPU", nil},
		"some":    {[]kernel{cuda("Conv"), cpu("Cast"), cpu("ArgMax"), cpu("Cast")}, trt.CUDA, "3 of 4 kernels run on the CPU: Cast, ArgMax", []string{"Cast", "ArgMax"}},
		"many":    {[]kernel{{"TRTKernel_1", "TensorrtExecutionProvider"}, cpu("A"), cpu("B"), cpu("C"), cpu("D"), cpu("E"), cpu("F")}, trt.TensorRT, "6 of 7 kernels run on the CPU: A, B, C, D, E, …", []string{"A", "B", "C", "D", "E", "F"}},
		"another": {[]kernel{cuda("Conv"), cuda("MemcpyToHost"), cpu("Cast")}, trt.TensorRT, "", nil},
		"none":    {[]kernel{cpu("Conv"), cuda("MemcpyFromHost")}, trt.CUDA, "", nil},
	} {
		p, err := place(tt.kernels, tt.provider)
		if tt.want == "" {
			if !errors.Is(err, ErrProvider) {
				t.Errorf("%s: %v, %v; want that the provider computes nothing", name, p, err)
			}
			continue
		}
		if err != nil || p.String() != tt.want || !slices.Equal(p.Operators, tt.operator) {
			t.Errorf("%s: %s of %q, %v; want %s", name, p, p.Operators, err, tt.want)
		}
	}
}

// TestProfileNamesProviders runs a model on the CPU: its kernels are found, and none of them is
// taken for a GPU's.
func TestProfileNamesProviders(t *testing.T) {
	kernels, err := profiled("tiny.onnx", trttest.Model(trttest.Options{}), Options{Library: trttest.Library(t), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels {
		if k.provider != "CPUExecutionProvider" || k.operator == "" {
			t.Errorf("kernel %+v, want an operator on CPUExecutionProvider", k)
		}
	}
	if p, err := place(kernels, trt.CUDA); !errors.Is(err, ErrProvider) || p.CPU != len(kernels) {
		t.Errorf("%d of %d kernels on the CPU, %v", p.CPU, len(kernels), err)
	}
}

func TestReadProfileFaults(t *testing.T) {
	for name, text := range map[string]string{"not JSON": "[", "without kernels": `[{"cat":"Session","name":"model_run"}]`} {
		path := filepath.Join(t.TempDir(), "profile.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if kernels, err := readProfile(path); err == nil {
			t.Errorf("%s: %v", name, kernels)
		}
	}
}
