package main

import (
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"math"
	"slices"
	"strconv"

	"github.com/robustnet-edge/robustnet/train/corrupt"
)

// corruptionTables has one for each model and domain of which corruptions are scored.
func (r *evalReport) corruptionTables(conditions []condition) []string {
	var tables []string
	for i := range r.Results {
		e := &r.Results[i]
		if e.Corruption == "" && slices.ContainsFunc(conditions, func(c condition) bool { return r.find(e.Model, e.Domain, c) != nil }) {
			tables = append(tables, r.corruptionTable(e, conditions))
		}
	}
	return tables
}

// corruptionTable has a row for each kind and a column for each severity. What sums up several
// scores is there where all of them are.
func (r *evalReport) corruptionTable(clean *evalResult, conditions []condition) string {
	var kinds []corrupt.Kind
	var severities []int
	for _, c := range conditions {
		if !slices.Contains(kinds, c.kind) {
			kinds = append(kinds, c.kind)
		}
		if !slices.Contains(severities, c.severity) {
			severities = append(severities, c.severity)
		}
	}
	t := terminal.NewTable("mIoU by severity")
	for _, severity := range severities {
		t.Column(strconv.Itoa(severity))
	}
	t.Column("mean")
	t.Rule()
	for _, kind := range kinds {
		cells, sum := []string{string(kind)}, 0.0
		for _, severity := range severities {
			v := math.NaN()
			if e := r.find(clean.Model, clean.Domain, condition{kind, severity}); e != nil {
				v = e.MIoU
			}
			sum += v
			cells = append(cells, points(v))
		}
		t.Row(append(cells, points(sum/float64(len(severities))))...)
	}
	summary := "corruptions not finished"
	for _, s := range r.Robustness {
		if s.Model == clean.Model && s.Domain == clean.Domain {
			summary = fmt.Sprintf("corrupted %.2f, relative robustness %.1f %%", s.Mean, s.Relative)
		}
	}
	return fmt.Sprintf("%s on %s: clean %.2f, %s\n%s", title(clean.Model, clean.Adapted), clean.Domain, clean.MIoU, summary, t)
}

// robustnessTable compares models and domains.
func (r *evalReport) robustnessTable() string {
	t := &terminal.Table{Left: []bool{true, true, false, false, false}}
	t.Row("robustness", "domain", "clean", "corrupted", "relative %")
	t.Rule()
	for _, s := range r.Robustness {
		t.Row(title(s.Model, s.Adapted), s.Domain, points(s.Clean), points(s.Mean), fmt.Sprintf("%.1f", s.Relative))
	}
	return t.String()
}
