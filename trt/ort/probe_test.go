package ort_test

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// tiny is the model of trttest with other outputs.
func tiny(tb testing.TB, outputs ...onnx.Value) *onnx.Model {
	tb.Helper()
	m, err := onnx.Unmarshal(trttest.Model(trttest.Options{}))
	if err != nil {
		tb.Fatal(err)
	}
	return m.WithOutputs(outputs...)
}

// TestProbe looks at tensors within a model whose shapes it is told, and at others.
func TestProbe(t *testing.T) {
	o := ort.Options{Library: trttest.Library(t), Threads: 1}
	m := tiny(t, onnx.Value{Name: "unit"}, onnx.Value{Name: "mean"}, onnx.Value{Name: "ids"})
	values, err := ort.Outputs(m, o)
	want := []onnx.Value{{Name: "unit", Elem: onnx.Float32, Shape: []int64{1, 36, 48, 3}}, {Name: "mean", Elem: onnx.Float32, Shape: []int64{1, 3}},
		{Name: "ids", Elem: 7, Shape: []int64{1, 18, 24}}}
	if err != nil || !reflect.DeepEqual(values, want) {
		t.Fatalf("outputs %v, %v; want %v", values, err, want)
	}
	for name, model := range map[string]*onnx.Model{"told": m.WithOutputs(values...), "found out": m} {
		probe, err := ort.OpenProbe(model, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, level := range []byte{255, 51} { // the second run reuses the outputs of the first
			if err := probe.Run(&camera.Frame{Pix: slices.Repeat([]byte{level, 0, level}, 36*48), Width: 48, Height: 36}); err != nil {
				t.Fatal(err)
			}
			unit, shape, err := probe.Output(0)
			if err != nil || !slices.Equal(shape, want[0].Shape) || len(unit) != 36*48*3 || unit[0] != float32(level)/255 || unit[1] != 0 {
				t.Errorf("%s: shape %v, %d values from %v, %v", name, shape, len(unit), unit[:2], err)
			}
			if mean, _, err := probe.Output(1); err != nil || len(mean) != 3 || mean[1] != 0 || mean[2] < 0.999*float32(level)/255 {
				t.Errorf("%s: mean %v, %v", name, mean, err)
			}
			if got := probe.Pixels(); len(got) != 36*48*3 || got[0] != level {
				t.Errorf("%s: %d pixels from %v", name, len(got), got[:1])
			}
			if _, _, err := probe.Output(2); err == nil || !strings.Contains(err.Error(), "want numbers of float32") {
				t.Errorf("%s: class ids were taken for float32: %v", name, err)
			}
		}
		if err := errors.Join(probe.Close(), probe.Close()); err != nil {
			t.Error(err)
		}
		if err := probe.Run(&camera.Frame{Pix: make([]byte, 3), Width: 1, Height: 1}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a closed probe: %v, want %v", err, os.ErrClosed)
		}
	}
}

func TestProbeFaults(t *testing.T) {
	library := ort.Options{Library: trttest.Library(t), Threads: 1}
	wide := tiny(t, onnx.Value{Name: "mean"})
	wide.Graph.Inputs[0].Shape = []int64{1, 36, -1, 3}
	two := tiny(t, onnx.Value{Name: "mean"})
	two.Graph.Inputs = append(two.Graph.Inputs, onnx.Value{Name: "more", Elem: onnx.Float32, Shape: []int64{1}})
	for name, tt := range map[string]struct {
		m    *onnx.Model
		o    ort.Options
		want string
	}{
		"no such tensor": {tiny(t, onnx.Value{Name: "nothing"}), library, "nothing"},
		"a wrong shape":  {tiny(t, onnx.Value{Name: "mean", Elem: onnx.Float32, Shape: []int64{1, 4}}), library, "mean"},
		"a free size":    {wide, library, "its input is uint8 [1 36 -1 3], want uint8 [1 H W 3]"},
		"two inputs":     {two, library, "it has 2 inputs, want one"},
		"no library":     {tiny(t, onnx.Value{Name: "mean"}), ort.Options{Library: "/nowhere.so"}, "ONNX Runtime cannot be loaded"},
	} {
		probe, err := ort.OpenProbe(tt.m, tt.o)
		if err == nil { // a wrong shape may show in the first run
			err = probe.Run(&camera.Frame{Pix: make([]byte, 3), Width: 1, Height: 1})
			_ = probe.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", name, err, tt.want)
		}
	}
	if _, err := ort.Outputs(tiny(t, onnx.Value{Name: "nothing"}), library); err == nil {
		t.Error("outputs that are not there are found")
	}
}
