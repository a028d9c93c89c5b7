package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/trt"
)

// classTable is the IoU of the classes of a domain: the first variant's, and how the others
// differ from it.
type classTable struct {
	Domain   Domain
	Baseline string
	Others   []string
	Rows     []classRow
	Mean     classRow
	// Scale is the difference at which bars are full.
	Scale string
}

type classRow struct {
	trt.Class
	// IoU is written out; Percent is the length of its bar.
	IoU     string
	Percent float64
	Cells   []differenceCell
}

// differenceCell is a difference, with a bar to the left for losses and to the right for gains.
type differenceCell struct {
	Text, Direction string
	// Percent is the length of the bar in the width of the cell, at most 50.
	Percent float64

	value float64
}

// newClassTables leaves out domains of which nothing is known.
func newClassTables(r *Report) []classTable {
	var tables []classTable
	for d, domain := range r.Domains {
		if _, ok := r.score(0, d); !ok || len(domain.Classes) == 0 {
			continue
		}
		tables = append(tables, newClassTable(r, d))
	}
	return tables
}

func newClassTable(r *Report, domain int) classTable {
	t := classTable{Domain: r.Domains[domain], Baseline: r.baseline()}
	var variants []int
	for i := 1; i < len(r.Variants); i++ {
		if _, ok := r.score(i, domain); ok {
			variants = append(variants, i)
			t.Others = append(t.Others, r.Variants[i].Name)
		}
	}
	for c, name := range t.Domain.Classes {
		value := func(variant int) float64 {
			a, _ := r.score(variant, domain)
			if c >= len(a.IoU) || a.IoU[c] == nil {
				return math.NaN()
			}
			return *a.IoU[c]
		}
		t.Rows = append(t.Rows, newClassRow(r.Model.class(name), value, variants))
	}
	t.Mean = newClassRow(trt.Class{}, func(variant int) float64 {
		a, _ := r.score(variant, domain)
		return a.MIoU
	}, variants)
	t.Scale = t.scaleBars()
	return t
}

// class returns the model's class of a name. Those of coarser sets are grey.
func (m Model) class(name string) trt.Class {
	if i := slices.IndexFunc(m.Labels, func(c trt.Class) bool { return c.Name == name }); i >= 0 {
		return m.Labels[i]
	}
	return trt.Class{Name: name, Color: [3]uint8{128, 128, 128}}
}

func newClassRow(class trt.Class, value func(variant int) float64, variants []int) classRow {
	first := value(0)
	row := classRow{Class: class, IoU: measured(first, "%.1f")}
	if page.IsFinite(first) {
		row.Percent = min(max(first, 0), 100)
	}
	for _, variant := range variants {
		d := value(variant) - first
		cell := differenceCell{Text: page.Change(d), Direction: "same", value: d}
		switch {
		case !page.IsFinite(d) || page.Change(d) == page.Change(0):
			cell.value = 0
		case d > 0:
			cell.Direction = "up"
		default:
			cell.Direction = "down"
		}
		row.Cells = append(row.Cells, cell)
	}
	return row
}

// scaleBars sets the bars' lengths so that the greatest difference, or one point, is full.
func (t *classTable) scaleBars() string {
	most := 1.0
	for _, row := range t.Rows {
		for _, c := range row.Cells {
			most = max(most, math.Abs(c.value))
		}
	}
	for _, row := range t.Rows {
		for i := range row.Cells {
			row.Cells[i].Percent = 50 * math.Abs(row.Cells[i].value) / most
		}
	}
	return fmt.Sprintf("%.1f", most)
}
