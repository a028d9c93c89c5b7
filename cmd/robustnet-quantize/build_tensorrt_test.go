package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/faketest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestTensorRTBuild goes from a model to an engine, and looks at it, on a TensorRT without a GPU.
func TestTensorRTBuild(t *testing.T) {
	faketest.Use(t)
	model := modelFile(t, "street.onnx", trttest.Model(trttest.Options{}))
	engine, timings := filepath.Join(filepath.Dir(model), "street.engine"), filepath.Join(t.TempDir(), "timings")
	build := func(args ...string) (stdout string) {
		t.Helper()
		code, stdout, stderr := commandLine(t, append([]string{"build", "--model", model, "--timing-cache", timings, "--runs", "3"}, args...)...)
		if code != cli.OK || !strings.Contains(stdout, "wrote "+engine) || !strings.Contains(stdout, "\nnetwork: ") {
			t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
		}
		return stdout
	}
	if stdout := build("--detailed", "--workspace", "256", "--level", "2"); strings.Contains(stdout, "without a CUDA graph") {
		t.Errorf("there is no graph:\n%s", stdout)
	}
	first, err := os.ReadFile(timings)
	if err != nil || !regexp.MustCompile(`typed [01] level 2 workspace 268435456 detailed 1\n`).Match(first) {
		t.Errorf("TensorRT was told %q, %v", first, err)
	}
	text := infoOf(t, engine, "--layers")
	if !regexp.MustCompile(`(?m)^\{ForeignNode\[image\.\.\.style\]\} +Myelin +uint8 +uint8, float32 +onnxruntime$`).MatchString(text) {
		t.Errorf("the layers are\n%s", text)
	}
	code, stdout, stderr := commandLine(t, "bench", engine, model, "--layers", "--runs", "3", "--threads", "1", "--onnxruntime", trttest.Library(t))
	if code != cli.OK || !strings.HasPrefix(stdout, "TensorRT ") || !strings.Contains(stdout, "\n{ForeignNode[image...style]} ") || !strings.Contains(stdout, "\n4 layers ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	t.Setenv("FAKE_CUDA_FAULT", "capture")
	if stdout := build(); !strings.Contains(stdout, "without a CUDA graph: capture a run: ") {
		t.Errorf("the refused graph is not told:\n%s", stdout)
	}
	if second, err := os.ReadFile(timings); err != nil || !bytes.HasPrefix(second, first) || len(second) <= len(first) {
		t.Errorf("the second build did not go on from the timings of the first: %q after %q, %v", second, first, err)
	}
}

// TestTensorRTBuildFails leaves nothing behind where TensorRT or CUDA fails.
func TestTensorRTBuildFails(t *testing.T) {
	faketest.Use(t)
	l, err := nvinfer.Load("")
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(l.Device().TensorRT, ".")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Unmarshal(trttest.Model(trttest.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "ArgMax" })
	m.Graph.Nodes[at].Op, m.Graph.Nodes[at].Name = "ArgMix", "nearest"
	unknown, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good, node := trttest.Model(trttest.Options{}), "node nearest (ArgMix): "
	weak := "typed models alone"
	switch major {
	case "8":
		node, weak = "node 0: ", ""
	case "10":
		weak = ""
	}
	for name, tt := range map[string]struct {
		model []byte
		fault string
		args  []string
		want  string
	}{
		"an operator that is unknown": {unknown, "", nil, node},
		"no memory to build":          {good, "memory-build", nil, "OutOfMemory (no further information); close other programs, or a desktop session, add swap, or bound the scratch memory with --workspace"},
		"no memory to load":           {good, "memory-plan", nil, "out of memory on the GPU: read the plan"},
		"no memory to run":            {good, "memory-context", nil, "out of memory on the GPU: make room for running the engine"},
		"no memory to share":          {good, "memory", nil, "CUDA error 2, out of memory"},
		"a run that fails":            {good, "enqueue:2", nil, "inference failed: run the engine: CUDA error 701"},
		"a GPU that breaks":           {good, "sticky:2", nil, "the GPU failed beyond recovery in this process: run the engine: CUDA error 719"},
		"types chosen by TensorRT 11": {good, "", []string{"--weak"}, weak},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				t.Skip("TensorRT " + major + " chooses types")
			}
			t.Setenv("FAKE_CUDA_FAULT", tt.fault)
			model := modelFile(t, "street.onnx", tt.model)
			code, stdout, stderr := commandLine(t, append([]string{"build", "--model", model}, tt.args...)...)
			if code != cli.Failure || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, cli.Failure, tt.want, stdout, stderr)
			}
			if files, _ := filepath.Glob(filepath.Join(filepath.Dir(model), "*.engine*")); len(files) != 0 {
				t.Errorf("left %v behind", files)
			}
		})
	}
}

// screen is a terminal that ends a context when a text is shown.
type screen struct {
	mu     sync.Mutex
	shown  bytes.Buffer
	until  *regexp.Regexp
	cancel context.CancelFunc
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown.Write(p)
	if s.until.Match(s.shown.Bytes()) {
		s.cancel()
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// TestTensorRTBuildStops shows how far a build is and the time left, and stops midway.
func TestTensorRTBuildStops(t *testing.T) {
	faketest.Use(t)
	t.Setenv("FAKE_TENSORRT_BUILD_MS", "5000")
	model := modelFile(t, "street.onnx", trttest.Model(trttest.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The share, and the time that went by and that is left.
	s := &screen{until: regexp.MustCompile(`build engine +[1-9]\d*% \|[^|]*\| \(\d+/1000\) \[\d+s:\d+s\]`), cancel: cancel}
	o := buildOptions{model: model, level: nvinfer.DefaultLevel, sensors: telemetry.Open(t.TempDir()), stdout: io.Discard, log: s, progress: terminal.NewProgress(s)}
	o.progress.Terminal = true
	if err := o.build(ctx); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.String(), "TensorRT 8 does not tell how far a build is") {
		return
	}
	if ctx.Err() == nil || !strings.Contains(s.String(), "stopped; "+filepath.Join(filepath.Dir(model), "street.engine")+" was not written\n") {
		t.Errorf("the build showed %q", s.String())
	}
	if files := filesOf(t, filepath.Dir(model)); len(files) != 1 {
		t.Errorf("left %v behind", files)
	}
}
