package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// fakeTensorRT builds the fake of the first folder in TENSORRT_INCLUDE, has this process and its
// children use it, and returns an engine file of the default model.
func fakeTensorRT(t *testing.T) (engine string) {
	t.Helper()
	folders := filepath.SplitList(os.Getenv("TENSORRT_INCLUDE"))
	if len(folders) == 0 {
		t.Skip("set TENSORRT_INCLUDE to the folder of TensorRT's headers")
	}
	t.Setenv("ROBUSTNET_MODEL_LIBRARY", trttest.Library(t))
	build := exec.Command("../../packaging/build-tensorrt-fake.sh")
	build.Env = append(os.Environ(), "TENSORRT_INCLUDE="+folders[0], "SANITIZE=")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("build the fake: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	shims, err := filepath.Glob(filepath.Join("../..", lines[len(lines)-1], "librobustnet-trt*.so"))
	if err != nil || len(shims) != 1 {
		t.Fatalf("shims %v, %v", shims, err)
	}
	shim, err := filepath.Abs(shims[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROBUSTNET_TENSORRT_LIBRARY", shim)
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
	s := nvinfer.Sidecar{Card: text, Device: l.Device(), Model: nvinfer.Origin{Path: "street.onnx"}, Build: nvinfer.Build{Level: nvinfer.DefaultLevel}}
	if err := nvinfer.Save(path, plan.Bytes, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTensorRTMasks runs the daemon on an engine, whose fake TensorRT computes as ONNX Runtime
// does: on the way through plan, description, shared memory and CUDA graph no mask may change.
func TestTensorRTMasks(t *testing.T) {
	engine := fakeTensorRT(t)
	const camera, frames = "synthetic:?size=640x360&fps=15&pace=0", 6
	masks := func(args ...string) map[string][]byte {
		dir := t.TempDir()
		process(t, headless(append(args, "--camera", camera, "--frames", fmt.Sprint(frames), "--masks", dir)...)...)
		files := map[string][]byte{}
		for _, name := range fileNames(t, dir) {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = content
		}
		return files
	}
	want := masks()
	for fault, note := range map[string]string{"": "with a graph", "capture": "capture refused"} {
		t.Setenv("FAKE_CUDA_FAULT", fault)
		got := masks("--model", engine)
		if len(want) != frames || len(got) != frames {
			t.Fatalf("%s: %d and %d masks, want %d", note, len(want), len(got), frames)
		}
		for name := range want {
			if !bytes.Equal(got[name], want[name]) {
				t.Errorf("%s: mask %s differs from ONNX Runtime's", note, name)
			}
		}
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
		"another GPU":          {engine, "FAKE_GPU_CAPABILITY", "110", cli.Failure, "run: robustnet-quantize build --model street.onnx --out " + engine},
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
