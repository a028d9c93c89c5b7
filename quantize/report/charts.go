package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// bar is a horizontal bar from zero, around a height.
type bar struct {
	value, at, thickness float64
	color                color.Color
}

// bars is a [plot.Plotter].
type bars []bar

// Plot implements [plot.Plotter].
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, bar := range b {
		low, high := y(bar.at-bar.thickness/2), y(bar.at+bar.thickness/2)
		from, to := x(0), x(bar.value)
		c.FillPolygon(bar.color, []vg.Point{{X: from, Y: low}, {X: to, Y: low}, {X: to, Y: high}, {X: from, Y: high}})
	}
}

// rowAt is the height of a row.
func rowAt(i, rows int) float64 { return float64(rows - 1 - i) }

// newRowPlot returns a plot of rows with bars to the right.
func newRowPlot(x string, labels []string, least, most float64) *plot.Plot {
	p := page.NewPlot(x, "")
	p.Add(page.VerticalGrid(), newRowLabels(labels))
	p.Y.Tick.Marker = plot.ConstantTicks(nil)
	p.Y.Min, p.Y.Max = -0.6, float64(len(labels))-0.4
	p.X.Min, p.X.Max = least, most
	return p
}

// rowLabels are written to the left of rows, the first at the top. It is a [plot.Plotter].
type rowLabels struct {
	labels []string
	style  draw.TextStyle
	room   vg.Length
}

func newRowLabels(labels []string) rowLabels {
	l := rowLabels{labels: labels, style: textStyle()}
	for _, label := range labels {
		// The page's font is not known here and may be wider.
		const wider, gap = 1.22, 8
		l.room = max(l.room, wider*l.style.Width(label)+gap)
	}
	return l
}

// Plot implements [plot.Plotter].
func (l rowLabels) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for i, label := range l.labels {
		c.FillText(l.style, vg.Point{X: c.Min.X - l.room, Y: y(rowAt(i, len(l.labels)))}, label)
	}
}

// GlyphBoxes implements [plot.GlyphBoxer]: it keeps the room for the labels free.
func (l rowLabels) GlyphBoxes(*plot.Plot) []plot.GlyphBox {
	return []plot.GlyphBox{{Rectangle: vg.Rectangle{Min: vg.Point{X: -l.room}}}}
}

// textStyle is that of texts within a chart.
func textStyle() draw.TextStyle {
	return draw.TextStyle{
		Color: page.Ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11},
		YAlign: draw.YCenter, Handler: plot.DefaultTextHandler,
	}
}

// barText is written at the end of a bar.
type barText struct {
	x, y float64
	text string
}

// newBarTexts writes texts to the right of points.
func newBarTexts(texts []barText) (*plotter.Labels, error) {
	var all plotter.XYLabels
	for _, t := range texts {
		all.XYs = append(all.XYs, plotter.XY{X: t.x, Y: t.y})
		all.Labels = append(all.Labels, t.text)
	}
	labels, err := plotter.NewLabels(all)
	if err != nil {
		return nil, err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i] = textStyle()
	}
	labels.Offset.X = 5
	return labels, nil
}

// newLine is a line between points.
func newLine(points plotter.XYs, c color.Color, width vg.Length, dashes ...vg.Length) *plotter.Line {
	line := &plotter.Line{XYs: points}
	line.Color, line.Width, line.Dashes = c, width, dashes
	return line
}
