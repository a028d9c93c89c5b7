package main

import (
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"math"
	"slices"
	"strconv"

	"github.com/robustnet-edge/robustnet/train/data"
)

// classTable has a row for each class, with its share of the labelled pixels, and a column for
// each model.
func (r *evalReport) classTable(d *data.Set, models []*evalModel) string {
	t := terminal.NewTable("IoU on " + d.Name)
	t.Column("% of pixels")
	var classes []string
	var results []*evalResult
	for _, m := range models {
		e := r.find(m.name, d.Name, condition{})
		results = append(results, e)
		t.Column(m.title())
		if e == nil {
			continue
		}
		for _, class := range e.Classes {
			if !slices.Contains(classes, class) {
				classes = append(classes, class)
			}
		}
	}
	t.Rule()
	row := func(name, share string, value func(*evalResult) float64) {
		cells := []string{name, share}
		for _, e := range results {
			v := math.NaN()
			if e != nil {
				v = value(e)
			}
			cells = append(cells, points(v))
		}
		t.Row(cells...)
	}
	for _, class := range classes {
		row(class, points(commonShare(results, class)), func(e *evalResult) float64 { return e.of(class, e.IoU) })
	}
	t.Rule()
	row("mean", "", func(e *evalResult) float64 { return e.MIoU })
	return t.String()
}

// of returns a class's one of figures that go with Classes, NaN if it is none of them.
func (r *evalResult) of(class string, figures []float64) float64 {
	if i := slices.Index(r.Classes, class); i >= 0 {
		return figures[i]
	}
	return math.NaN()
}

// commonShare is a class's share of the labelled pixels if all results that have the class
// agree, else NaN: models that are compared in different classes may mean different pixels.
func commonShare(results []*evalResult, class string) float64 {
	common := math.NaN()
	for _, e := range results {
		if e == nil {
			continue
		}
		share := e.of(class, e.Share)
		switch {
		case math.IsNaN(share) || share == common:
		case math.IsNaN(common):
			common = share
		default:
			return math.NaN()
		}
	}
	return common
}

// confusionTables has one for each result on clean pictures.
func (r *evalReport) confusionTables() []string {
	var tables []string
	for _, e := range r.Results {
		if e.Corruption == "" {
			tables = append(tables, e.confusionTable())
		}
	}
	return tables
}

// confusionTable has a row for each true class and a narrow column for each predicted one, by
// the row's number, so that twenty fit on a terminal.
func (r evalResult) confusionTable() string {
	c := r.Confusion.Seen()
	t := &terminal.Table{Gap: 1, Left: []bool{false, true, false}}
	t.Row("", "true class", "% of pixels")
	for i := range c.Classes {
		t.Column(strconv.Itoa(i + 1))
	}
	if c.Translated() {
		t.Column("none")
	}
	t.Rule()
	shares := c.Shares()
	for i, row := range c.Percent() {
		cells := []string{strconv.Itoa(i + 1), c.Classes[i], points(shares[i])}
		for _, percent := range row {
			cells = append(cells, wholePercent(percent))
		}
		t.Row(cells...)
	}
	return fmt.Sprintf("%s on %s: predicted as class 1, 2, …, %% of the true class\n%s", title(r.Model, r.Adapted), r.Domain, t)
}

// wholePercent leaves blank what is no number or below a half.
func wholePercent(v float64) string {
	if !(v >= 0.5) {
		return ""
	}
	return strconv.Itoa(int(math.Round(v)))
}
