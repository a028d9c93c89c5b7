package export_test

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// nearestColour opens the model that labels each pixel with the class of nearest colour.
func nearestColour(t *testing.T, classes int) *ort.Engine {
	t.Helper()
	engine, err := ort.Load("nearest-colour", trttest.Model(trttest.Options{Classes: classes}), ort.Options{Library: library(t)})
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

// save writes a PNG image of 48×36 pixels, creating its folder.
func save(t *testing.T, img image.Image, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// painted returns a picture whose left part has the colour of class 0 and whose right part,
// from column at on, that of class 1; and its labels.
func painted(at int) (picture, labels image.Image) {
	p, l := image.NewRGBA(image.Rect(0, 0, 48, 36)), image.NewGray(image.Rect(0, 0, 48, 36))
	classes := trttest.Classes(2)
	for y := range 36 {
		for x := range 48 {
			id := uint8(0)
			if x >= at {
				id = 1
			}
			c := classes[id].Color
			p.SetRGBA(x, y, color.RGBA{c[0], c[1], c[2], 255})
			l.SetGray(x, y, color.Gray{id})
		}
	}
	return p, l
}

func TestFolderAccuracy(t *testing.T) {
	dir := t.TempDir()
	// The picture of a says 24 columns of each class, its labels too. The labels of b say 12
	// and 36 where the picture says 24 and 24: class 0 is 12 of 24 right, class 1 24 of 36.
	half, labels := painted(24)
	_, quarter := painted(12)
	save(t, half, dir, "images", "a.png")
	save(t, labels, dir, "labels", "a.png")
	save(t, half, dir, "images", "city", "b.png")
	save(t, quarter, dir, "labels", "city", "b.png")
	lists := map[string]string{"b": "city/b\n", "both": "a\n\ncity/b", "away": "../a", "gone": "c"}
	for name, text := range lists {
		write(t, text, dir, "splits", name+".txt")
	}
	engine := nearestColour(t, 2)
	for split, want := range map[string][2]float64{
		"":     {100, 100},
		"b":    {50, 66.67},
		"both": {75, 80}, // 36 of 48 columns, 48 of 60
	} {
		got, err := export.FolderAccuracy(engine, dir, split)
		if err != nil {
			t.Fatal(err)
		}
		mean := (want[0] + want[1]) / 2
		if len(got.PerClass) != 2 || got.PerClass[0] != want[0] || got.PerClass[1] != want[1] || math.Abs(got.MIoU-mean) > 0.01 {
			t.Errorf("split %q: accuracy %+v, want %v by class", split, got, want)
		}
	}
	for split, want := range map[string]string{
		"away": `the name "../a" leads out of the folder`,
		"gone": "picture c is not in",
		"none": "none.txt",
	} {
		if _, err := export.FolderAccuracy(engine, dir, split); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("split %s: error %v, want one with %s", split, err, want)
		}
	}
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSourceStyle(t *testing.T) {
	dir := t.TempDir()
	// Red is 1 everywhere in one picture and 0 in the other: mean 0.5, deviation 0.5.
	left, _ := painted(48)
	right, _ := painted(0)
	save(t, left, dir, "1.png")
	save(t, right, dir, "2.PNG")
	write(t, "no picture", dir, "notes.txt")
	engine := nearestColour(t, 2)
	got, err := export.SourceStyle(engine, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Images != 2 || len(got.Mean) != trttest.StyleLen || got.Mean[0] != 0.5 || got.Std[0] != 0.5 || got.Std[3] != 0 {
		t.Errorf("style %+v, want red of mean and deviation 0.5 over 2 pictures, without deviation inside them", got)
	}
	if _, err := export.SourceStyle(engine, t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no pictures") {
		t.Errorf("empty folder: error %v", err)
	}
	write(t, "no picture", dir, "3.jpg")
	if _, err := export.SourceStyle(engine, dir); err == nil || !strings.Contains(err.Error(), "3.jpg cannot be decoded") {
		t.Errorf("broken picture: error %v", err)
	}
}

func TestScenes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	accuracy, style, err := export.Scenes(nearestColour(t, scene.NumClasses), []scene.Style{scene.Day})
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := accuracy["scene/day"]; !ok || len(accuracy) != 1 || len(a.PerClass) != scene.NumClasses || !(a.MIoU > 0 && a.MIoU < 100) {
		t.Errorf("accuracy %+v, want one of scene/day", accuracy)
	}
	if style.Images != 40 || len(style.Mean) != trttest.StyleLen {
		t.Errorf("style over %d pictures, want 40", style.Images)
	}
	if _, _, err := export.Scenes(nearestColour(t, 2), scene.Styles()); err == nil {
		t.Error("a model of other classes was measured on streets")
	}
}
