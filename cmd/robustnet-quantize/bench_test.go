package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// forTensorRT is a model of trttest with a tensor of int8 at zero-point 0.
func forTensorRT(t *testing.T) []byte {
	t.Helper()
	m, err := onnx.Unmarshal(trttest.Model(trttest.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	g := &m.Graph
	g.Initializers = append(g.Initializers, onnx.NewTensor("scale", []float32{1. / 127}), onnx.NewTensor("zero", []int8{0}))
	at := slices.IndexFunc(g.Nodes, func(n *onnx.Node) bool { return n.Outputs[0] == "unit" })
	g.Nodes[at].Outputs[0] = "whole"
	g.Nodes = slices.Insert(g.Nodes, at+1,
		&onnx.Node{Op: "QuantizeLinear", Inputs: []string{"whole", "scale", "zero"}, Outputs: []string{"levels"}},
		&onnx.Node{Op: "DequantizeLinear", Inputs: []string{"levels", "scale", "zero"}, Outputs: []string{"unit"}})
	file, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBench(t *testing.T) {
	library := trttest.Library(t)
	small, large := modelFile(t, "small.onnx", trttest.Model(trttest.Options{})), modelFile(t, "large.onnx", trttest.Model(trttest.Options{InputWidth: 96, InputHeight: 72}))
	args := []string{"bench", small, large, small, "--runs", "3", "--warmup", "1", "--threads", "1", "--onnxruntime", library}
	code, stdout, stderr := commandLine(t, args...)
	if code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"ONNX Runtime 1.", " CPU, 1 thread, " + latency.CPU() + "\n", "synthetic street, 1280×720; 3 turns after 1 to warm up\n",
		"\nsmall.onnx   float32  36×48  ", "\nlarge.onnx   float32  72×96  ", "\nthe models scale the picture to different sizes"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %q in it", stdout, want)
		}
	}
	if strings.Contains(stdout, "TensorRT") || strings.Contains(stdout, "stopped") || strings.Count(stdout, "\nsmall.onnx ") != 2 {
		t.Errorf("got\n%s", stdout)
	}
}

// TestBenchJSON has models for TensorRT and of the same name.
func TestBenchJSON(t *testing.T) {
	library, picture := trttest.Library(t), filepath.Join(t.TempDir(), "grey.png")
	var content bytes.Buffer
	if err := png.Encode(&content, image.NewGray(image.Rect(0, 0, 40, 30))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := modelFile(t, "model.onnx", trttest.Model(trttest.Options{})), modelFile(t, "model.onnx", forTensorRT(t))
	code, stdout, stderr := commandLine(t, "bench", first, second, "--json", "--runs", "2", "--warmup", "0", "--threads", "2", "--picture", picture, "--onnxruntime", library)
	var got benchReport
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d, %s, %v", code, stderr, err)
	}
	if got.Threads != 2 || got.CPU != latency.CPU() || got.Turns != 2 || got.Stopped || got.Picture != (benchPicture{picture, 40, 30}) || len(got.Models) != 2 {
		t.Fatalf("got\n%s", stdout)
	}
	if note := "made for TensorRT: " + second + "; "; len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], note) {
		t.Errorf("notes %q, want one of %q", got.Notes, note)
	}
	for i, want := range []benchModel{{Name: first, File: first, Flavour: inspect.Float32}, {Name: second, File: second, Flavour: inspect.TRTInt8}} {
		m := got.Models[i]
		info, err := os.Stat(m.File)
		if err != nil || m.Name != want.Name || m.File != want.File || m.Flavour != want.Flavour || m.Size != info.Size() || m.Input != [2]int{36, 48} {
			t.Errorf("model %d: %+v, %v", i, m, err)
		}
		if l := m.Latency; l.Runs != 2 || l.Warmup != 0 || l.Threads != 2 || !(l.Infer.P50 > 0) || !(l.Whole.P50 >= l.Infer.P50) || !(l.Ratio > 0) {
			t.Errorf("model %d: %+v", i, l)
		}
	}
	if got.Models[0].Latency.Ratio != 1 {
		t.Errorf("the first model takes %v of its own time", got.Models[0].Latency.Ratio)
	}
}

