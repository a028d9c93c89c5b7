package report

import (
	"slices"

	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

// classTable is the IoU of each class on each domain.
type classTable struct {
	Domains []run.Evaluation
	Rows    []classRow
}

type classRow struct {
	trt.Class
	// Cells are in the order of the domains.
	Cells []classCell
}

// classCell is an IoU in points, if the class occurred or was predicted.
type classCell struct {
	IoU   float64
	Known bool
}

func newClassTable(r record) classTable {
	t := classTable{Domains: run.LastEvaluations(r.Evaluations)}
	if len(t.Domains) == 0 {
		return classTable{}
	}
	classes := slices.Clone(r.Config.Labels.Classes)
	for _, e := range t.Domains {
		for _, name := range e.Classes {
			if !slices.ContainsFunc(classes, func(c trt.Class) bool { return c.Name == name }) {
				classes = append(classes, trt.Class{Name: name, Color: [3]uint8{128, 128, 128}})
			}
		}
	}
	for _, c := range classes {
		row := classRow{Class: c}
		for _, e := range t.Domains {
			var cell classCell
			if i := slices.Index(e.Classes, c.Name); i >= 0 {
				cell = classCell{e.IoU[i], true}
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
