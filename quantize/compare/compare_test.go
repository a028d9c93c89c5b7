package compare_test

import (
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/quantize/compare"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// engine calls the upper part of every picture sky and the rest road: rows of a mask of 8×12.
type engine struct {
	sky  []int // rows of sky by picture
	next int
	side int // columns of the mask, 0 for 12
}

func (e *engine) Card() *trt.Card {
	set := labels.CamVid()
	return &trt.Card{Classes: set.Classes, Ignore: set.Ignore}
}

func (e *engine) Describe() trt.Description {
	return trt.Description{MaskWidth: e.columns(), MaskHeight: 8}
}

func (e *engine) columns() int {
	if e.side != 0 {
		return e.side
	}
	return 12
}

func (e *engine) Run(*camera.Frame) (trt.Result, error) {
	const sky, road = 0, 3
	mask := make([]uint8, 8*e.columns())
	for i := range mask {
		mask[i] = road
		if i/e.columns() < e.sky[e.next] {
			mask[i] = sky
		}
	}
	e.next++
	return trt.Result{Mask: mask}, nil
}

func (e *engine) Interrupt()   {}
func (e *engine) Close() error { return nil }

func streets(t *testing.T) []*data.Set {
	t.Helper()
	var sets []*data.Set
	for _, source := range []string{"day=scenes=day@96x64:0-1", "night=scenes=night@96x64:0-0"} {
		set, err := data.Open(source)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	return sets
}

func TestComparison(t *testing.T) {
	progress := 0
	c := &compare.Comparison{Domains: streets(t), Progress: func(string, int, int) { progress++ }}
	float, err := c.Score(t.Context(), &engine{sky: []int{4, 4, 4}})
	if err != nil {
		t.Fatal(err)
	}
	if len(float) != 2 || float[0].Domain != "day" || float[0].Pictures != 2 || c.Agreement(0) != 100 || progress != 3 {
		t.Errorf("%d results, agreement with itself %v, %d pictures shown", len(float), c.Agreement(0), progress)
	}
	// The second picture differs in two rows of eight, that by night in all eight.
	other, err := c.Score(t.Context(), &engine{sky: []int{4, 6, 8}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Agreement(0); got != 87.5 || c.Worst(0) != 1 || c.Agreement(1) != 50 || c.Worst(1) != 0 {
		t.Errorf("agreement %v %% by day, worst picture %d; %v %% by night", got, c.Worst(0), c.Agreement(1))
	}
	if other[0].MIoU == float[0].MIoU {
		t.Error("another mask has the same score")
	}
	a := compare.Accuracy(other[0], c.Agreement(0))
	if a.MIoU != other[0].MIoU || len(a.IoU) != 11 || a.Agreement != 87.5 {
		t.Errorf("accuracy %+v", a)
	}
	if _, err := c.Score(t.Context(), &engine{sky: []int{4, 4, 4}, side: 6}); err == nil || !strings.Contains(err.Error(), "compare models of the same size") {
		t.Errorf("masks of another size: %v", err)
	}
}

func TestSheet(t *testing.T) {
	c := &compare.Comparison{Domains: streets(t)}
	sheet, err := c.Draw(0, 1, func(p *data.Picture) (float, integer []uint8, err error) {
		float, integer = make([]uint8, p.Width*p.Height), make([]uint8, p.Width*p.Height)
		integer[5] = 3
		return float, integer, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sheet.Classes = labels.CamVid()
	dir := t.TempDir()
	var r report.Sheet
	if err := sheet.Write(dir, "s", &r); err != nil {
		t.Fatal(err)
	}
	if want := 100 * (1 - 1.0/(96*64)); math.Abs(r.Agreement-want) > 1e-9 || r.Input != "s_input.png" {
		t.Errorf("agreement %v, want %v; input %s", r.Agreement, want, r.Input)
	}
	for file, at := range map[string]struct{ x, red, green int }{r.Disagreement: {5, 255, 64}, r.Integer: {5, 128, 64}, r.Float: {5, 128, 128}} {
		img := read(t, filepath.Join(dir, file))
		if red, green, _, _ := img.At(at.x, 0).RGBA(); int(red>>8) != at.red || int(green>>8) != at.green || img.Bounds().Dx() != 96 {
			t.Errorf("%s: pixel %d is %d, %d; want %d, %d", file, at.x, red>>8, green>>8, at.red, at.green)
		}
	}
}

func read(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
