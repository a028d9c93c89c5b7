package report

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/run"
)

// decoded reads a picture of the page.
func decoded(t *testing.T, url template.URL) image.Image {
	t.Helper()
	text, ok := strings.CutPrefix(string(url), "data:image/png;base64,")
	file, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		t.Fatalf("%.40s is no PNG: %v", url, err)
	}
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

func TestLayerNumbers(t *testing.T) {
	nan := float32(math.NaN())
	c := run.Covariance{
		Tap: "layer1", Channels: 3,
		Before: []float32{1, -0.4, 0.2, -0.4, 1, 0.6, 0.2, 0.6, 1},
		After:  []float32{1, 0.1, nan, 0.1, 1, -0.2, 0.2, -0.2, nan},
	}
	colors, err := heat()
	if err != nil {
		t.Fatal(err)
	}
	view, err := newLayerView(c, []uint8{0, 1, 0, 0, 0, 1, 0, 0, 0}, colors)
	if err != nil {
		t.Fatal(err)
	}
	want := []meanRow{{"all pairs", "0.4", "0.1", "−75 %"}, {"2 of 3 pairs, selected", "0.5", "0.15", "−70 %"}}
	if len(view.Means) != 2 || view.Means[0] != want[0] || view.Means[1] != want[1] || view.Scale != "0.6" {
		t.Errorf("means %v up to %s, want %v", view.Means, view.Scale, want)
	}
	if len(view.Matrices) != 3 {
		t.Fatalf("%d matrices", len(view.Matrices))
	}
	before, mask := decoded(t, view.Matrices[0].Picture), decoded(t, view.Matrices[2].Picture)
	light := func(p image.Image, x, y int) uint32 {
		r, g, b, _ := p.At(x, y).RGBA()
		return r + g + b
	}
	if light(before, 0, 0) != 3*0xffff || light(before, 2, 1) != 3*0xffff || light(before, 1, 0) <= light(before, 2, 0) {
		t.Error("the larger covariance is not the lighter one")
	}
	if light(mask, 1, 0) <= light(mask, 0, 1) || light(mask, 1, 0) != light(mask, 2, 1) {
		t.Error("row 0, column 1 of the mask is not above the diagonal of its picture")
	}
	view, err = newLayerView(run.Covariance{Tap: "x", Channels: 3, Before: c.Before}, nil, colors)
	if err != nil || len(view.Matrices) != 1 || len(view.Means) != 1 || view.Means[0] != (meanRow{"all pairs", "0.4", none, none}) {
		t.Errorf("before the training alone: %+v, %v", view.Means, err)
	}
}

// The scale is one of lightness throughout, so that no colour vision is needed to read it.
func TestHeatGrowsLighter(t *testing.T) {
	colors, err := heat()
	if err != nil {
		t.Fatal(err)
	}
	last := -1.0
	for i, c := range colors {
		r, g, b, _ := c.RGBA()
		linear := func(v uint32) float64 { return math.Pow(float64(v)/0xffff, 2.2) }
		if light := 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b); light < last-1e-3 {
			t.Errorf("level %d of %d is darker than the one before", i, len(colors))
		} else {
			last = light
		}
	}
}

func TestLargeMatricesAreAveraged(t *testing.T) {
	const channels = 600 // in blocks of 3
	values := make([]float64, channels*channels)
	values[4*channels+599] = 9 // alone in the block of row 1, column 199
	colors, err := heat()
	if err != nil {
		t.Fatal(err)
	}
	url, err := matrixPicture(values, channels, 1, colors)
	if err != nil {
		t.Fatal(err)
	}
	p := decoded(t, url)
	if p.Bounds().Dx() != 200 || p.Bounds().Dy() != 200 || p.At(199, 1) != colors[len(colors)-1] && !sameColor(p.At(199, 1), colors[len(colors)-1]) || sameColor(p.At(198, 1), p.At(199, 1)) {
		t.Errorf("a picture of %v with %v at the block", p.Bounds(), p.At(199, 1))
	}
	if odd, err := matrixPicture(make([]float64, 257*257), 257, 1, colors); err != nil || decoded(t, odd).Bounds().Dx() != 129 {
		t.Errorf("257 channels: %v", err)
	}
}
