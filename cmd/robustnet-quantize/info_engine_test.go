package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/shimtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// engineFile builds an engine on a shim without TensorRT, and returns the paths of it, of its
// model and of the shim.
func engineFile(t *testing.T, args ...string) (engine, model, shim string) {
	t.Helper()
	model, shim = modelFile(t, "street.onnx", trttest.Model(trttest.Options{})), shimtest.Library(t)
	engine = filepath.Join(filepath.Dir(model), "street.engine")
	args = append([]string{"build", "--model", model, "--tensorrt", shim, "--runs", "0"}, args...)
	if code, stdout, stderr := commandLine(t, args...); code != cli.OK {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	return engine, model, shim
}

// infoOf runs info and wants it to work.
func infoOf(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := commandLine(t, append([]string{"info"}, args...)...)
	if code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	return stdout
}

func TestInfoOfEngine(t *testing.T) {
	engine, model, shim := engineFile(t, "--detailed", "--workspace", "512")
	text := infoOf(t, engine) // which needs no TensorRT
	for _, want := range []string{
		"file        " + engine + "\nsize        13 bytes (0.0 MB)\n",
		"flavour     TensorRT engine\nruns on     Orin (fake) with 8 processors, compute capability 8.7, and TensorRT 10.3.0\nbuilt from  " + model + "\nbuilt by    ",
		"options     level 3, workspace of 512 MiB, types as in the model, details of layers kept\nCUDA graph  replayed\nmethod ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	}
	if strings.Contains(text, "build it anew") || strings.Contains(text, "conv1") {
		t.Errorf("got\n%s\nwant neither faults nor layers", text)
	}
	const table = `
layer  kind             weights  reads  writes          kernel
───────────────────────────────────────────────────────────────────
conv1  CaskConvolution  int8     uint8  int8            ampere_int8
conv2  Myelin                    int8   uint8, float32
`
	if text := infoOf(t, engine, "--layers", "--tensorrt", shim); !strings.Contains(text, table) {
		t.Errorf("got\n%s\nwant\n%s", text, table)
	}
	var got struct {
		SHA256       string
		Description  struct{ Device struct{ GPU string } }
		ModelChanged bool `json:"model_changed"`
		Layers       []struct{ Name, Weights, Writes string }
	}
	text = infoOf(t, engine, "--layers", "--json", "--tensorrt", shim)
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.SHA256) != 64 || got.Description.Device.GPU != "Orin (fake)" || got.ModelChanged ||
		len(got.Layers) != 2 || got.Layers[0].Weights != "int8" || got.Layers[1].Writes != "uint8, float32" {
		t.Errorf("%+v, %v of\n%s", got, err, text)
	}
}

func TestInfoOfEngineWithoutDetails(t *testing.T) {
	engine, model, shim := engineFile(t)
	want := "\n2 layers\n  conv1\n  conv2\n\nit was built without their details: robustnet-quantize build --model " + model + " --out " + engine + " --detailed\n"
	if text := infoOf(t, engine, "--layers", "--tensorrt", shim); !strings.HasSuffix(text, want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestInfoOfFaultyEngine(t *testing.T) {
	engine, model, shim := engineFile(t)
	anew := "to build it anew: robustnet-quantize build --model " + model + " --out " + engine + "\n"
	if err := os.WriteFile(model, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text := infoOf(t, engine); !strings.Contains(text, "street.onnx, which has changed since\n") || !strings.HasSuffix(text, anew) || strings.Contains(text, "cannot be used") {
		t.Errorf("got\n%s\nwant the model to have changed", text)
	}
	if err := os.Remove(model); err != nil {
		t.Fatal(err)
	}
	if text := infoOf(t, engine); strings.Contains(text, "changed") {
		t.Errorf("got\n%s\nwant nothing of a model that is gone", text)
	}
	if err := os.WriteFile(engine, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text := infoOf(t, engine); !strings.Contains(text, "this engine cannot be used: it is not the plan that street.engine.json describes\n") || !strings.HasSuffix(text, anew) {
		t.Errorf("got\n%s\nwant another plan to be noticed", text)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"layers of another plan": {[]string{engine, "--layers", "--tensorrt", shim}, "run: robustnet-quantize build --model " + model},
		"no TensorRT":            {[]string{engine, "--layers", "--tensorrt", "/nowhere.so"}, "TensorRT cannot be loaded"},
		"no description":         {[]string{filepath.Join(t.TempDir(), "other"+nvinfer.FileEnding)}, "its description other.engine.json is missing"},
	} {
		if code, _, stderr := commandLine(t, append([]string{"info"}, tt.args...)...); code != cli.Failure || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, %s; want %q", name, code, stderr, tt.want)
		}
	}
}

// TestBenchOfEngines runs engines, beside a model file too, and times their layers.
func TestBenchOfEngines(t *testing.T) {
	engine, model, shim := engineFile(t, "--detailed")
	bench := func(args ...string) (stdout string) {
		t.Helper()
		args = append([]string{"bench", "--runs", "3", "--warmup", "0", "--threads", "1", "--tensorrt", shim, "--onnxruntime", trttest.Library(t)}, args...)
		code, stdout, stderr := commandLine(t, args...)
		if code != cli.OK {
			t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
		}
		return stdout
	}
	text := bench(engine, engine)
	if !strings.HasPrefix(text, "TensorRT 10.3.0, Orin (fake), ") || strings.Contains(text, "thread") || strings.Count(text, "\nstreet.engine  tensorrt  36×48") != 2 || strings.Contains(text, "conv1") {
		t.Errorf("two engines give\n%s", text)
	}
	// The shim's layers take 0.25 and 1.5 ms, and one more in each run.
	const table = `
street.engine     ms     %  kind             weights  reads  writes
───────────────────────────────────────────────────────────────────────────
conv2          2.500  66.7  Myelin                    int8   uint8, float32
conv1          1.250  33.3  CaskConvolution  int8     uint8  int8
───────────────────────────────────────────────────────────────────────────
2 layers       3.750
`
	text = bench(model, engine, "--layers")
	if !strings.HasPrefix(text, "TensorRT 10.3.0, Orin (fake); ONNX Runtime 1.") || !strings.Contains(text, " CPU, 1 thread, ") || !strings.Contains(text, table) {
		t.Errorf("an engine and a model file give\n%s\nwant\n%s", text, table)
	}
	var got benchReport
	if text = bench(engine, "--layers", "--json"); json.Unmarshal([]byte(text), &got) != nil || got.Threads != 0 || len(got.Models[0].Layers) != 2 ||
		got.Models[0].Layers[0].Name != "conv1" || got.Models[0].Layers[0].Milliseconds != 1.25 || got.Models[0].Layers[0].Weights != "int8" {
		t.Errorf("as JSON\n%s", text)
	}
	if err := os.WriteFile(engine, []byte("PLAN no-graph"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := commandLine(t, "bench", engine, "--tensorrt", shim); code != cli.Failure || !strings.Contains(stderr, "run: robustnet-quantize build") {
		t.Errorf("another plan: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := commandLine(t, "bench", model, "--layers"); code != cli.Usage || !strings.Contains(stderr, "--layers: name an engine") {
		t.Errorf("layers of a model file: exit code %d, %s", code, stderr)
	}
}
