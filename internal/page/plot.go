package page

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours of a plot stand for variables of the page's style, which [SVG] puts in their
// place, so that charts follow the colour scheme.
var (
	// Ink is that of text.
	Ink = color.RGBA{0xf0, 0xf0, 1, 0xff}
	// FaintInk is that of axes and of what is in the background.
	FaintInk = color.RGBA{0xf0, 0xf0, 2, 0xff}
	// GridInk is that of grids.
	GridInk = color.RGBA{0xf0, 0xf0, 3, 0xff}
)

// SeriesColors is the number of series with different colours.
const SeriesColors = 6

// SeriesColor returns the colour of a series.
func SeriesColor(index int) color.Color {
	return color.RGBA{0xf0, 0xf1, uint8(index % SeriesColors), 0xff}
}

// NewPlot returns an empty plot in the page's look, with [Ticks].
func NewPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Label.Text, p.Y.Label.Text = x, y
	text := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Marker = plot.TickerFunc(Ticks)
		axis.Color, axis.Tick.Color = FaintInk, FaintInk
		axis.Width, axis.Tick.Width = 0.7, 0.7
		axis.Tick.Length = 4
		axis.Padding = 0
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = text, text
		axis.Label.TextStyle.Color, axis.Tick.Label.Color = Ink, Ink
	}
	p.Y.Width, p.Y.Tick.Width = 0, 0
	p.Y.Label.Padding = 4
	return p
}

// HorizontalGrid is a grid for the values of the vertical axis.
func HorizontalGrid() *plotter.Grid {
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color, grid.Horizontal.Width = GridInk, 0.7
	return grid
}

// VerticalGrid is a grid for the values of the horizontal axis.
func VerticalGrid() *plotter.Grid {
	grid := plotter.NewGrid()
	grid.Horizontal.Color = nil
	grid.Vertical.Color, grid.Vertical.Width = GridInk, 0.7
	return grid
}

// SVG draws a plot. The description says in words what is shown.
func SVG(p *plot.Plot, width, height int, description string) (template.HTML, error) {
	canvas := vgsvg.New(vg.Length(width), vg.Length(height))
	p.Draw(draw.Crop(draw.New(canvas), 0, -10, 0, -6))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return "", err
	}
	// The canvas begins with an XML declaration and a size in points; the page sets the size.
	_, body, _ := bytes.Cut(svg.Bytes(), []byte("xlink\">"))
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(description))
	return template.HTML(head + recolor(string(body))), nil
}

// fontStyle is what the canvas says about the font of each text; the page's font is used.
var fontStyle = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)

// recolor puts the page's variables in the place of the colours that stand for them.
func recolor(svg string) string {
	places := []string{
		Hex(Ink), "var(--ink)",
		Hex(FaintInk), "var(--faint)",
		Hex(GridInk), "var(--grid)",
	}
	for i := range SeriesColors {
		places = append(places, Hex(SeriesColor(i)), fmt.Sprintf("var(--s%d)", i))
	}
	svg = strings.NewReplacer(places...).Replace(svg)
	return fontStyle.ReplaceAllString(svg, "")
}

// Hex writes a colour as #RRGGBB.
func Hex(c color.Color) string {
	rgb := color.RGBAModel.Convert(c).(color.RGBA)
	return fmt.Sprintf("#%02X%02X%02X", rgb.R, rgb.G, rgb.B)
}

// Ticks lie at multiples of 1, 2 or 5 times a power of ten, about five of them.
func Ticks(low, high float64) []plot.Tick {
	const wanted = 5
	least := 0.75 * (high - low) / wanted
	step := math.Pow(10, math.Floor(math.Log10(least)))
	for _, factor := range []float64{2, 2.5, 2} {
		if step < least {
			step *= factor
		}
	}
	var marks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high*(1+1e-12) && len(marks) < 4*wanted; i++ {
		value := i*step + 0 // not -0
		marks = append(marks, plot.Tick{Value: value, Label: tickLabel(value, step)})
	}
	return marks
}

// tickLabel writes as many digits as the step needs, and thousands with a comma.
func tickLabel(v, step float64) string {
	if step < 1e-4 || math.Abs(v) >= 1e9 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	if step >= 1 {
		return Count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', int(math.Ceil(-math.Log10(step)-1e-9)), 64)
}
