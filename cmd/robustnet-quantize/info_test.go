package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// commandLine runs one and returns what it did.
func commandLine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// modelFile writes a file into a folder of the test.
func modelFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// integers is a model without a card: a convolution as ONNX Runtime wants it, called a, and
// one of float32 that has no name.
func integers(t *testing.T) []byte {
	t.Helper()
	m := &onnx.Model{IR: 8, Opset: 17}
	b := onnx.NewBuilder(m)
	b.Input(onnx.Value{Name: "x", Elem: onnx.Uint8, Shape: []int64{1, 1, -1, 4}})
	scale, zero := b.Initializer(onnx.NewTensor("scale", []float32{1})), b.Initializer(onnx.NewTensor("zero", []uint8{7}))
	bytes := b.Node("DequantizeLinear", "", []string{b.Initializer(onnx.NewTensor("levels", make([]int8, 1800), 200, 1, 3, 3)), scale})
	floats := b.Initializer(onnx.NewTensor("floats", make([]float32, 400), 2, 200, 1, 1))
	a := b.Node("Conv", "a", []string{b.Node("DequantizeLinear", "", []string{"x", scale, zero}), bytes})
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Op: "Conv", Inputs: []string{a, floats}, Outputs: []string{"y"}})
	m.Graph.Outputs = []onnx.Value{{Name: "y", Elem: onnx.Float32}}
	file, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestInfo compares with what sha256sum and Python's package onnx say of the file, and with
// the card in it.
func TestInfo(t *testing.T) {
	path := modelFile(t, "default.onnx", models.Default)
	code, stdout, stderr := commandLine(t, "info", path)
	if code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"scene-tiny\n\nfile        " + path + "\nsize        853,061 bytes (0.9 MB)\n" +
		"SHA-256     cca778d0978b3e33c8f231eabf7e7d9523905b45fb8ecc89755f14d87efe2b48\nflavour     float32\nopset       17, 187 nodes\n", `
input       image, uint8 1×360×640×3
output      mask, uint8 1×180×320
            style, float32 1×32
method      in
trunk       tiny inverted residuals, instance norm after the stem
11 classes  sky, building, pole, road, pavement, tree, sign, fence, car,
            pedestrian, bicyclist
picture     360×640 pixels, mask 180×320
style       32 numbers of stem, statistics of 240 pictures
training    procedural streets`, `
accuracy by the card   mIoU
───────────────────────────
scene/day             62.91
scene/dusk            64.75
`, `
parameters   number    bytes
────────────────────────────
float32     205,574  822,296
int64            15      120
────────────────────────────
all         205,589  822,416

42 of 42 convolutions float32
activations read: 42 float32; written: 42 float32
`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant\n%s", stdout, want)
		}
	}
	if strings.Contains(stdout, "/stem/Conv") {
		t.Error("layers are listed without --layers")
	}
}

func TestInfoWithoutCard(t *testing.T) {
	path := modelFile(t, "integers.onnx", integers(t))
	code, stdout, stderr := commandLine(t, "info", path, "--layers")
	if code != cli.OK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"no card that can be used: it breaks the model-file contract of docs/model-file.md: it carries no card", `
flavour  INT8 for ONNX Runtime
opset    17, 4 nodes
input    x, uint8 1×1×?×4
output   y, float32 ?

parameters  number  bytes
─────────────────────────
int8         1,800  1,800
float32        401  1,604
uint8            1      1
─────────────────────────
all          2,202  3,405

1 of 2 convolutions int8, 1 float32 (y)
activations read: 1 uint8, 1 float32; written: 2 float32

convolution  weights    precision  reads    writes
───────────────────────────────────────────────────
a            200×1×3×3  int8       uint8    float32
y            2×200×1×1  float32    float32  float32
`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant\n%s", stdout, want)
		}
	}
	small := modelFile(t, "small.onnx", trttest.Model(trttest.Options{}))
	if code, stdout, _ := commandLine(t, "info", small); code != cli.OK || !strings.Contains(stdout, "\nno convolutions\n") || !strings.Contains(stdout, ", statistics of 1 picture\n") {
		t.Errorf("without convolutions: exit code %d\n%s", code, stdout)
	}
}

