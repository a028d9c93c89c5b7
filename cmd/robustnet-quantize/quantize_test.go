package main

import (
	"cmp"
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
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// streetModel writes a small network without training, of CamVid's classes.
func streetModel(t *testing.T) string {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	set := labels.CamVid()
	m, err := export.Model(net, net.Init(1), export.Options{Size: nn.Size{Height: 96, Width: 128},
		Card: trt.Card{Name: "street", Method: "isw", Classes: set.Classes, Ignore: set.Ignore}})
	if err != nil {
		t.Fatal(err)
	}
	content, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return modelFile(t, "street.onnx", content)
}

// quantised runs the command on procedural streets.
func quantised(t *testing.T, args ...string) (code int, stdout, stderr, out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "q")
	args = append([]string{"run", "--out", out, "--onnxruntime", trttest.Library(t), "--threads", "1", "--runs", "2"}, args...)
	code, stdout, stderr = commandLine(t, args...)
	return code, stdout, stderr, out
}

func TestRun(t *testing.T) {
	model := streetModel(t)
	pictures := t.TempDir()
	f, err := os.Create(filepath.Join(pictures, "grey.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 64, 48))); err != nil {
		t.Fatal(err)
	}
	f.Close()
	code, stdout, stderr, out := quantised(t, "--model", model, "--calibrate", "scenes=day:0-5", "--calibrate", pictures, "--calibrate-styles", "--count", "4",
		"--eval", "day=scenes=day:100-101", "--eval", "night=scenes=night:100-101", "--max-drop", "100", "--naive", "--sensitivity", "--rank-pictures", "2")
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"fp32", "trt-fp16", "cpu-int8", "trt-int8", "naive", "report: " + filepath.Join(out, "report.html")} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %s in it", stdout, want)
		}
	}
	r, err := report.ReadJSON(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Gate.Passed || len(r.Variants) != 5 || len(r.Domains) != 2 || len(r.Sheets) != 2 || len(r.Tensors) == 0 || len(r.Layers) != r.Variants[0].Convolutions-1 {
		t.Errorf("the report has %d variants, %d domains, %d sheets, %d tensors, %d layers", len(r.Variants), len(r.Domains), len(r.Sheets), len(r.Tensors), len(r.Layers))
	}
	// The three with the lowest ratio are measured, and ordered by what they cost.
	worst, others := r.Layers[:3], r.Layers[3:]
	if !slices.IsSortedFunc(others, func(a, b report.Layer) int { return cmp.Compare(a.SQNR, b.SQNR) }) {
		t.Errorf("layers are not ranked: %+v", others)
	}
	for i, l := range worst {
		if len(l.Drop) != 2 || l.SQNR > others[0].SQNR || i > 0 && slices.Max(l.Drop) > slices.Max(worst[i-1].Drop) {
			t.Errorf("the loss of the worst is missing, or they are not ordered by it: %+v", worst)
		}
	}
	for _, v := range r.Variants {
		if int8 := strings.HasSuffix(v.Name, "int8") || v.Name == naive; int8 != (v.Integer == v.Convolutions-1) {
			t.Errorf("%s: %d of %d convolutions have int8 weights", v.Name, v.Integer, v.Convolutions)
		}
		if v.Name == cpuInt8 && v.IntegerKernels != v.Integer {
			t.Errorf("%d of %d convolutions run as integer kernels", v.IntegerKernels, v.Integer)
		}
		if v.Accuracy[0].Agreement < 50 || (v.Latency != nil) != (v.Name == fp32 || v.Name == cpuInt8) {
			t.Errorf("%s: agreement %.1f %%, latency %v", v.Name, v.Accuracy[0].Agreement, v.Latency)
		}
		checkFile(t, v)
	}
	table, err := quantize.ReadTable(filepath.Join(out, "calibration.json"))
	if err != nil {
		t.Fatal(err)
	}
	if p := table.Pictures; p.Count != 4 || p.Views != 16 || !slices.Equal(p.Sources, []string{"scenes/day:0-5", filepath.Base(pictures)}) {
		t.Errorf("the table is of %+v", p)
	}
	for _, s := range r.Sheets {
		for _, file := range []string{s.Input, s.Truth, s.Float, s.Integer, s.Disagreement} {
			if _, err := os.Stat(filepath.Join(out, file)); err != nil {
				t.Error(err)
			}
		}
	}
	repeated(t, model, out, r)
}