// ending is a context that ends when it was asked so many times whether it has.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestBenchStopped(t *testing.T) {
	model := modelFile(t, "model.onnx", trttest.Model(trttest.Options{}))
	args := []string{"bench", model, model, "--runs", "1000", "--warmup", "0", "--onnxruntime", trttest.Library(t)}
	for _, asked := range []int{0, 3} { // while models are loaded, and then in the first turn
		var out, log bytes.Buffer
		if code := run(&ending{t.Context(), asked}, args, &out, &log); code != cli.OK || out.Len() > 0 || log.String() != "stopped before the first turn was complete\n" {
			t.Errorf("after %d: exit code %d, %q\n%s", asked, code, &log, &out)
		}
	}
	var out, log bytes.Buffer
	code := run(&ending{t.Context(), 20}, args, &out, &log)
	var turns, asked int
	at := strings.LastIndex(out.String(), "\nstopped after ")
	if at < 0 || code != cli.OK || log.Len() > 0 {
		t.Fatalf("exit code %d, %q\n%s", code, &log, &out)
	}
	if _, err := fmt.Sscanf(out.String()[at:], "\nstopped after %d of 1,%d turns\n", &turns, &asked); err != nil || asked != 0 || turns < 1 || turns > 10 ||
		!strings.Contains(out.String(), fmt.Sprintf("; %d turns after 0 to warm up\n", turns)) {
		t.Errorf("%v, got\n%s", err, &out)
	}
}

