package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// TestExportMeasures exports a network that calls every pixel a car, and measures it on
// pictures of which a quarter is.
func TestExportMeasures(t *testing.T) {
	library, err := filepath.Abs(cmp.Or(os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "../../build/lib/libonnxruntime.so.1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(library); err != nil {
		t.Skipf("ONNX Runtime is not here; run make setup, or set ROBUSTNET_MODEL_LIBRARY: %v", err)
	}
	dir := t.TempDir()
	runDir, data, model := filepath.Join(dir, "cars"), filepath.Join(dir, "data"), filepath.Join(dir, "model.onnx")
	const car, void = 8, 11
	writeRun(t, runDir, car)
	for i := range uint8(3) {
		// The left quarter is a car, the next void, and the rest road or, in 2, void.
		rest := []uint8{3, 3, void}[i]
		writePicture(t, filepath.Join(data, "images", fmt.Sprintf("%d.png", i)), func(x int) color.Color { return color.RGBA{uint8(x), 80 * i, 0, 255} })
		writePicture(t, filepath.Join(data, "labels", fmt.Sprintf("%d.png", i)), func(x int) color.Color {
			return color.Gray{[]uint8{car, void, rest, rest}[x/24]}
		})
	}
	if err := os.MkdirAll(filepath.Join(data, "splits"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "splits", "cars.txt"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	export := []string{"export", "--run", runDir, "--size", "64x96", "--out", model, "--onnxruntime", library}
	said := succeed(t, append(export, "--source", filepath.Join(data, "images"), "--eval", "all="+data, "--eval", "cars="+data+":cars")...)
	// Of the 7 quarters that are not void, 3 are cars: cars have an IoU of 3/7, road of 0.
	for _, want := range []string{"style of 3 pictures measured\n", "mIoU on all: 21.43\n", "mIoU on cars: 100.00\n", "wrote " + model} {
		if !strings.Contains(said, want) {
			t.Errorf("export says\n%s\nwant %q in it", said, want)
		}
	}
	card := readCard(t, model)
	if card.Name != "cars" || card.Ignore != void || len(card.Accuracy) != 2 || card.Accuracy["all"].MIoU != 21.43 || card.Accuracy["cars"].PerClass[car] != 100 {
		t.Errorf("card %+v", card)
	}
	if s := card.Style; s.Images != 3 || len(s.Mean) == 0 || len(s.Mean) != len(s.Std) || !slicesFinite(s.Mean) || !(total(s.Std) > 0) {
		t.Errorf("style %+v", s)
	}

	before, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	for want, more := range map[string][]string{
		"holds no pictures":        {"--source", filepath.Join(data, "splits")},
		"measure accuracy: open ":  {"--eval", "x=" + filepath.Join(dir, "none")},
		"splits/none.txt: no such": {"--eval", "x=" + data + ":none"},
	} {
		if code, _, stderr := execute(t, append(export, more...)...); code != cli.Failure || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s; want %q", more, code, stderr, want)
		}
	}
	if after, err := os.ReadFile(model); err != nil || string(after) != string(before) {
		t.Errorf("a failure has changed the model file: %v", err)
	}
}

// writeRun makes a run of CamVid's classes whose network sees one of them everywhere.
func writeRun(t *testing.T, dir string, class int) {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	state := net.Init(1)
	clear(state["final2.0.weight"].Data)
	state["final2.0.bias"].Data[class] = 1
	c := trainrun.Config{Network: spec, Method: nn.ISW, Labels: labels.CamVid(), Origin: "a test"}
	if _, err := trainrun.Create(dir, c, trainrun.Checkpoint{Weights: state}); err != nil {
		t.Fatal(err)
	}
}

// writePicture writes a PNG of 96×64 pixels whose columns are of one color.
func writePicture(t *testing.T, path string, column func(x int) color.Color) {
	t.Helper()
	var p interface {
		image.Image
		Set(x, y int, c color.Color)
	} = image.NewRGBA(image.Rect(0, 0, 96, 64))
	if _, ok := column(0).(color.Gray); ok {
		p = image.NewGray(p.Bounds())
	}
	for y := range 64 {
		for x := range 96 {
			p.Set(x, y, column(x))
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, p); err != nil {
		t.Fatal(err)
	}
}

func readCard(t *testing.T, model string) *trt.Card {
	t.Helper()
	content, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func slicesFinite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 {
			return false
		}
	}
	return true
}