// checkFile holds the card of a variant to what was measured.
func checkFile(t *testing.T, v report.Variant) {
	t.Helper()
	if v.File == "" || v.Name == fp32 {
		return
	}
	content, err := os.ReadFile(v.File)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	if got := card.Accuracy["night"].MIoU; fmt.Sprintf("%.2f", got) != fmt.Sprintf("%.2f", v.Accuracy[1].MIoU) || len(content) != int(v.Bytes) {
		t.Errorf("%s: the card says %.2f on night, the report %.2f", v.Name, got, v.Accuracy[1].MIoU)
	}
	if _, err := onnx.Unmarshal(content); err != nil {
		t.Errorf("%s: %v", v.Name, err)
	}
}

// repeated wants the same models from the table alone.
func repeated(t *testing.T, model, first string, want *report.Report) {
	t.Helper()
	code, stdout, stderr, out := quantised(t, "--model", model, "--calibration", filepath.Join(first, "calibration.json"),
		"--eval", "day=scenes=day:100-101", "--eval", "night=scenes=night:100-101", "--max-drop", "100", "--runs", "0", "--json")
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var got report.Report
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	for i, v := range got.Variants {
		if v.Accuracy[0].MIoU != want.Variants[i].Accuracy[0].MIoU || v.Latency != nil {
			t.Errorf("%s from the same table: %.4f, want %.4f", v.Name, v.Accuracy[0].MIoU, want.Variants[i].Accuracy[0].MIoU)
		}
	}
	for _, name := range []string{"street.cpu-int8.onnx", "street.trt-int8.onnx", "street.trt-fp16.onnx"} {
		a, err1 := os.ReadFile(filepath.Join(first, name))
		b, err2 := os.ReadFile(filepath.Join(out, name))
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%s differs from the same table: %v, %v", name, err1, err2)
		}
	}
}

