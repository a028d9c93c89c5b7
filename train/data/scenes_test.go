package data_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/data"
)

func TestScenes(t *testing.T) {
	s := open(t, "scenes=day+rain@128x64:7-8")
	if want := []string{"day/000007", "day/000008", "rain/000007", "rain/000008"}; !slices.Equal(names(s), want) || s.Name != "scenes/day+rain:7-8" {
		t.Errorf("%s of %q, want %q", s.Name, names(s), want)
	}
	day, other, rain := read(t, s, 0), read(t, s, 1), read(t, s, 2)
	if day.Width != 128 || day.Height != 64 || len(day.RGB) != 3*128*64 || len(day.Labels) != 128*64 {
		t.Errorf("%d x %d pixels, %d bytes, %d labels", day.Width, day.Height, len(day.RGB), len(day.Labels))
	}
	if !slices.Equal(day.Labels, rain.Labels) || slices.Equal(day.RGB, rain.RGB) {
		t.Error("rain is not the same street in another light")
	}
	if slices.Equal(day.Labels, other.Labels) {
		t.Error("two streets are the same")
	}
	if slices.Max(day.Labels) >= scene.NumClasses || len(s.Classes.Classes) != scene.NumClasses {
		t.Errorf("class %d of %d", slices.Max(day.Labels), len(s.Classes.Classes))
	}

	var group sync.WaitGroup // with -race, this finds what is shared
	for range 4 {
		group.Go(func() {
			if p, err := s.Read(0); err != nil || !slices.Equal(p.RGB, day.RGB) || !slices.Equal(p.Labels, day.Labels) {
				t.Errorf("reading again gives another picture (%v)", err)
			}
		})
	}
	group.Wait()
}

// TestRedFirst wants a blue sky by day.
func TestRedFirst(t *testing.T) {
	p := read(t, open(t, "scenes=day@128x64:1-1"), 0)
	var red, blue int
	for i, class := range p.Labels {
		if class == scene.ClassSky {
			red += int(p.RGB[3*i])
			blue += int(p.RGB[3*i+2])
		}
	}
	if blue <= red {
		t.Errorf("the day's sky has %d of red and %d of blue", red, blue)
	}
}

// TestHeldOut keeps the streets of training apart from those of evaluation.
func TestHeldOut(t *testing.T) {
	train, val := open(t, "scenes=fog"), open(t, "scenes=fog:val")
	if first := val.Sample(0).Name; first != "fog/900000" || data.HeldOut != 900_000 {
		t.Errorf("evaluation begins with %s", first)
	}
	if last := train.Sample(train.Len() - 1).Name; last != "fog/001999" || train.Name != "scenes/fog:train" {
		t.Errorf("%s ends with %s", train.Name, last)
	}
}
