package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a figure of curves over the iterations.
type chart struct {
	Title, Unit string
	// Alt says in words what the curves show.
	Alt    string
	Curves []curve
	// Mark is an iteration that is pointed out, if MarkName says what it is.
	Mark     float64
	MarkName string
	// Floor and Ceiling are limits of the vertical axis: the curves lie between them.
	Floor, Ceiling float64
}

// curve is a line of a chart. Points that are not finite are left out.
type curve struct {
	Name   string
	Points plotter.XYs
	// Dots draws a mark at each point, for few points.
	Dots bool
}

// maxPoints is how many points of a curve are drawn: more are not seen.
const maxPoints = 300

// thin returns the finite points, as at most maxPoints means of neighbours.
func thin(points plotter.XYs) plotter.XYs {
	finite := slices.DeleteFunc(slices.Clone(points), func(p plotter.XY) bool { return !isFinite(p.X) || !isFinite(p.Y) })
	group := (len(finite) + maxPoints - 1) / maxPoints
	if group <= 1 {
		return finite
	}
	var means plotter.XYs
	for part := range slices.Chunk(finite, group) {
		var mean plotter.XY
		for _, p := range part {
			mean.X += p.X / float64(len(part))
			mean.Y += p.Y / float64(len(part))
		}
		means = append(means, mean)
	}
	return means
}

func isFinite(v float64) bool { return v-v == 0 }

// SVG draws the chart; empty if it has no points. Its colours are the page's variables, so that
// it follows the colour scheme.
func (c chart) SVG() (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	drawn := false
	for i, line := range c.Curves {
		points := thin(line.Points)
		if len(points) == 0 {
			continue
		}
		drawn = true
		if err := addCurve(p, i, points, line.Dots); err != nil {
			return "", fmt.Errorf("draw %s: %w", c.Title, err)
		}
	}
	if !drawn {
		return "", nil
	}
	c.fit(p)
	c.style(p)
	const width, height = 460, 250
	canvas := vgsvg.New(width, height)
	p.Draw(draw.Crop(draw.New(canvas), 0, -10, 0, -6))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return "", fmt.Errorf("draw %s: %w", c.Title, err)
	}
	// The canvas begins with an XML declaration and a size in points; the page sets the size.
	_, body, _ := bytes.Cut(svg.Bytes(), []byte("xlink\">"))
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(c.Alt))
	return template.HTML(head + recolor(string(body))), nil
}

// addCurve draws what is left of a line; a single point is a dot.
func addCurve(p *plot.Plot, index int, points plotter.XYs, dots bool) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = seriesColor(index), 1.4
	line.Dashes = dashes[index/seriesColors%len(dashes)]
	p.Add(line)
	if !dots && len(points) > 1 {
		return nil
	}
	marks, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	marks.GlyphStyle = draw.GlyphStyle{Color: seriesColor(index), Radius: 2.6, Shape: glyphs[index%len(glyphs)]}
	p.Add(marks)
	return nil
}

var (
	dashes = [][]vg.Length{nil, {5, 3}, {1.5, 2.5}}
	// glyphs tell curves apart without their colours; the page's legend shows the same.
	glyphs = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}
)

// fit chooses the range of the axes. The highest points of a curve that starts far above the
// rest are cut off.
func (c chart) fit(p *plot.Plot) {
	var all []float64
	for _, line := range c.Curves {
		for _, point := range thin(line.Points) {
			all = append(all, point.Y)
		}
	}
	slices.Sort(all)
	low, high := all[0], all[len(all)-1]
	if most := all[len(all)*97/100]; most > low && high-low > 3*(most-low) {
		high = low + 1.3*(most-low)
	}
	space := 0.06 * (high - low)
	if space == 0 {
		space = max(0.1*math.Abs(high), 1e-9)
	}
	p.Y.Min, p.Y.Max = max(low-space, c.Floor), min(high+space, c.Ceiling)
	if low >= 0 && low < 0.4*high {
		p.Y.Min = max(0, c.Floor)
	}
	if p.Y.Min >= p.Y.Max {
		p.Y.Min, p.Y.Max = c.Floor, c.Ceiling
	}
	if p.X.Min >= p.X.Max {
		p.X.Min, p.X.Max = max(p.X.Min-1, 0), p.X.Max+1
	}
	if c.MarkName != "" && c.Mark > p.X.Min && c.Mark < p.X.Max {
		line := &plotter.Line{XYs: plotter.XYs{{X: c.Mark, Y: p.Y.Min}, {X: c.Mark, Y: p.Y.Max}}}
		line.Color, line.Width, line.Dashes = faintInk, 1, []vg.Length{2, 3}
		p.Add(line)
	}
}

func (c chart) style(p *plot.Plot) {
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color, grid.Horizontal.Width = gridInk, 0.7
	p.Add(grid)
	p.X.Label.Text, p.Y.Label.Text = "iterations", c.Unit
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	text := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = faintInk, faintInk
		axis.Width, axis.Tick.Width = 0.7, 0.7
		axis.Tick.Length = 4
		axis.Padding = 0
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = text, text
		axis.Label.TextStyle.Color, axis.Tick.Label.Color = ink, ink
	}
	p.Y.Tick.Length, p.Y.Width = 0, 0
	p.Y.Label.Padding = 4
}

// ticks lie at multiples of 1, 2 or 5 times a power of ten, about five of them.
func ticks(low, high float64) []plot.Tick {
	const wanted = 5
	raw := (high - low) / wanted
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{5, 2} {
		if raw > step*factor/1.5 {
			step *= factor
			break
		}
	}
	var marks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high*(1+1e-12) && len(marks) < 4*wanted; i++ {
		marks = append(marks, plot.Tick{Value: i * step, Label: tickLabel(i*step, step)})
	}
	return marks
}

// tickLabel writes as many digits as the step needs, and thousands with a comma.
func tickLabel(v, step float64) string {
	if step < 1e-4 || math.Abs(v) >= 1e9 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	if step >= 1 {
		return count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', int(math.Ceil(-math.Log10(step)-1e-9)), 64)
}

// The curves are drawn in colours that stand for variables of the page's style.
var (
	ink      = color.RGBA{0xf0, 0xf0, 1, 0xff}
	faintInk = color.RGBA{0xf0, 0xf0, 2, 0xff}
	gridInk  = color.RGBA{0xf0, 0xf0, 3, 0xff}
)

// seriesColors is the number of curves of different colours.
const seriesColors = 6

func seriesColor(index int) color.Color {
	return color.RGBA{0xf0, 0xf1, uint8(index % seriesColors), 0xff}
}
