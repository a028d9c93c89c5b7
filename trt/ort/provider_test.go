package ort_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
		"CUDA pretended":     {pretended, trt.CUDA, "libonnxruntime_providers_shared.so is no library: "},
		"TensorRT pretended": {pretended, trt.TensorRT, "libonnxruntime_providers_shared.so is no library: "},
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

// library compiles one that needs others.
func library(t *testing.T, path string, flags ...string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "nothing.c")
	if err := os.WriteFile(source, []byte("void nothing(void) {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-fPIC", "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", "-Wl,-soname," + filepath.Base(path), "-o", path, source}, flags...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
}

// TestProviderNeeds has providers that need what is not there, which is named before ONNX Runtime
// is loaded: the file in its place is empty.
func TestProviderNeeds(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skipf("no compiler makes libraries for this test: %v", err)
	}
	elsewhere := t.TempDir()
	at := func(name string) string { return filepath.Join(elsewhere, name) }
	library(t, at("librobustnet-absent1.so"))
	library(t, at("librobustnet-absent2.so"))
	library(t, at("librobustnet-there.so"))
	library(t, at("librobustnet-needy.so"), at("librobustnet-absent2.so"))
	// build makes a folder with a provider that needs some of them.
	build := func(provider string, flags ...string) string {
		dir := t.TempDir()
		runtime := filepath.Join(dir, "libonnxruntime.so.1")
		if err := os.WriteFile(runtime, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		library(t, filepath.Join(dir, "libonnxruntime_providers_shared.so"))
		library(t, filepath.Join(dir, "libonnxruntime_providers_"+provider+".so"), flags...)
		for _, name := range []string{"librobustnet-there.so", "librobustnet-needy.so"} {
			content, err := os.ReadFile(at(name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return runtime
	}
	const beside, besideToo, needs = "-Wl,--enable-new-dtags,-rpath,$ORIGIN", "-Wl,--disable-new-dtags,-rpath,/nowhere:${ORIGIN}", " needs "
	for name, tt := range map[string]struct {
		library  string
		provider trt.Provider
		want     string
	}{
		"two":          {build("cuda", at("librobustnet-absent1.so"), at("librobustnet-absent2.so")), trt.CUDA, "cuda.so needs librobustnet-absent1.so, librobustnet-absent2.so, which cannot be loaded; install"},
		"of TensorRT":  {build("tensorrt", at("librobustnet-absent1.so")), trt.TensorRT, "tensorrt.so needs librobustnet-absent1.so, which"},
		"of its needs": {build("cuda", beside, at("librobustnet-there.so"), at("librobustnet-needy.so")), trt.CUDA, "cuda.so needs librobustnet-absent2.so, which"},
		"nowhere":      {build("cuda", at("librobustnet-there.so")), trt.CUDA, "cuda.so needs librobustnet-there.so, which"},
		// With all of them, ONNX Runtime itself is the next that is looked at.
		"beside":     {build("cuda", beside, at("librobustnet-there.so")), trt.CUDA, "ONNX Runtime cannot be loaded from"},
		"beside too": {build("cuda", besideToo, at("librobustnet-there.so")), trt.CUDA, "ONNX Runtime cannot be loaded from"},
	} {
		e, err := ort.Load("tiny.onnx", trttest.Model(trttest.Options{}), ort.Options{Library: tt.library, Provider: tt.provider, Threads: 1})
		if err == nil {
			e.Close()
		}
		kind := ort.ErrLibrary
		if strings.Contains(tt.want, needs) {
			kind = ort.ErrProvider
		}
		if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), tt.want) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: error %v, want one line with %q", name, err, tt.want)
		}
	}
}

// TestProviderOfTheLoadersRuntime leaves it to the dynamic loader to find ONNX Runtime, which here
// finds none.
func TestProviderOfTheLoadersRuntime(t *testing.T) {
	_, err := ort.Load("tiny.onnx", trttest.Model(trttest.Options{}), ort.Options{Provider: trt.CUDA})
	if !errors.Is(err, ort.ErrLibrary) && !errors.Is(err, ort.ErrProvider) {
		t.Errorf("error %v, want that there is no ONNX Runtime, or none with the provider", err)
	}
}
