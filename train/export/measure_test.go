package export_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// nearestColour opens the model that labels each pixel with the class of nearest colour.
func nearestColour(t *testing.T, classes int) *ort.Engine {
	t.Helper()
	engine, err := ort.Load("nearest-colour", trttest.Model(trttest.Options{Classes: classes}), ort.Options{Library: trttest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// painted writes a PNG picture of 48×36 pixels in one colour.
func painted(t *testing.T, path string, c [3]uint8) {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 48, 36), color.Palette{color.RGBA{c[0], c[1], c[2], 255}})
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestSourceStyle(t *testing.T) {
	dir := t.TempDir()
	// Red is 1 everywhere in one picture and 0 in the other: mean 0.5, deviation 0.5.
	painted(t, filepath.Join(dir, "1.png"), [3]uint8{255, 0, 51})
	painted(t, filepath.Join(dir, "2.PNG"), [3]uint8{0, 0, 51})
	pictures, err := data.OpenPictures(dir)
	if err != nil {
		t.Fatal(err)
	}
	engine := nearestColour(t, 2)
	var seen []int
	got, err := export.SourceStyle(t.Context(), engine, []*data.Set{pictures.Subset([]int{0}), pictures.Subset([]int{1})}, func(done int) { seen = append(seen, done) })
	if err != nil {
		t.Fatal(err)
	}
	if got.Images != 2 || len(got.Mean) != trttest.StyleLen || got.Mean[0] != 0.5 || got.Std[0] != 0.5 || got.Std[3] != 0 || !slices.Equal(seen, []int{1, 2}) {
		t.Errorf("style %+v, want red of mean and deviation 0.5 over 2 pictures, without deviation inside them", got)
	}
	if math.Abs(float64(got.Mean[2])-0.2) > 1e-5 {
		t.Errorf("mean blue is %v, want 0.2", got.Mean[2])
	}

	if _, err := export.SourceStyle(t.Context(), engine, []*data.Set{pictures.Subset(nil)}, nil); err == nil || !strings.Contains(err.Error(), "no pictures") {
		t.Errorf("no pictures: error %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := export.SourceStyle(stopped, engine, []*data.Set{pictures}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: error %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "2.PNG"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.SourceStyle(t.Context(), engine, []*data.Set{pictures}, nil); err == nil || !strings.Contains(err.Error(), "2.PNG: ") {
		t.Errorf("broken picture: error %v", err)
	}
}

func TestAccuracy(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		classes []string
		iou     []float64
		want    []float64
	}{
		"its classes":    {[]string{"a", "b", "c"}, []float64{12.3456, nan, 100}, []float64{12.35, 0, 100}},
		"coarser ones":   {[]string{"a", "b"}, []float64{1, 2}, []float64{}},
		"another order":  {[]string{"b", "a", "c"}, []float64{1, 2, 3}, []float64{}},
		"other classes":  {[]string{"a", "b", "d"}, []float64{1, 2, 3}, []float64{}},
		"nothing at all": {nil, nil, []float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := export.Accuracy(evaluate.Result{MIoU: 56.1751, Classes: c.classes, IoU: c.iou}, trttest.Classes(3))
			if got.MIoU != 56.18 || got.PerClass == nil || !slices.Equal(got.PerClass, c.want) {
				t.Errorf("accuracy %+v, want a mIoU of 56.18 and %v", got, c.want)
			}
		})
	}
}