// TestGate asks for more than 8 bits can give.
func TestGate(t *testing.T) {
	model := streetModel(t)
	args := []string{"--model", model, "--calibrate", "scenes=day:0-1", "--eval", "day=scenes=day:100-101", "--max-drop", "0", "--rank-pictures", "1", "--runs", "0"}
	code, _, stderr, out := quantised(t, args...)
	if code != cli.Gate || !strings.Contains(stderr, "loses") || !strings.Contains(stderr, "--auto-keep") {
		t.Errorf("exit code %d, want %d: %s", code, cli.Gate, stderr)
	}
	r, err := report.ReadJSON(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Gate.Passed || len(r.Gate.Misses) == 0 || len(r.Gate.Blamed) != blamedLayers {
		t.Errorf("gate %+v", r.Gate)
	}
	for _, miss := range r.Gate.Misses {
		if !strings.Contains(stderr, fmt.Sprintf("%s loses %.2f on %s", miss.Variant, miss.Drop, miss.Domain)) {
			t.Errorf("%s\nwant %+v in it", stderr, miss)
		}
	}
}

// TestAutoKeep gives the quantiser something to find: a gate that some layers in float pass.
func TestAutoKeep(t *testing.T) {
	model := streetModel(t)
	args := []string{"--model", model, "--calibrate", "scenes=day:0-1", "--eval", "day=scenes=day:100-101", "--rank-pictures", "1", "--runs", "0"}
	_, _, _, out := quantised(t, append(args, "--max-drop", "100")...)
	r, err := report.ReadJSON(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	drop := 0.0
	for _, v := range r.Variants[2:] {
		drop = max(drop, r.Variants[0].Accuracy[0].MIoU-v.Accuracy[0].MIoU)
	}
	if drop <= 0 {
		t.Skipf("INT8 loses nothing here: %.3f", drop)
	}
	code, _, stderr, out := quantised(t, append(args, "--max-drop", fmt.Sprint(drop/2), "--auto-keep")...)
	if r, err = report.ReadJSON(filepath.Join(out, "report.json")); err != nil {
		t.Fatal(err)
	}
	if passed := code == cli.OK; passed != r.Gate.Passed || len(r.Gate.Kept) == 0 {
		t.Errorf("exit code %d, gate %+v: %s", code, r.Gate, stderr)
	}
	for _, v := range r.Variants {
		if v.Name != fp32 && v.Name != fp16 && v.Integer != v.Convolutions-1-len(v.Kept) {
			t.Errorf("%s: %d of %d convolutions have int8 weights, and %d layers are kept", v.Name, v.Integer, v.Convolutions, len(v.Kept))
		}
	}
}

func TestRunFaults(t *testing.T) {
	model := streetModel(t)
	table := filepath.Join(t.TempDir(), "calibration.json")
	if err := os.WriteFile(table, []byte(`{"version":1,"model_sha256":"00"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	good := []string{"--model", model, "--calibrate", "scenes=day:0-1", "--eval", "day=scenes=day:100-101"}
	with := func(flags ...string) []string { return append(slices.Clone(good), flags...) }
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no model":            {[]string{"--calibrate", "x", "--eval", "y"}, cli.Usage, "say with --model"},
		"no pictures":         {[]string{"--model", model, "--eval", "y"}, cli.Usage, "say with --calibrate"},
		"no domain":           {[]string{"--model", model, "--calibrate", "scenes=day:0-1"}, cli.Usage, "say with --eval"},
		"both":                {with("--calibration", table), cli.Usage, "give one of them"},
		"another model":       {[]string{"--model", model, "--calibration", table, "--eval", "scenes=day:0-1"}, cli.Failure, "it is of another model"},
		"nothing to count":    {[]string{"--model", model, "--calibration", table, "--eval", "scenes=day:0-1", "--calibrate-styles"}, cli.Usage, "are for --calibrate"},
		"no number":           {with("--max-drop", "NaN"), cli.Usage, "0 to 100 points"},
		"a folder":            {[]string{"--model", t.TempDir(), "--calibrate", "scenes=day:0-1", "--eval", "scenes=day:0-1"}, cli.Failure, "it is a folder"},
		"range":               {with("--range", "mxe"), cli.Usage, "did you mean mse?"},
		"percentile":          {with("--percentile", "99"), cli.Usage, "--percentile is for --range percentile"},
		"layer":               {with("--keep", "layer0.0.1"), cli.Usage, "did you mean layer0.0.0?"},
		"drop":                {with("--max-drop", "-1"), cli.Usage, "0 to 100 points"},
		"no such folder":      {[]string{"--model", model, "--calibrate", "/no/such", "--eval", "day=scenes=day:100-101"}, cli.Failure, "/no/such"},
		"unlabelled":          {[]string{"--model", model, "--calibrate", "scenes=day:0-1", "--eval", "scens=day"}, cli.Usage, "did you mean scenes?"},
		"not a model":         {[]string{"--model", table, "--calibrate", "scenes=day:0-1", "--eval", "scenes=day:0-1"}, cli.Failure, "not a readable ONNX model"},
		"not a model with it": {[]string{"--model", modelFile(t, "colour.onnx", trttest.Model(trttest.Options{})), "--calibrate", "scenes=day:0-1", "--eval", "scenes=day:0-1"}, cli.Failure, "convolution"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr, _ := quantised(t, tt.args...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, %q, %s; want %d, %q", code, stdout, stderr, tt.code, tt.want)
			}
		})
	}
}

func TestRunStopped(t *testing.T) {
	model := streetModel(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	code := run(ctx, []string{"run", "--model", model, "--calibrate", "scenes=day:0-1", "--eval", "day=scenes=day:100-101", "--out", t.TempDir(), "--onnxruntime", trttest.Library(t)}, &out, &errs)
	if code != cli.OK || !strings.Contains(errs.String(), "stopped") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}