func TestBenchText(t *testing.T) {
	r := benchReport{
		Backend: "ONNX Runtime 1.30.0 CPU", CPU: "NVIDIA Jetson Orin Nano, ARMv8", Threads: 5, Turns: 50, Options: latency.Options{Warmup: 5, Runs: 50},
		Conditions: report.Conditions{PowerMode: "25W", GPUMHz: 918, GPUMaxMHz: 1020, HottestZone: "gpu-thermal", HottestCelsius: 61.3, PowerWatts: 15.63,
			Policies: []report.Policy{{Cores: "0 1", Governor: "schedutil", CurrentMHz: 1190, MaxMHz: 1510, HardwareMHz: 1984}}},
		Picture: benchPicture{"street.jpg", 1920, 1080},
		Models: []benchModel{
			{Name: "model.onnx", Size: 26_793_051, Flavour: inspect.Float32, Input: [2]int{360, 480},
				Latency: report.Latency{Infer: report.Spread{P50: 200, P90: 210.5, P99: 1250.126}, Whole: report.Spread{P50: 201.5, P90: 212, P99: 1260}, Ratio: 1}},
			{Name: "q.onnx", Size: 13_724_829, Flavour: inspect.CPUInt8, Input: [2]int{360, 480},
				Latency: report.Latency{Infer: report.Spread{P50: 50, P90: 51, P99: 52}, Whole: report.Spread{P50: 51, P90: 52, P99: 53}, Ratio: 0.24956}},
		},
	}
	want := `ONNX Runtime 1.30.0 CPU, 5 threads, NVIDIA Jetson Orin Nano, ARMv8
power mode 25W; GPU 918 MHz, at most 1020 MHz; up to 61 °C (gpu-thermal); up to 15.6 W
cores 0 1: governor schedutil, 1190 MHz, at most 1510 MHz (the hardware 1984 MHz)
street.jpg, 1920×1080; 50 turns after 5 to warm up

                         input  size  network                    whole                     ratio
times in ms  flavour       h×w    MB      p50     p90      p99     p50     p90      p99  network
────────────────────────────────────────────────────────────────────────────────────────────────
model.onnx   float32   360×480  26.8   200.00  210.50  1250.13  201.50  212.00  1260.00    1.000
q.onnx       cpu-int8  360×480  13.7    50.00   51.00    52.00   51.00   52.00    53.00    0.250
`
	if got := r.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r.notes() != nil {
		t.Errorf("notes %q", r.notes())
	}
	r.Invalid, r.Throttled = true, []telemetry.Throttle{{Cause: telemetry.UnderVoltage, Sources: []string{"oc1"}, Events: 2}, {Cause: telemetry.Heat, Sources: []string{"cpufreq-cpu0"}}}
	r.Notes = []string{"stopped after 50 of 60 turns"}
	want += "\ninvalid: clocks were held back while this was measured, by under-voltage (oc1, 2 events); heat (cpufreq-cpu0)\nstopped after 50 of 60 turns\n"
	if got := r.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBenchCommandLines(t *testing.T) {
	sound := trttest.Model(trttest.Options{})
	model, text := modelFile(t, "model.onnx", sound), modelFile(t, "text.png", []byte("no picture"))
	bare := modelFile(t, "bare.onnx", trttest.Model(trttest.Options{NoCard: true}))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no model":        {nil, cli.Usage, "bench: requires at least 1 arg(s), only received 0"},
		"no runs":         {[]string{model, "--runs", "0"}, cli.Usage, "--runs 0: 1 to 1000000 are possible"},
		"many runs":       {[]string{model, "--runs", "1000001"}, cli.Usage, "--runs 1000001: "},
		"negative warmup": {[]string{model, "--warmup", "-1"}, cli.Usage, "--warmup -1: 0 to "},
		"threads":         {[]string{model, "--threads", "-1"}, cli.Usage, "--threads -1: 1 to "},
		"many threads":    {[]string{model, "--threads", "100000"}, cli.Usage, "--threads 100000: 1 to "},
		"mistyped flag":   {[]string{model, "--thread", "1"}, cli.Usage, "did you mean --threads?"},
		"no number":       {[]string{model, "--runs", "many"}, cli.Usage, `invalid argument "many" for "--runs"`},
		"no such file":    {[]string{"none.onnx"}, cli.Failure, "open model: stat none.onnx: no such file"},
		"folder":          {[]string{filepath.Dir(model)}, cli.Failure, "it is a folder"},
		"empty":           {[]string{modelFile(t, "empty.onnx", nil)}, cli.Failure, "it is empty"},
		"not a model":     {[]string{text}, cli.Failure, "model " + text + ": "},
		"cut short":       {[]string{modelFile(t, "short.onnx", sound[:len(sound)/2])}, cli.Failure, "short.onnx: "},
		"no card":         {[]string{bare}, cli.Failure, "it carries no card"},
		"no picture":      {[]string{model, "--picture", text}, cli.Failure, "the file is neither JPEG nor PNG"},
		"picture missing": {[]string{model, "--picture", "none.png"}, cli.Failure, "--picture: none.png: "},
		"picture folder":  {[]string{model, "--picture", filepath.Dir(text)}, cli.Failure, "it is no regular file"},
		"no ONNX Runtime": {[]string{model, "--onnxruntime", "none.so"}, cli.Failure, "with --onnxruntime"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := commandLine(t, append([]string{"bench"}, c.args...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, %q, %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

// TestBenchSecondModel has a sound model before one without a card.
func TestBenchSecondModel(t *testing.T) {
	library := trttest.Library(t)
	sound, bare := modelFile(t, "sound.onnx", trttest.Model(trttest.Options{})), modelFile(t, "bare.onnx", trttest.Model(trttest.Options{NoCard: true}))
	code, stdout, stderr := commandLine(t, "bench", sound, bare, "--onnxruntime", library)
	if code != cli.Failure || stdout != "" || !strings.Contains(stderr, "model "+bare+": ") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}
