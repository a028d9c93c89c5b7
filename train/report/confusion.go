package report

import (
	"html/template"
	"image/color"
	"math"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/run"
)

// confusions show what classes were taken for at the last evaluation of each domain.
type confusions struct {
	Maps []heatMap
	// Ramp is the scale of colours.
	Ramp template.URL
}

// heatMap is a confusion with a row for each true class and a column for each predicted one.
type heatMap struct {
	Domain string
	// Adapted is that of the evaluation.
	Adapted bool
	Columns []string
	Rows    []heatRow
}

type heatRow struct {
	Class, Share string
	Cells        []heatCell
}

// heatCell is a percentage of the true class, blank below a half.
type heatCell struct {
	Text string
	// Style colours the cell, in which the text can be read; it is empty where the true class
	// does not occur.
	Style template.CSS
}

// newConfusions leaves out domains whose evaluation kept no confusion, as old runs' did not.
func newConfusions(r record) (confusions, error) {
	var all confusions
	colors, err := heat()
	if err != nil {
		return all, err
	}
	for _, e := range run.LastEvaluations(r.Evaluations) {
		if e.Confusion != nil {
			all.Maps = append(all.Maps, newHeatMap(e, colors))
		}
	}
	if len(all.Maps) > 0 {
		all.Ramp, err = rampPicture(colors)
	}
	return all, err
}

func newHeatMap(e run.Evaluation, colors color.Palette) heatMap {
	c := e.Confusion.Seen()
	m := heatMap{Domain: e.Domain, Adapted: e.Adapted, Columns: c.Classes}
	if c.Translated() {
		m.Columns = append(m.Columns, "none of these")
	}
	shares := c.Shares()
	for i, percents := range c.Percent() {
		row := heatRow{Class: c.Classes[i], Share: points(shares[i])}
		for _, percent := range percents {
			row.Cells = append(row.Cells, newHeatCell(percent, colors))
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

func newHeatCell(percent float64, colors color.Palette) heatCell {
	if math.IsNaN(percent) {
		return heatCell{}
	}
	var cell heatCell
	if percent >= 0.5 {
		cell.Text = strconv.Itoa(int(math.Round(percent)))
	}
	background := colors[int(math.Round(percent/100*float64(len(colors)-1)))]
	text := "#fff"
	if light(background) {
		text = "#000"
	}
	cell.Style = template.CSS("background:" + strings.ToLower(page.Hex(background)) + ";color:" + text)
	return cell
}

// light says whether black has more contrast to a colour than white, by the formulas of WCAG.
func light(c color.Color) bool {
	linear := func(v uint32) float64 { return math.Pow(float64(v)/0xffff, 2.2) }
	r, g, b, _ := c.RGBA()
	return 0.2126*linear(r)+0.7152*linear(g)+0.0722*linear(b) > 0.18
}
