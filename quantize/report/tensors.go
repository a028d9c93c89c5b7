package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// tensorCharts show how the values of the noisiest tensors are spread.
type tensorCharts struct {
	Charts []tensorChart
	// Omitted is the number of those beyond the page's limit.
	Omitted int
}

type tensorChart struct {
	Name string
	// SVG is empty where no value was counted.
	SVG    template.HTML
	Ranges []rangeRow
}

// rangeRow is one of the two ranges. Series is its colour.
type rangeRow struct {
	Name, Glyph, Range, SQNR string
	Series                   int
}

const (
	maxTensors      = 24
	affineSeries    = 1
	symmetricSeries = 2
)

func newTensorCharts(tensors []Tensor) (tensorCharts, error) {
	shown := tensors[:min(len(tensors), maxTensors)]
	charts := tensorCharts{Omitted: len(tensors) - len(shown)}
	for _, t := range shown {
		chart := tensorChart{Name: t.Name, Ranges: []rangeRow{
			{"affine, CPU", "━", affineText(t.Affine), decibels(t.AffineSQNR), affineSeries},
			{"symmetric, TensorRT", "╍", symmetricText(t.Symmetric), decibels(t.SymmetricSQNR), symmetricSeries},
		}}
		var err error
		if chart.SVG, err = t.draw(); err != nil {
			return charts, fmt.Errorf("draw tensor %s: %w", clip(t.Name, maxName), err)
		}
		charts.Charts = append(charts.Charts, chart)
	}
	return charts, nil
}

func decibels(v float64) string { return measured(v, "%.1f dB") }

func affineText(r histogram.Range) string {
	if !finiteRange(r) {
		return page.None
	}
	return page.Signed(r.String())
}

// symmetricText has what the levels reach, which for values of one sign is twice what occurs.
func symmetricText(r histogram.Range) string {
	if !finiteRange(r) {
		return page.None
	}
	return fmt.Sprintf("±%.3g", max(-r.Low, r.High))
}

func finiteRange(r histogram.Range) bool {
	return page.IsFinite(float64(r.Low)) && page.IsFinite(float64(r.High))
}

// decades bounds the vertical axis: rarer values are not seen.
const decades = 9

// draw shows the shares as heights on a logarithmic scale, and the ends of the ranges as lines.
func (t Tensor) draw() (template.HTML, error) {
	low, high := t.Low, t.High
	if !page.IsFinite(low) || !page.IsFinite(high) || high <= low {
		return "", nil
	}
	steps, bottom, ok := t.staircase()
	if !ok {
		return "", nil
	}
	area, err := plotter.NewPolygon(steps)
	if err != nil {
		return "", err
	}
	area.Color, area.LineStyle.Width = page.SeriesColor(0), 0
	p := page.NewPlot("value", "share of the values")
	p.Add(page.HorizontalGrid(), area)
	p.Y.Tick.Marker, p.Y.Min, p.Y.Max = plot.TickerFunc(shareTicks), bottom, 0
	for _, mark := range []struct {
		ends   histogram.Range
		series int
		dashes []vg.Length
	}{{t.Affine, affineSeries, nil}, {t.Symmetric, symmetricSeries, []vg.Length{4, 3}}} {
		for _, end := range []float64{float64(mark.ends.Low), float64(mark.ends.High)} {
			if end != 0 && end >= low && end <= high {
				p.Add(newLine(plotter.XYs{{X: end, Y: bottom}, {X: end, Y: 0}}, page.SeriesColor(mark.series), 1.5, mark.dashes...))
			}
		}
	}
	p.X.Min, p.X.Max = low, high
	says := fmt.Sprintf("How the values of %s are spread from %s to %s, with the affine range %s and the symmetric range %s.",
		clip(t.Name, maxName), short(low), short(high), affineText(t.Affine), symmetricText(t.Symmetric))
	return page.SVG(p, 340, 190, says)
}

func short(v float64) string { return page.Signed(strconv.FormatFloat(v, 'g', 3, 64)) }

// staircase is the outline of the bars in logarithms of their shares, above a whole decade.
func (t Tensor) staircase() (steps plotter.XYs, bottom float64, ok bool) {
	for _, share := range t.Bars {
		if share > 0 && page.IsFinite(share) {
			bottom, ok = min(bottom, math.Floor(math.Log10(share))), true
		}
	}
	bottom = max(min(bottom, -1), -decades)
	at := func(i int) float64 { return t.Low + (t.High-t.Low)*float64(i)/float64(len(t.Bars)) }
	steps = append(steps, plotter.XY{X: t.Low, Y: bottom})
	for i, share := range t.Bars {
		height := bottom
		if share > 0 && page.IsFinite(share) {
			height = min(max(math.Log10(share), bottom), 0)
		}
		steps = append(steps, plotter.XY{X: at(i), Y: height}, plotter.XY{X: at(i + 1), Y: height})
	}
	return append(steps, plotter.XY{X: t.High, Y: bottom}), bottom, ok
}

// shareTicks are whole decades, at most five of them.
func shareTicks(low, high float64) []plot.Tick {
	const most = 5
	by := max(math.Ceil((high-low)/(most-1)), 1)
	var ticks []plot.Tick
	for v := 0.0; v >= low; v -= by {
		ticks = append(ticks, plot.Tick{Value: v, Label: decade(int(v)+2) + " % "})
	}
	return ticks
}

// decade writes a power of ten.
func decade(exponent int) string {
	if exponent >= -2 {
		return strconv.FormatFloat(math.Pow10(exponent), 'f', -1, 64)
	}
	return "10⁻" + string([]rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[-exponent])
}
