package models_test

import (
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestAccuracyIsWhatTheCardSays measures the default model on the streets that were kept
// from its training.
func TestAccuracyIsWhatTheCardSays(t *testing.T) {
	if testing.Short() {
		t.Skip("measuring the default model takes 20 s")
	}
	engine, err := ort.Load(models.DefaultName, models.Default, ort.Options{Library: trttest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for _, style := range scene.Styles() {
		want, ok := engine.Card().Accuracy["scene/"+style.String()]
		if !ok {
			t.Errorf("the card says nothing about %s", style)
			continue
		}
		matrix, err := evaluate.Scenes(engine, evaluate.DefaultStreets(style), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := 100 * matrix.MeanIoU()
		t.Logf("%s: mIoU %.2f, card %.2f", style, got, want.MIoU)
		if math.Abs(got-want.MIoU) > 0.5 {
			t.Errorf("%s: mIoU %.2f, but the card says %.2f", style, got, want.MIoU)
		}
		if got < 40 {
			t.Errorf("%s: mIoU %.2f is not a working model", style, got)
		}
	}
	if n := len(engine.Card().Classes); n != scene.NumClasses {
		t.Errorf("%d classes, want those of the streets", n)
	}
	for id, name := range scene.ClassNames() {
		if got := engine.Card().Classes[id]; got != (trt.Class{Name: name, Color: scene.ClassPalette()[id]}) {
			t.Errorf("class %d is %v, want %s", id, got, name)
		}
	}
}
