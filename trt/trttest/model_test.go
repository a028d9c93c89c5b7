package trttest_test

import (
	"testing"

	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// Colours near each other would make masks depend on rounding.
func TestColoursAreFarApart(t *testing.T) {
	classes := trttest.Classes(27)
	for i, a := range classes {
		for _, b := range classes[:i] {
			apart := 0
			for c := range a.Color {
				apart = max(apart, int(a.Color[c])-int(b.Color[c]), int(b.Color[c])-int(a.Color[c]))
			}
			if apart < 127 {
				t.Errorf("%s %v and %s %v differ by %d levels, want 127 or more", a.Name, a.Color, b.Name, b.Color, apart)
			}
		}
	}
}

func TestModelsKeepTheContract(t *testing.T) {
	for _, o := range []trttest.Options{
		{},
		{Classes: 1, InputWidth: 2, InputHeight: 2},
		{Classes: 27, InputWidth: 640, InputHeight: 360, MaskWidth: 640, MaskHeight: 360},
		{InputWidth: 30, InputHeight: 20, MaskWidth: 3, MaskHeight: 4},
	} {
		if _, err := trt.ReadCard(trttest.Model(o)); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
