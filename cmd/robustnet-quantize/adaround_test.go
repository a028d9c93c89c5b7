package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
)

// TestAdaround quantises the model that comes with the daemon, which is trained, with weights
// rounded to nearest and with regard to what their layers read.
func TestAdaround(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	flags := []string{"--model", modelFile(t, "street.onnx", models.Default), "--calibrate", "scenes=day+dusk:0-1", "--eval", "scenes=day@320x180:900100-900101", "--max-drop", "2", "--runs", "0", "--range", "minmax"}
	nearest, nearestOut := made(t, flags...)
	adapted, adaptedOut := made(t, append(flags, "--adaround")...)
	if nearest.Calibration.Adapted || !adapted.Calibration.Adapted || !adapted.Gate.Passed {
		t.Errorf("the reports say adaptive rounding %t and %t, gate %+v", nearest.Calibration.Adapted, adapted.Calibration.Adapted, adapted.Gate)
	}
	for i, v := range adapted.Variants {
		t.Logf("%s: %.2f, nearest %.2f; agreement %.2f, nearest %.2f", v.Name, v.Accuracy[0].MIoU, nearest.Variants[i].Accuracy[0].MIoU, v.Accuracy[0].Agreement, nearest.Variants[i].Accuracy[0].Agreement)
	}
	for _, name := range []string{"street.cpu-int8.onnx", "street.trt-int8.onnx"} {
		a, b := weightLevels(t, filepath.Join(nearestOut, name)), weightLevels(t, filepath.Join(adaptedOut, name))
		layers, moved, all := 0, 0, 0
		for layer, levels := range a {
			before := moved
			for i, level := range levels {
				all++
				switch d := int(b[layer][i]) - int(level); d {
				case 0:
				case 1, -1:
					moved++
				default:
					t.Fatalf("%s: level %d of %s is %d away from the nearest, want 1 at most", name, i, layer, d)
				}
			}
			if moved > before {
				layers++
			}
		}
		share := float64(moved) / float64(all)
		t.Logf("%s: %.1f %% of the weights moved, in %d of %d layers", name, 100*share, layers, len(a))
		if share < 0.01 || share > 0.5 || layers < len(a)*3/4 {
			t.Errorf("%s: %.1f %% of the weights moved, in %d of %d layers", name, 100*share, layers, len(a))
		}
	}
	if f := "street.trt-fp16.onnx"; read(t, filepath.Join(nearestOut, f)) != read(t, filepath.Join(adaptedOut, f)) {
		t.Error("the model without integers has changed, too")
	}
}

// weightLevels returns the int8 weights of a file by layer.
func weightLevels(t *testing.T, path string) map[string][]int8 {
	t.Helper()
	m, err := onnx.Unmarshal([]byte(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]int8{}
	for _, c := range m.Graph.Initializers {
		if c.Elem == onnx.Int8 && strings.HasSuffix(c.Name, "/weight/levels") {
			if all[c.Name], err = onnx.Values[int8](c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}
