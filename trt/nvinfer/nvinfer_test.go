package nvinfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
	"github.com/robustnet-edge/robustnet/trt/nvinfer/shimtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

func load(tb testing.TB) *nvinfer.Library {
	tb.Helper()
	l, err := nvinfer.Load(shimtest.Library(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			tb.Error(err)
		}
	})
	return l
}

// card is that of trttest's model, whose sizes the shim has.
func card(tb testing.TB) (*trt.Card, []byte) {
	tb.Helper()
	c, err := trt.ReadCard(trttest.Model(trttest.Options{}))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	return c, text
}

func TestLoad(t *testing.T) {
	shim := shimtest.Library(t)
	want := nvinfer.Device{TensorRT: "10.3.0", CUDA: "12.6", GPU: "Orin (fake)", Capability: "8.7", Processors: 8, Integrated: true}
	if got := load(t).Device(); got != want {
		t.Errorf("device %+v, want %+v", got, want)
	}
	empty := filepath.Join(t.TempDir(), "librobustnet-trt10.so")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path, fake string
		kind       error
		want       string
	}{
		"no TensorRT":         {shim, "missing", nvinfer.ErrMissing, "libnvinfer.so.10: cannot open shared object file"},
		"no GPU":              {shim, "no-gpu", nvinfer.ErrDevice, "there is no GPU"},
		"an old shim":         {shim, "old", nvinfer.ErrMissing, "another version of this program"},
		"no such shim":        {"/nowhere.so", "", nvinfer.ErrMissing, "packaging/build-tensorrt.sh"},
		"not a library":       {empty, "", nvinfer.ErrMissing, "librobustnet-trt10.so"},
		"nothing beside here": {"", "", nvinfer.ErrMissing, "no librobustnet-trt10.so"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FAKE_SHIM", tt.fake)
			t.Setenv("ROBUSTNET_TENSORRT_LIBRARY", "")
			l, err := nvinfer.Load(tt.path)
			if !errors.Is(err, tt.kind) || !strings.Contains(fmt.Sprint(err), tt.want) || strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("error %v, want one line with %q that is %v", err, tt.want, tt.kind)
			}
			if l != nil {
				t.Error("a library came with the error")
			}
		})
	}
}

