package ort_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestProviders asks a build for CPUs for what it does not have, with and without files that seem
// to have it. The providers themselves have not been run.
func TestProviders(t *testing.T) {
	real, err := filepath.EvalSymlinks(trttest.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	// A link is followed: providers lie beside the file itself.
	link := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	pretended := filepath.Join(t.TempDir(), "libonnxruntime.so.1")
	content, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"libonnxruntime.so.1": content, "libonnxruntime_providers_shared.so": nil, "libonnxruntime_providers_cuda.so": nil, "libonnxruntime_providers_tensorrt.so": nil} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(pretended), name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		library  string
		provider trt.Provider
		want     string
	}{
		"CUDA missing":       {link, trt.CUDA, "libonnxruntime_providers_shared.so is not in " + filepath.Dir(real)},
		"TensorRT missing":   {link, trt.TensorRT, "use --provider cpu"},
		"CUDA pretended":     {pretended, trt.CUDA, "cuda: "},
		"TensorRT pretended": {pretended, trt.TensorRT, "tensorrt: "},
		"unknown":            {link, "rocm", `"rocm": it is none of [cpu cuda tensorrt]`},
	} {
		e, err := ort.Load("tiny.onnx", trttest.Model(trttest.Options{}), ort.Options{Library: tt.library, Provider: tt.provider, Threads: 1})
		if !errors.Is(err, ort.ErrProvider) || !strings.Contains(fmt.Sprint(err), tt.want) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: error %v, want one line with %q", name, err, tt.want)
		}
		if err == nil {
			e.Close()
		}
	}
	for _, provider := range []trt.Provider{"", trt.CPU} {
		e, err := ort.Load("tiny.onnx", trttest.Model(trttest.Options{}), ort.Options{Library: link, Provider: provider, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Describe().Backend; !strings.HasSuffix(got, " CPU") {
			t.Errorf("backend %s, want the CPU", got)
		}
		// What is loaded is asked, too.
		if _, err := ort.Load("tiny.onnx", trttest.Model(trttest.Options{}), ort.Options{Provider: trt.CUDA}); !errors.Is(err, ort.ErrProvider) {
			t.Errorf("another provider beside: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
