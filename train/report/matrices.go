package report

import (
	"fmt"
	"html/template"
	"image"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
)

// layerView shows the covariances of one whitened layer, as the paper does.
type layerView struct {
	Tap, Norm string
	Channels  int
	// Matrices are those that there are, of before and after the training and the mask.
	Matrices []matrixView
	// Scale is the covariance of the scale's light end, and Ramp the scale.
	Scale string
	Ramp  template.URL
	// Means are of |Σ| over the pairs of different channels, and of those the selected ones.
	Means []meanRow
}

// meanRow is a mean of absolute covariances before and after the training.
type meanRow struct{ Name, Before, After, Change string }

// matrixView is a matrix as a picture.
type matrixView struct {
	Title, Alt string
	Picture    template.URL
}

// layers reads the covariances, in the order of the network's data flow.
func layers(r record) ([]layerView, error) {
	covariances, err := run.ReadCovariances(r.Dir)
	if err != nil || len(covariances) == 0 {
		return nil, err
	}
	masks, maskErr := run.ReadMasks(r.Dir)
	net, err := nn.New(r.Config.Network)
	if err != nil {
		return nil, err
	}
	colors, err := heat()
	if err != nil {
		return nil, err
	}
	ramp, err := rampPicture(colors)
	if err != nil {
		return nil, err
	}
	var views []layerView
	for _, tap := range net.Taps {
		c, ok := covariances[tap.Name]
		if !ok {
			continue
		}
		view, err := newLayerView(c, masks[tap.Name], colors)
		if err != nil {
			return nil, err
		}
		view.Norm, view.Ramp = tap.Norm.String(), ramp
		views = append(views, view)
	}
	return views, maskErr
}

func newLayerView(c run.Covariance, mask []uint8, colors color.Palette) (layerView, error) {
	view := layerView{Tap: c.Tap, Channels: c.Channels}
	if len(mask) != c.Channels*c.Channels {
		mask = nil
	}
	before, after := absolutes(c.Before), absolutes(c.After)
	scale := scaleEnd(c.Channels, before, after)
	view.Scale = small(scale)
	add := func(title, alt string, values []float64, end float64, colors color.Palette) error {
		if values == nil {
			return nil
		}
		picture, err := matrixPicture(values, c.Channels, end, colors)
		view.Matrices = append(view.Matrices, matrixView{title, alt, picture})
		return err
	}
	alt := fmt.Sprintf("Absolute covariances of the %d channels of %s ", c.Channels, c.Tap)
	if err := add("before training", alt+"before training", before, scale, colors); err != nil {
		return view, err
	}
	if err := add("after training", alt+"after training", after, scale, colors); err != nil {
		return view, err
	}
	view.Means = append(view.Means, newMeanRow("all pairs", c.Channels, before, after, nil))
	if mask == nil {
		return view, nil
	}
	selected := make([]float64, len(mask))
	n := 0
	for i, v := range mask {
		if v > 0 {
			selected[i] = 1
			n++
		}
	}
	pairs := c.Channels * (c.Channels - 1) / 2
	what := fmt.Sprintf("%s of %s pairs", count(n), count(pairs))
	view.Means = append(view.Means, newMeanRow(what+", selected", c.Channels, before, after, mask))
	return view, add("selected by the mask: "+what, "The mask of "+c.Tap+" selects "+what, selected, 1, maskColors())
}

func newMeanRow(name string, channels int, before, after []float64, mask []uint8) meanRow {
	row := meanRow{name, none, none, none}
	was, is := pairMean(before, channels, mask), pairMean(after, channels, mask)
	row.Before, row.After = small(was), small(is)
	if isFinite(is / was) {
		row.Change = signed(fmt.Sprintf("%+.0f", 100*(is/was-1))) + " %"
	}
	return row
}

// absolutes are the absolute values, nil for nil; those that are not finite become 0.
func absolutes(values []float32) []float64 {
	if values == nil {
		return nil
	}
	shown := make([]float64, len(values))
	for i, v := range values {
		if a := math.Abs(float64(v)); isFinite(a) {
			shown[i] = a
		}
	}
	return shown
}

// scaleEnd is what 99 % of the covariances of different channels are below, before and after
// training, so that a few large ones do not leave all others dark.
func scaleEnd(channels int, matrices ...[]float64) float64 {
	var all []float64
	for _, matrix := range matrices {
		for at, v := range matrix {
			if at/channels < at%channels {
				all = append(all, v)
			}
		}
	}
	slices.Sort(all)
	if n := len(all); n > 0 && all[n*99/100] > 0 {
		return all[n*99/100]
	}
	return 1
}

// pairMean is the mean over the pairs of different channels, or those that a mask selects; NaN
// without any.
func pairMean(values []float64, channels int, mask []uint8) float64 {
	if values == nil {
		return math.NaN()
	}
	sum, n := 0.0, 0
	for i := range channels {
		for at := i*channels + i + 1; at < (i+1)*channels; at++ {
			if mask == nil || mask[at] > 0 {
				sum += values[at]
				n++
			}
		}
	}
	return sum / float64(n)
}

// maxSide is the greatest side of a matrix's picture in pixels; larger matrices are averaged.
const maxSide = 256

// matrixPicture draws values from 0 to end, row by row from the top.
func matrixPicture(values []float64, channels int, end float64, colors color.Palette) (template.URL, error) {
	block := (channels + maxSide - 1) / maxSide
	side := (channels + block - 1) / block
	sums, counts := make([]float64, side*side), make([]float64, side*side)
	for i := range channels {
		for j := range channels {
			at := i/block*side + j/block
			sums[at] += values[i*channels+j]
			counts[at]++
		}
	}
	picture := image.NewPaletted(image.Rect(0, 0, side, side), colors)
	for at := range sums {
		level := min(sums[at]/counts[at]/end, 1)
		picture.Pix[at] = uint8(math.Round(level * float64(len(colors)-1)))
	}
	return page.PNG(picture)
}

// rampPicture is the scale of colours from left to right.
func rampPicture(colors color.Palette) (template.URL, error) {
	picture := image.NewPaletted(image.Rect(0, 0, len(colors), 1), colors)
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i)
	}
	return page.PNG(picture)
}

// heat is a scale of growing lightness from black through red to white, which the colour-blind
// and a grey printer tell apart, too.
func heat() (color.Palette, error) {
	m := moreland.ExtendedBlackBody()
	m.SetMax(1)
	const levels = 128
	return palette.Palette(m.Palette(levels)).Colors(), nil
}

// maskColors go from nothing selected to all: larger masks are averaged, too.
func maskColors() color.Palette {
	const levels = 16
	none, all := [3]float64{30, 34, 42}, [3]float64{110, 205, 255}
	var p color.Palette
	for i := range levels {
		mix := func(c int) uint8 {
			return uint8(math.Round(none[c] + (all[c]-none[c])*float64(i)/(levels-1)))
		}
		p = append(p, color.RGBA{mix(0), mix(1), mix(2), 255})
	}
	return p
}
