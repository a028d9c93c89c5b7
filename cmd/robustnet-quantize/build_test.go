package main

import (
	"bytes"
	"context"
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

// TestBuild builds on a shim without TensorRT; what TensorRT itself does is not tested here.
func TestBuild(t *testing.T) {
	dir, shim := t.TempDir(), shimtest.Library(t)
	model := filepath.Join(dir, "street.trt-fp16.onnx")
	if err := os.WriteFile(model, trttest.Model(trttest.Options{}), 0o644); err != nil {
		t.Fatal(err)
	}
	build := func(args ...string) (code int, stdout, stderr string) {
		var out, log bytes.Buffer
		code = run(t.Context(), append([]string{"build", "--model", model, "--tensorrt", shim}, args...), &out, &log)
		return code, out.String(), log.String()
	}
	code, stdout, stderr := build()
	engine := filepath.Join(dir, "street.trt-fp16.engine")
	if code != cli.OK || !strings.Contains(stdout, "wrote "+engine) || !strings.Contains(stdout, "network: ") || !strings.Contains(stdout, "next: robustnet-edge --model "+engine) {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "TensorRT 10.3.0, CUDA 12.6, Orin (fake)") || !strings.Contains(stderr, "is a model of FP32") {
		t.Errorf("said %s", stderr)
	}
	e, err := nvinfer.Open(engine, nvinfer.Options{Library: shim})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	timings := filepath.Join(dir, "tensorrt-10.3.0-orin--fake.timings")
	if cache, err := os.ReadFile(timings); err != nil || !strings.HasSuffix(string(cache), "cache 0") {
		t.Errorf("timings %q, %v", cache, err)
	}
	// The second build starts from the timings of the first.
	out := filepath.Join(dir, "other", "x.engine")
	if code, _, stderr = build("--out", out, "--timing-cache", timings, "--level", "5", "--workspace", "512", "--weak", "--detailed", "--json", "--runs", "0"); code != cli.OK {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if cache, _ := os.ReadFile(timings); !strings.HasPrefix(string(cache), "precision 1 holds 0 level 5 workspace 536870912 detailed 1 cache ") || strings.HasSuffix(string(cache), "cache 0") {
		t.Errorf("TensorRT was told %q", cache)
	}
	s, err := nvinfer.ReadSidecar(out)
	if err != nil {
		t.Fatal(err)
	}
	if s.Build != (nvinfer.Build{Level: 5, WorkspaceBytes: 512 << 20, Weak: true, Detailed: true}) || s.Model.Path != model || len(s.Model.SHA256) != 64 || !s.Captured {
		t.Errorf("described as %+v", s)
	}
}

// TestBuildJSON is what programs read.
func TestBuildJSON(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "m.onnx")
	if err := os.WriteFile(model, trttest.Model(trttest.Options{}), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"build", "--model", model, "--tensorrt", shimtest.Library(t), "--json"}, &out, &log); code != cli.OK {
		t.Fatalf("exit code %d\n%s", code, log.String())
	}
	var got struct {
		Engine  string
		Bytes   int
		Infer   struct{ Runs int }
		Sidecar struct {
			Device struct{ GPU string }
		} `json:"description"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Engine != filepath.Join(dir, "m.engine") || got.Bytes != len("PLAN good") || got.Infer.Runs != 50 || got.Sidecar.Device.GPU != "Orin (fake)" {
		t.Errorf("%+v, %v of %s", got, err, out.String())
	}
}

func TestBuildRefuses(t *testing.T) {
	dir, shim := t.TempDir(), shimtest.Library(t)
	model, broken := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "broken.onnx")
	for path, content := range map[string][]byte{model: trttest.Model(trttest.Options{}), broken: trttest.Model(trttest.Options{NoCard: true})} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tt := range map[string]struct {
		ctx  context.Context
		fake string
		args []string
		code int
		want string
	}{
		"no model":         {t.Context(), "", nil, cli.Usage, "--model"},
		"level 6":          {t.Context(), "", []string{"--model", model, "--level", "6"}, cli.Usage, "0 to 5 are possible"},
		"workspace":        {t.Context(), "", []string{"--model", model, "--workspace", "-1"}, cli.Usage, "--workspace"},
		"another ending":   {t.Context(), "", []string{"--model", model, "--out", "x.plan"}, cli.Usage, "ends in .engine"},
		"no card":          {t.Context(), "", []string{"--model", broken}, cli.Failure, "it carries no card"},
		"no TensorRT":      {t.Context(), "missing", []string{"--model", model}, cli.Failure, "TensorRT cannot be loaded"},
		"no GPU":           {t.Context(), "no-gpu", []string{"--model", model}, cli.Failure, "there is no GPU"},
		"unreadable model": {t.Context(), "unreadable", []string{"--model", model}, cli.Failure, "node 3 (Conv): unsupported"},
		"stopped":          {stopped, "", []string{"--model", model}, cli.OK, "m.engine was not written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FAKE_SHIM", tt.fake)
			var out, log bytes.Buffer
			code := run(tt.ctx, append([]string{"build", "--tensorrt", shim}, tt.args...), &out, &log)
			if code != tt.code || !strings.Contains(log.String(), tt.want) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tt.code, tt.want, log.String())
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*.engine*")); len(files) != 0 {
				t.Errorf("left %v behind", files)
			}
		})
	}
}