func TestInfoJSON(t *testing.T) {
	path := modelFile(t, "integers.onnx", integers(t))
	for _, layers := range []bool{false, true} {
		args := []string{"info", path, "--json"}
		if layers {
			args = append(args, "--layers")
		}
		code, stdout, stderr := commandLine(t, args...)
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != cli.OK || stderr != "" {
			t.Fatalf("exit code %d, %s, %v", code, stderr, err)
		}
		if got["flavour"] != "cpu-int8" || got["convolutions"] != 2. || got["integer_convolutions"] != 1. || got["card"] != nil ||
			got["parameters"] != 2202. || got["parameter_bytes"] != 3405. || got["opset"] != 17. || got["nodes"] != 4. {
			t.Errorf("got\n%s", stdout)
		}
		if fault, ok := got["card_fault"].(string); !ok || !strings.Contains(fault, "carries no card") {
			t.Errorf("card_fault %v", got["card_fault"])
		}
		if listed, _ := got["layers"].([]any); layers && len(listed) != 2 || !layers && listed != nil {
			t.Errorf("with --layers %t: %v", layers, got["layers"])
		}
	}
	_, stdout, _ := commandLine(t, "info", modelFile(t, "default.onnx", models.Default), "--json")
	var whole struct {
		Card    trt.Card       `json:"card"`
		Bytes   int64          `json:"bytes"`
		Outputs []inspect.Port `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil || whole.Card.Name != "scene-tiny" || len(whole.Card.Classes) != 11 || whole.Bytes != 853061 ||
		len(whole.Outputs) != 2 || whole.Outputs[1].Name != "style" || !slices.Equal(whole.Outputs[1].Shape, []int64{1, 32}) {
		t.Errorf("%v, got\n%s", err, stdout)
	}
}

// TestInfoSteersNoTerminal has names of a file that would.
func TestInfoSteersNoTerminal(t *testing.T) {
	const clear = "\x1b[2J"
	m, err := onnx.Unmarshal(trttest.Model(trttest.Options{EditCard: func(c *trt.Card) {
		c.Name, c.Method, c.Training, c.Classes[0].Name, c.Accuracy = clear, clear, clear+"\n", clear, map[string]trt.Accuracy{clear: {}}
		c.Style.Layers = []string{strings.Repeat("x", 10_000)}
	}}))
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Name: clear, Op: "Conv", Inputs: []string{"unit", "weight"}, Outputs: []string{"more"}})
	file, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := commandLine(t, "info", modelFile(t, "steers.onnx", file), "--layers")
	if code != cli.OK || strings.Contains(stdout, "\x1b") || !strings.Contains(stdout, "�[2J") || len(stdout) > 5000 {
		t.Errorf("exit code %d, %q, %d bytes:\n%q", code, stderr, len(stdout), stdout)
	}
}

func TestInfoCommandLines(t *testing.T) {
	whole := models.Default
	model := modelFile(t, "whole.onnx", whole)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no model":       {nil, cli.Usage, "info: accepts 1 arg(s), received 0"},
		"two models":     {[]string{model, model}, cli.Usage, "info: accepts 1 arg(s), received 2"},
		"mistyped flag":  {[]string{model, "--layer"}, cli.Usage, "did you mean --layers?"},
		"no such file":   {[]string{"none.onnx"}, cli.Failure, "open model: stat none.onnx: no such file"},
		"folder":         {[]string{filepath.Dir(model)}, cli.Failure, "it is a folder"},
		"device":         {[]string{os.DevNull}, cli.Failure, "it is no regular file"},
		"empty":          {[]string{modelFile(t, "empty.onnx", nil)}, cli.Failure, "it is empty"},
		"not a model":    {[]string{modelFile(t, "page.onnx", []byte("<!DOCTYPE html><html></html>"))}, cli.Failure, "inspect model "},
		"zeros":          {[]string{modelFile(t, "zeros.onnx", make([]byte, 4096))}, cli.Failure, "inspect model "},
		"cut in half":    {[]string{modelFile(t, "half.onnx", whole[:len(whole)/2])}, cli.Failure, "inspect model "},
		"cut at the end": {[]string{modelFile(t, "short.onnx", whole[:len(whole)-1])}, cli.Failure, "inspect model "},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := commandLine(t, append([]string{"info"}, c.args...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, %q, %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

// TestInfoDamaged wants no damage to end the program with anything but an exit code.
func TestInfoDamaged(t *testing.T) {
	sound := integers(t)
	for at := range sound {
		if len(sound) > 2000 && at > 300 && at < len(sound)-300 {
			continue // weights
		}
		damaged := slices.Clone(sound)
		damaged[at] ^= 0xff
		for _, file := range [][]byte{damaged, sound[:at]} {
			d, err := newModelInfo("damaged.onnx", file)
			if (d == nil) == (err == nil) {
				t.Fatalf("byte %d: %v, %v", at, d, err)
			}
			if d != nil && !strings.Contains(d.text(), "SHA-256") {
				t.Errorf("byte %d: got\n%s", at, d.text())
			}
		}
	}
}

func TestWrap(t *testing.T) {
	for name, c := range map[string]struct {
		words []string
		want  []string
	}{
		"fits":     {[]string{"ab", "cd"}, []string{"ab, cd"}},
		"breaks":   {[]string{"ab", "cd", "ef"}, []string{"ab, cd,", "ef"}},
		"long":     {[]string{"abcdefghij", "k"}, []string{"abcdefghij,", "k"}},
		"accents":  {[]string{"öä", "üß"}, []string{"öä, üß"}},
		"one word": {[]string{"a"}, []string{"a"}},
		"none":     {nil, nil},
	} {
		if got := wrap(c.words, 7); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