// TestBuild hands options and progress through, and stops when told to.
func TestBuild(t *testing.T) {
	l := load(t)
	m, err := onnx.Unmarshal(trttest.Model(trttest.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	o := nvinfer.BuildOptions{Build: nvinfer.Build{Level: 4, WorkspaceBytes: 1 << 30, Detailed: true}, TimingCache: make([]byte, 7),
		Progress: func(phase string, share float64) { steps = append(steps, fmt.Sprintf("%s %.2f", phase, share)) }}
	plan, err := l.Build(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(plan.TimingCache), "precision 0 holds 0 level 4 workspace 1073741824 detailed 1 cache 7"; got != want {
		t.Errorf("the shim was told %q, want %q", got, want)
	}
	// The shim tells of an inner phase at first, whose outer one has not begun.
	if got, want := strings.Join(steps[2:], ", "), "Build 0.06, Build 0.25, Build 0.38, Build 0.50, Build 0.69, Build 0.75, Build 1.00"; got != want {
		t.Errorf("progress %s, want %s", got, want)
	}
	if string(plan.Bytes) != "PLAN detailed" {
		t.Errorf("plan %q", plan.Bytes)
	}
	weak := nvinfer.BuildOptions{Build: nvinfer.Build{Weak: true}}
	if plan, err = l.Build(t.Context(), m, weak); err != nil || !bytes.HasPrefix(plan.TimingCache, []byte("precision 1 ")) {
		t.Errorf("weak: %v, %s; want FP16", err, plan.TimingCache)
	}
	rounded := m.Clone()
	rounded.Graph.Nodes = append(rounded.Graph.Nodes, &onnx.Node{Op: "QuantizeLinear", Inputs: []string{"unit", "full"}, Outputs: []string{"levels"}})
	if plan, err = l.Build(t.Context(), rounded, weak); err != nil || !bytes.HasPrefix(plan.TimingCache, []byte("precision 3 holds 2 ")) {
		t.Errorf("weak with Q/DQ: %v, want FP16 and INT8", err)
	}
	smaller := rounded.Clone()
	smaller.Graph.Initializers = append(smaller.Graph.Initializers, onnx.NewHalfTensor("half", []float32{1}))
	if plan, err = l.Build(t.Context(), smaller, nvinfer.BuildOptions{}); err != nil || !bytes.HasPrefix(plan.TimingCache, []byte("precision 0 holds 3 ")) {
		t.Errorf("typed with Q/DQ and FP16: %v, %s", err, plan.TimingCache)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(_ string, share float64) {
		if share >= 0.5 {
			cancel()
		}
	}
	if _, err := l.Build(ctx, m, o); !errors.Is(err, nvinfer.ErrCancelled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := l.Build(ctx, m, o); !errors.Is(err, nvinfer.ErrCancelled) {
		t.Errorf("cancelled before: %v", err)
	}
	t.Setenv("FAKE_SHIM", "unreadable")
	if _, err := l.Build(t.Context(), m, nvinfer.BuildOptions{}); !errors.Is(err, nvinfer.ErrModel) || !strings.Contains(fmt.Sprint(err), "node 3 (Conv): unsupported") {
		t.Errorf("a model that TensorRT cannot read: %v", err)
	}
	if _, err := l.Build(t.Context(), m, nvinfer.BuildOptions{Build: nvinfer.Build{Level: 6}}); err == nil {
		t.Error("level 6 is taken")
	}
}

// save writes an engine of the plan that the shim has for a name.
func save(t *testing.T, plan string, change func(*nvinfer.Sidecar)) string {
	t.Helper()
	_, text := card(t)
	s := nvinfer.Sidecar{Card: text, Device: load(t).Device(), Model: nvinfer.Origin{Path: "/models/my street.onnx"}, Build: nvinfer.Build{Level: 5, WorkspaceBytes: 512 << 20}}
	if change != nil {
		change(&s)
	}
	path := filepath.Join(t.TempDir(), "street.engine")
	if err := nvinfer.Save(path, []byte("PLAN "+plan), s); err != nil {
		t.Fatal(err)
	}
	return path
}

// painted is a frame of the network's size whose red rises by pixel.
func painted() *camera.Frame {
	f := &camera.Frame{Pix: make([]byte, 36*48*3), Width: 48, Height: 36}
	for i := range 36 * 48 {
		f.Pix[3*i+2] = byte(i)
	}
	return f
}

func TestEngine(t *testing.T) {
	e, err := nvinfer.Open(save(t, "good", nil), nvinfer.Options{Library: shimtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	var engine trt.Engine = e
	if d := engine.Describe(); d.Backend != "TensorRT 10.3.0, Orin (fake)" || d.InputWidth != 48 || d.MaskHeight != 18 || d.StyleLen != 6 {
		t.Errorf("described as %+v", d)
	}
	for run := range 3 {
		r, err := engine.Run(painted())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Mask) != 18*24 || r.Mask[25] != byte(2*48+2) || len(r.Style) != 6 || r.Style[5] != float32(run+1) {
			t.Errorf("run %d: mask %v…, style %v", run, r.Mask[24:27], r.Style)
		}
	}
	if ok, reason := e.Captured(); !ok || reason != "" {
		t.Errorf("captured %t, %q", ok, reason)
	}
	engine.Interrupt()
	if _, err := engine.Run(painted()); !errors.Is(err, trt.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	if err := errors.Join(engine.Close(), engine.Close()); err != nil {
		t.Error(err)
	}
	if _, err := engine.Run(painted()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := e.Profile(1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("profile of a closed one: %v", err)
	}
	if _, err := e.Inspect(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("inspection of a closed one: %v", err)
	}
	engine.Interrupt()
}

func TestRunAllocatesNothing(t *testing.T) {
	e, err := nvinfer.Open(save(t, "good", nil), nvinfer.Options{Library: shimtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f := painted()
	if n := testing.AllocsPerRun(50, func() {
		if _, err := e.Run(f); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a frame, want none", n)
	}
}

// TestFaults holds the engine file to this machine, and errors of a run to their kinds.
func TestFaults(t *testing.T) {
	shim := shimtest.Library(t)
	const command = "run: robustnet-quantize build --model '/models/my street.onnx' --out "
	open := func(path string) error {
		e, err := nvinfer.Open(path, nvinfer.Options{Library: shim})
		if err != nil {
			return err
		}
		defer e.Close()
		for range 3 {
			if _, err := e.Run(painted()); err != nil {
				return err
			}
		}
		return nil
	}
	for name, tt := range map[string]struct {
		path string
		kind error
		want []string
	}{
		"another version":    {save(t, "good", func(s *nvinfer.Sidecar) { s.Device.TensorRT = "10.16.2" }), nvinfer.ErrStale, []string{"built with TensorRT 10.16.2 and this machine has 10.3.0", command, " --level 5 --workspace 512"}},
		"another GPU":        {save(t, "good", func(s *nvinfer.Sidecar) { s.Device.GPU = "Thor" }), nvinfer.ErrStale, []string{"built for Thor", command}},
		"another capability": {save(t, "good", func(s *nvinfer.Sidecar) { s.Device.Capability = "11.0" }), nvinfer.ErrStale, []string{"(compute capability 11.0)", command}},
		"fewer processors":   {save(t, "good", func(s *nvinfer.Sidecar) { s.Device.Processors = 4 }), nvinfer.ErrStale, []string{"with 4 processors", command}},
		"a damaged plan":     {damage(t, save(t, "good", nil)), nvinfer.ErrStale, []string{"it is not the plan that street.engine.json describes", command}},
		"no sidecar":         {remove(t, save(t, "good", nil)), nvinfer.ErrStale, []string{"street.engine.json is missing", "robustnet-quantize build"}},
		"no JSON beside it":  {describe(t, save(t, "good", nil), "{"), nvinfer.ErrStale, []string{"street.engine.json", "unexpected end", "run: robustnet-quantize build --model MODEL.trt-int8.onnx --out "}},
		"a later sidecar":    {describe(t, save(t, "good", nil), `{"version": 9}`), nvinfer.ErrStale, []string{"version 9", "--model MODEL.trt-int8.onnx --out "}},
		"no card":            {save(t, "good", func(s *nvinfer.Sidecar) { s.Card = []byte(`{}`) }), trt.ErrContract, []string{command}},
		"another model": {save(t, "good", func(s *nvinfer.Sidecar) {
			s.Card = bytes.Replace(s.Card, []byte(`"width":48`), []byte(`"width":64`), 1)
		}), trt.ErrContract, []string{"tensor image"}},
		"a wrong type":  {save(t, "mask-type", nil), trt.ErrContract, []string{"tensor mask"}},
		"no style":      {save(t, "no-style", nil), trt.ErrContract, []string{"no tensor style"}},
		"no plan":       {save(t, "", func(*nvinfer.Sidecar) {}), nil, nil},
		"no memory":     {save(t, "memory", nil), nvinfer.ErrMemory, []string{"CUDA error 2"}},
		"a failing run": {save(t, "run", nil), nvinfer.ErrRun, []string{"infer frame 0", "refused"}},
		"a broken GPU":  {save(t, "broken", nil), nvinfer.ErrBroken, []string{"719"}},
		"no engine":     {filepath.Join(t.TempDir(), "none.engine"), nvinfer.ErrStale, nil},
	} {
		err := open(tt.path)
		if !errors.Is(err, tt.kind) {
			t.Errorf("%s: error %v, want one that is %v", name, err, tt.kind)
		}
		for _, want := range tt.want {
			if !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("%s: error %q, want one line with %q", name, err, want)
			}
		}
	}
}

// TestOutdated notices a model that has changed, but not one that is gone.
func TestOutdated(t *testing.T) {
	model := filepath.Join(t.TempDir(), "street.onnx")
	origin, err := nvinfer.OriginOf(model, []byte("a model"))
	if err != nil {
		t.Fatal(err)
	}
	path := save(t, "good", func(s *nvinfer.Sidecar) { s.Model, s.Build = origin, nvinfer.Build{Level: nvinfer.DefaultLevel} })
	for content, want := range map[string]string{"": "", "a model": "", "another": "robustnet-quantize build --model " + model + " --out " + path} {
		if err := os.Remove(model); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(model, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		e, err := nvinfer.Open(path, nvinfer.Options{Library: shimtest.Library(t)})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := e.Outdated(); got != want || ok != (want != "") {
			t.Errorf("with %q: %q, %t; want %q", content, got, ok, want)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func damage(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("PLAN baad"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func describe(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path+nvinfer.SidecarEnding, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func remove(t *testing.T, path string) string {
	t.Helper()
	if err := os.Remove(path + nvinfer.SidecarEnding); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScalesOnGPU gives frames to the kernel where it takes them, and scales others on the CPU.
func TestScalesOnGPU(t *testing.T) {
	shim, path := shimtest.Library(t), save(t, "good", nil)
	kernel := filepath.Join(t.TempDir(), "robustnet-scale.fatbin")
	if err := os.WriteFile(kernel, []byte("KERNEL"), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := nvinfer.Open(path, nvinfer.Options{Library: shim, Kernel: kernel})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	large := &camera.Frame{Pix: make([]byte, 72*96*3), Width: 96, Height: 72}
	for i := range 72 * 96 {
		large.Pix[3*i+2] = byte(i / 96)
	}
	converted := 0
	raw := func(format camera.PixelFormat, size int) *camera.Frame {
		f := camera.NewRawPool(96, 72, format, size, func(bgr, raw []byte) error {
			converted++
			for i := range bgr {
				bgr[i] = raw[0]
			}
			return nil
		}).Get()
		bytes, _ := f.Raw()
		for i := range bytes {
			bytes[i] = 99
		}
		return f
	}
	yuyv, nv12 := raw(camera.YUYV, 96*72*2), raw(camera.NV12, 96*72*3/2)
	for i, tt := range []struct {
		frame *camera.Frame
		onGPU bool
		want  byte // the mask's second row
	}{{large, true, 4}, {large, true, 4}, {painted(), false, 2 * 48}, {large, true, 4}, {yuyv, true, 99}, {large, true, 4}, {yuyv, true, 99}, {nv12, false, 99}, {large, true, 4}} {
		r, err := e.Run(tt.frame)
		if err != nil {
			t.Fatal(err)
		}
		if e.ScalesOnGPU() != tt.onGPU || r.Mask[24] != tt.want {
			t.Errorf("run %d: scaled on the GPU: %t, mask %d; want %t, %d", i, e.ScalesOnGPU(), r.Mask[24], tt.onGPU, tt.want)
		}
	}
	if converted != 1 {
		t.Errorf("%d raw frames were converted, want the one that the CPU scales", converted)
	}
	for note, frames := range map[string][2]*camera.Frame{"one camera": {large, large}, "two in turns": {large, yuyv}} {
		if n := testing.AllocsPerRun(20, func() { _, _ = e.Run(frames[0]); _, _ = e.Run(frames[1]) }); n > 0 {
			t.Errorf("%s: %v allocations a frame, want none", note, n)
		}
	}
	short := &camera.Frame{Pix: large.Pix[:100], Width: 96, Height: 72}
	if _, err := e.Run(short); err == nil || !strings.Contains(err.Error(), "it has 100 bytes, want 20736") {
		t.Errorf("a short frame: %v", err)
	}
	for name, file := range map[string]string{"no kernel": filepath.Join(t.TempDir(), "none"), "no kernel in it": path} {
		if _, err := nvinfer.Open(path, nvinfer.Options{Library: shim, Kernel: file}); err == nil || !strings.Contains(err.Error(), "packaging/build-tensorrt.sh") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedCapture runs without a graph, and says why.
func TestRefusedCapture(t *testing.T) {
	e, err := nvinfer.Open(save(t, "no-graph", nil), nvinfer.Options{Library: shimtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if ok, reason := e.Captured(); ok || reason != "capture a run: not permitted" {
		t.Errorf("captured %t, %q", ok, reason)
	}
	if _, err := e.Run(painted()); err != nil {
		t.Error(err)
	}
}
