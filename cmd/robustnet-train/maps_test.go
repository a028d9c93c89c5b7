package main

import (
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestMapsOfTraining trains on a folder whose description names a map, and compares the network
// with labels of that set, after the folder is gone.
func TestMapsOfTraining(t *testing.T) {
	torchtest.Library(t)
	library, dir := trttest.Library(t), t.TempDir()
	harbour, cars, out := filepath.Join(dir, "harbour"), filepath.Join(dir, "cars"), filepath.Join(dir, "run")
	writePicture(t, filepath.Join(harbour, "images", "0.png"), func(x int) color.Color { return color.RGBA{uint8(x), 0, 0, 255} })
	writePicture(t, filepath.Join(harbour, "labels", "0.png"), func(x int) color.Color { return color.Gray{uint8(x / 48)} })
	writeCars(t, cars)
	const classes = "classes: [{name: lorry}, {name: quay}]\n"
	fit := []string{"fit", "--train", "folder=" + harbour, "--val", "camvid=" + cars, "--method", "base", "--width", "0.5", "--head", "lite",
		"--crop", "64", "--batch", "2", "--iterations", "2", "--threads", "1", "--out", out}
	writeText(t, filepath.Join(harbour, "dataset.yaml"), classes)
	if code, _, stderr := execute(t, fit...); code != cli.Failure || !strings.Contains(stderr, "or of the first --train can name one") {
		t.Errorf("without a map: exit code %d, %s", code, stderr)
	}
	writeText(t, filepath.Join(harbour, "dataset.yaml"), classes+"maps: {camvid: {lorry: car, quay: road}}\n")
	if code, said, stderr := execute(t, fit...); code != cli.OK || !strings.Contains(said, "cars") {
		t.Fatalf("fit says\n%s\nwithout a validation on cars; exit code %d, %s", said, code, stderr)
	}
	if err := os.RemoveAll(harbour); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"eval", "--threads", "1", "--model", out, "--on", "camvid=" + cars},
		{"adapt", "--threads", "1", "--run", out, "--images", filepath.Join(cars, "images"), "--on", "camvid=" + cars},
		{"eval", "--threads", "1", "--model", out + "-adapted", "--on", "camvid=" + cars},
		{"export", "--run", out, "--size", "64x96", "--out", out + ".onnx", "--onnxruntime", library, "--source", "none", "--eval", "camvid=" + cars},
	} {
		if code, said, stderr := execute(t, args...); code != cli.OK || !strings.Contains(said, "mIoU") {
			t.Errorf("%s says\n%s\nwithout mIoU; exit code %d, %s", args[0], said, code, stderr)
		}
	}
	code, _, stderr := execute(t, "eval", "--model", out+".onnx", "--onnxruntime", library, "--on", "camvid="+cars)
	if code != cli.Failure || !strings.Contains(stderr, "no map leads from") {
		t.Errorf("a model file has no maps: exit code %d, %s", code, stderr)
	}
}
