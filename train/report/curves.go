package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// chart is a figure of curves over the iterations.
type chart struct {
	title, unit string
	// alt says in words what is shown.
	alt    string
	curves []curve
	// last is the last iteration.
	last float64
	// mark is an iteration that is pointed out, if markName says what it is.
	mark     float64
	markName string
	// fromZero begins the vertical axis at zero, whatever the curves leave empty.
	fromZero bool
}

// curve is a line of a chart.
type curve struct {
	name   string
	points plotter.XYs
	// dots draws a mark at each point, for few points.
	dots bool
}

// newChart leaves out curves without any finite point and thins out the others. The
// description is followed by where each curve ends.
func newChart(title, unit, description string, curves ...curve) chart {
	c := chart{title: title, unit: unit, alt: description}
	for _, line := range curves {
		for _, p := range line.points {
			if isFinite(p.X) {
				c.last = max(c.last, p.X)
			}
		}
		if line.points = thin(line.points); len(line.points) > 0 {
			c.curves = append(c.curves, line)
			c.alt += fmt.Sprintf(" At the end, %s is %s.", line.name, small(line.points[len(line.points)-1].Y))
		}
	}
	return c
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

// svg draws a chart of at least one curve. Its colours are the page's variables, so that it
// follows the colour scheme.
func (c chart) svg() (template.HTML, error) {
	p := page.NewPlot("iterations", c.unit)
	p.Add(page.HorizontalGrid())
	for i, line := range c.curves {
		if err := addCurve(p, i, line); err != nil {
			return "", fmt.Errorf("draw %s: %w", c.title, err)
		}
	}
	c.fit(p)
	const width, height = 460, 250
	svg, err := page.SVG(p, width, height, c.alt)
	if err != nil {
		return "", fmt.Errorf("draw %s: %w", c.title, err)
	}
	return svg, nil
}

// addCurve draws a line; a single point is a dot.
func addCurve(p *plot.Plot, index int, c curve) error {
	line, err := plotter.NewLine(c.points)
	if err != nil {
		return err
	}
	line.Color, line.Width = page.SeriesColor(index), 1.4
	p.Add(line)
	if !c.dots && len(c.points) > 1 {
		return nil
	}
	marks, err := plotter.NewScatter(c.points)
	if err != nil {
		return err
	}
	marks.GlyphStyle = draw.GlyphStyle{Color: page.SeriesColor(index), Radius: 2.6, Shape: glyphs[index%len(glyphs)].shape}
	p.Add(marks)
	return nil
}

// glyphs tell curves apart without their colours. There are fewer than colours, so that thirty
// curves differ in one or the other.
var glyphs = []struct {
	shape draw.GlyphDrawer
	// text looks like it in the legend.
	text string
}{
	{draw.CircleGlyph{}, "●"}, {draw.BoxGlyph{}, "■"}, {draw.PyramidGlyph{}, "▲"}, {draw.RingGlyph{}, "○"}, {draw.SquareGlyph{}, "□"},
}

// fit chooses the range of the axes. The highest points of a curve that starts far above the
// rest are cut off.
func (c chart) fit(p *plot.Plot) {
	var all []float64
	for _, line := range c.curves {
		for _, point := range line.points {
			all = append(all, point.Y)
		}
	}
	slices.Sort(all)
	low, high := all[0], all[len(all)-1]
	if most := all[len(all)*97/100]; most > low && high-low > 3*(most-low) {
		high = low + 1.3*(most-low)
	}
	space := 0.06 * (high - low)
	if space <= 1e-9*math.Abs(high) {
		space = max(0.1*math.Abs(high), 1e-6)
	}
	p.Y.Min, p.Y.Max = low-space, high+space
	if low >= 0 && (c.fromZero || low < 0.4*high) {
		p.Y.Min = 0
	}
	p.X.Min, p.X.Max = 0, max(c.last, 1)
	if c.markName != "" {
		line := &plotter.Line{XYs: plotter.XYs{{X: c.mark, Y: p.Y.Min}, {X: c.mark, Y: p.Y.Max}}}
		line.Color, line.Width, line.Dashes = page.FaintInk, 1, []vg.Length{2, 3}
		p.Add(line)
	}
}
