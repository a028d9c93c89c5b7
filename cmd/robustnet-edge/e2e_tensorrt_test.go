package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/faketest"
)

// fakeTensorRT has this process and its children use a TensorRT without a GPU, and returns an
// engine file of the default model.
func fakeTensorRT(t *testing.T) (engine string) {
	t.Helper()
	faketest.Use(t)
	return buildEngine(t)
}

// buildEngine goes from the default model to an engine file.
func buildEngine(t *testing.T) string {
	t.Helper()
	m, err := onnx.Unmarshal(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	l, err := nvinfer.Load("")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	plan, err := l.Build(t.Context(), m, nvinfer.BuildOptions{Build: nvinfer.Build{Level: nvinfer.DefaultLevel}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "street.engine")
	s := nvinfer.Sidecar{Card: text, Device: l.Device(), Model: nvinfer.Origin{Path: filepath.Join(filepath.Dir(path), "street.onnx")}, Build: nvinfer.Build{Level: nvinfer.DefaultLevel}}
	if err := nvinfer.Save(path, plan.Bytes, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTensorRTMasks runs the daemon on an engine, whose fake TensorRT computes as ONNX Runtime
// does: on the way through plan, description, shared memory and CUDA graph no mask may change.
func TestTensorRTMasks(t *testing.T) {
	engine := fakeTensorRT(t)
	here := func(t *testing.T, args ...string) { process(t, args...) }
	want := masks(t, here)
	for fault, note := range map[string]string{"": "with a graph", "capture": "capture refused"} {
		t.Setenv("FAKE_CUDA_FAULT", fault)
		sameMasks(t, note, masks(t, here, "--model", engine), want)
	}
	// Shim, TensorRT and CUDA with the sanitizers of addresses and undefined behaviour, which a
	// process has from its start or not at all.
	t.Setenv("FAKE_CUDA_FAULT", "")
	for _, variable := range faketest.Sanitizers(t, faketest.Shim(t, faketest.Headers(t)[0], true)) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	sameMasks(t, "with the sanitizers", masks(t, elsewhere, "--model", engine), want)
}

const maskFrames = 6

// masks are those of a drive, by the names of their files.
func masks(t *testing.T, run func(t *testing.T, args ...string), args ...string) map[string][]byte {
	t.Helper()
	dir, files := t.TempDir(), map[string][]byte{}
	run(t, headless(append(args, "--camera", "synthetic:?size=640x360&fps=15&pace=0", "--frames", fmt.Sprint(maskFrames), "--masks", dir)...)...)
	for _, name := range fileNames(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return files
}

func sameMasks(t *testing.T, note string, got, want map[string][]byte) {
	t.Helper()
	if len(want) != maskFrames || len(got) != maskFrames {
		t.Fatalf("%s: %d and %d masks, want %d", note, len(want), len(got), maskFrames)
	}
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s: mask %s differs from ONNX Runtime's", note, name)
		}
	}
}

// elsewhere runs a command line in a process of its own, to an end that must be a good one.
func elsewhere(t *testing.T, args ...string) {
	t.Helper()
	p := spawn(t, args...)
	if code := p.within(patience).ExitCode(); code != cli.OK {
		t.Fatalf("exit code %d, want 0", code)
	}
}

// TestTensorRTModelChanged wants to be told of a model that was not built.
func TestTensorRTModelChanged(t *testing.T) {
	engine := fakeTensorRT(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(engine), "street.onnx"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, headless("--camera", "synthetic:?size=640x360&fps=15&pace=0", "--frames", "2", "--model", engine)...)
	if code := p.within(patience).ExitCode(); code != cli.OK || !strings.Contains(p.log.String(), "the model has changed since the engine was built from it") ||
		!strings.Contains(p.log.String(), "street.onnx --out "+engine) {
		t.Errorf("exit code %d, want 0 and the command that builds the engine anew", code)
	}
}

// TestTensorRTFaults ends the process as systemd has to see it.
func TestTensorRTFaults(t *testing.T) {
	engine := fakeTensorRT(t)
	damaged := filepath.Join(t.TempDir(), "damaged.engine")
	for _, ending := range []string{"", nvinfer.SidecarEnding} {
		content, err := os.ReadFile(engine + ending)
		if err != nil {
			t.Fatal(err)
		}
		if ending == "" {
			content[len(content)/2] ^= 1
		}
		if err := os.WriteFile(damaged+ending, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := nvinfer.ReadSidecar(engine)
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(s.Device.TensorRT, ".")
	newer := major + ".99.0"
	if major == "8" { // which has one digit for each part
		newer = "8.9.0"
	}
	for name, tt := range map[string]struct {
		engine, variable, value string
		code                    int
		want                    string
	}{
		"a run fails midway":   {engine, "FAKE_CUDA_FAULT", "enqueue:3", cli.Failure, "segment: infer frame"},
		"the GPU breaks":       {engine, "FAKE_CUDA_FAULT", "sticky:3", gpuBroken, "the GPU failed beyond recovery in this process"},
		"no memory":            {engine, "FAKE_CUDA_FAULT", "memory", cli.Failure, "out of memory on the GPU"},
		"no GPU":               {engine, "FAKE_CUDA_FAULT", "no-gpu", cli.Failure, "there is no GPU"},
		"another GPU":          {engine, "FAKE_GPU_CAPABILITY", "110", cli.Failure, "run: robustnet-quantize build --model " + filepath.Join(filepath.Dir(engine), "street.onnx") + " --out " + engine},
		"another TensorRT":     {engine, "FAKE_TENSORRT_VERSION", newer, cli.Failure, "this machine has " + newer},
		"a damaged plan":       {damaged, "FAKE_CUDA_FAULT", "", cli.Failure, "it is not the plan that damaged.engine.json describes"},
		"no TensorRT at all":   {engine, "ROBUSTNET_TENSORRT_LIBRARY", "/nowhere.so", cli.Failure, "packaging/build-tensorrt.sh"},
		"no ONNX in its place": {filepath.Join(t.TempDir(), "none.engine"), "FAKE_CUDA_FAULT", "", cli.Failure, "the engine has to be built anew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tt.variable, tt.value)
			p := spawn(t, headless("--camera", "synthetic:?size=640x360&fps=15&pace=0", "--frames", "8", "--model", tt.engine)...)
			if code := p.within(patience).ExitCode(); code != tt.code || !strings.Contains(p.log.String(), tt.want) {
				t.Errorf("exit code %d, want %d and %q", code, tt.code, tt.want)
			}
		})
	}
}
