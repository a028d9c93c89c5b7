package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"

	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"

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
	Facts []fact
}

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
	scale := scaleEnd(c)
	view.Scale = small(scale)
	if len(mask) != c.Channels*c.Channels {
		mask = nil
	}
	for _, m := range []struct {
		title  string
		values []float32
	}{{"before training", c.Before}, {"after training", c.After}} {
		if m.values == nil {
			continue
		}
		shown := absolutes(m.values)
		picture, err := matrixPicture(shown, c.Channels, scale, colors)
		if err != nil {
			return view, err
		}
		alt := fmt.Sprintf("Absolute covariances of %s %s, %d by %d channels", c.Tap, m.title, c.Channels, c.Channels)
		view.Matrices = append(view.Matrices, matrixView{m.title, alt, picture})
		view.Facts = append(view.Facts, fact{"mean |Σ| off the diagonal, " + m.title, small(pairMean(shown, c.Channels, nil)), ""})
		if mask != nil {
			view.Facts = append(view.Facts, fact{"mean |Σ| where selected, " + m.title, small(pairMean(shown, c.Channels, mask)), ""})
		}
	}
	if mask == nil {
		return view, nil
	}
	entries, selected := make([]float64, len(mask)), 0
	for i, v := range mask {
		entries[i] = float64(min(v, 1))
		selected += int(min(v, 1))
	}
	picture, err := matrixPicture(entries, c.Channels, 1, maskColors)
	if err != nil {
		return view, err
	}
	pairs := c.Channels * (c.Channels - 1) / 2
	view.Matrices = append(view.Matrices, matrixView{"selected by the mask", fmt.Sprintf("The mask of %s selects %d of %d pairs of channels", c.Tap, selected, pairs), picture})
	view.Facts = append(view.Facts, fact{"selected pairs", count(selected), fmt.Sprintf("of %s, %s", count(pairs), percent(float64(selected)/float64(max(pairs, 1))))})
	return view, nil
}

// absolutes are the absolute values; those that are not finite become 0.
func absolutes(values []float32) []float64 {
	shown := make([]float64, len(values))
	for i, v := range values {
		if a := math.Abs(float64(v)); isFinite(a) {
			shown[i] = a
		}
	}
	return shown
}

// scaleEnd is what 99 % of a layer's covariances are below, before and after training, so that
// a few large ones do not leave all others dark.
func scaleEnd(c run.Covariance) float64 {
	var all []float64
	for _, matrix := range [][]float32{c.Before, c.After} {
		for i, v := range absolutes(matrix) {
			if i/c.Channels < i%c.Channels {
				all = append(all, v)
			}
		}
	}
	if len(all) == 0 {
		return 1
	}
	slices.Sort(all)
	if end := all[len(all)*99/100]; end > 0 {
		return end
	}
	return 1
}

// pairMean is the mean over the pairs of different channels, or those that a mask selects.
func pairMean(values []float64, channels int, mask []uint8) float64 {
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
	return pngURL(picture)
}

// rampPicture is the scale of colours from left to right.
func rampPicture(colors color.Palette) (template.URL, error) {
	picture := image.NewPaletted(image.Rect(0, 0, len(colors), 1), colors)
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i)
	}
	return pngURL(picture)
}

// heat is a scale of growing lightness from black through red to white, which the colour-blind
// and a grey printer tell apart, too.
func heat() (color.Palette, error) {
	m := moreland.ExtendedBlackBody()
	m.SetMax(1)
	const levels = 128
	return palette.Palette(m.Palette(levels)).Colors(), nil
}

var maskColors = func() color.Palette {
	const levels = 16
	from, to := [3]float64{238, 240, 243}, [3]float64{0, 84, 147}
	var p color.Palette
	for i := range levels {
		t := float64(i) / (levels - 1)
		mix := func(c int) uint8 { return uint8(math.Round(from[c] + t*(to[c]-from[c]))) }
		p = append(p, color.RGBA{mix(0), mix(1), mix(2), 255})
	}
	return p
}()

func pngURL(picture image.Image) (template.URL, error) {
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&file, picture); err != nil {
		return "", fmt.Errorf("encode picture: %w", err)
	}
	return dataURL("image/png", file.Bytes()), nil
}

func dataURL(kind string, content []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content))
}
