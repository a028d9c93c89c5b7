package report

import (
	"fmt"
	"html/template"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// latencyTable has the times of the variants that were timed.
type latencyTable struct {
	Baseline string
	// Facts say on what all of them were measured. If they differ in this, the rows say it.
	Facts []page.Fact
	// Conditions are what the machine was like, and Warning why the times are invalid, if so.
	Conditions []page.Fact
	Warning    string
	Rows       []latencyRow
	Chart      template.HTML
	// Literal tells whether one of the rows is computed literally.
	Literal bool
}

type latencyRow struct {
	Name, Setting string
	Literal       bool
	// Times are p50, p90 and p99 of the network alone, then of the whole.
	Times []string
	Ratio string

	infer, whole Spread
}

// Percentiles head the columns of the times.
func (latencyTable) Percentiles() []string { return []string{"p50", "p90", "p99", "p50", "p90", "p99"} }

func newLatencyTable(r *Report) (latencyTable, error) {
	t := latencyTable{Baseline: r.baseline()}
	settings := map[string]bool{}
	for _, v := range r.Variants {
		l := v.Latency
		if l == nil {
			continue
		}
		row := latencyRow{Name: v.label(), Setting: l.setting(), Literal: v.Literal, Ratio: page.None, infer: l.Infer, whole: l.Whole}
		for _, ms := range []float64{l.Infer.P50, l.Infer.P90, l.Infer.P99, l.Whole.P50, l.Whole.P90, l.Whole.P99} {
			row.Times = append(row.Times, milliseconds(ms))
		}
		if l.Ratio > 0 && page.IsFinite(l.Ratio) {
			row.Ratio = fmt.Sprintf("×%.2f", l.Ratio)
		}
		settings[row.Setting] = true
		t.Facts, t.Literal = l.facts(), t.Literal || v.Literal
		t.Rows = append(t.Rows, row)
	}
	if len(settings) > 1 {
		t.Facts = nil
	} else {
		for i := range t.Rows {
			t.Rows[i].Setting = ""
		}
	}
	var err error
	if len(t.Rows) > 0 {
		t.Conditions, t.Warning = conditionFacts(r.Conditions), r.warning()
		t.Chart, err = t.draw()
	}
	return t, err
}

// milliseconds writes a time; there is none of zero.
func milliseconds(ms float64) string {
	if ms <= 0 {
		return page.None
	}
	return page.Small(ms)
}

// facts are on what the times were measured.
func (l *Latency) facts() []page.Fact {
	var facts []page.Fact
	if l.CPU != "" {
		facts = append(facts, page.Fact{Name: "CPU", Value: clip(l.CPU, maxName)})
	}
	for _, f := range []struct {
		name  string
		value int
		hint  string
	}{{"threads", l.Threads, ""}, {"warm-up", l.Warmup, "runs"}, {"measured", l.Runs, "runs of each, in turns"}} {
		if f.value > 0 {
			facts = append(facts, page.Fact{Name: f.name, Value: page.Count(f.value), Hint: f.hint})
		}
	}
	return facts
}

// setting is the same in one line.
func (l *Latency) setting() string {
	var parts []string
	for _, f := range l.facts() {
		parts = append(parts, f.Name+" "+f.Value)
	}
	return strings.Join(parts, ", ")
}

// draw shows the medians as bars, and lines from them to the 99th percentile.
func (t latencyTable) draw() (template.HTML, error) {
	most, known := 0.0, func(ms float64) bool { return ms > 0 && page.IsFinite(ms) }
	var labels, says []string
	for _, row := range t.Rows {
		labels = append(labels, row.Name)
		says = append(says, fmt.Sprintf("%s takes %s ms in the network and %s ms on the whole", row.Name, row.Times[0], row.Times[3]))
		for _, ms := range []float64{row.infer.P50, row.infer.P99, row.whole.P50, row.whole.P99} {
			if known(ms) {
				most = max(most, ms)
			}
		}
	}
	if most == 0 {
		return "", nil
	}
	p := newRowPlot("milliseconds", labels, 0, 1.04*most)
	const thickness, apart = 0.34, 0.19
	for i, row := range t.Rows {
		for side, s := range []Spread{row.infer, row.whole} {
			at := rowAt(i, len(t.Rows)) + apart - 2*apart*float64(side)
			if !known(s.P50) {
				continue
			}
			b := bar{s.P50, at, thickness, page.SeriesColor(0)}
			if side == 1 {
				b.color = page.FaintInk
			}
			p.Add(bars{b})
			if known(s.P99) {
				p.Add(newLine(plotter.XYs{{X: s.P50, Y: at}, {X: s.P99, Y: at}}, page.Ink, 1))
				p.Add(newLine(plotter.XYs{{X: s.P99, Y: at - thickness/4}, {X: s.P99, Y: at + thickness/4}}, page.Ink, 1))
			}
		}
	}
	svg, err := page.SVG(p, 560, 56+44*len(t.Rows), "Medians of the time of a frame: "+strings.Join(says, "; ")+".")
	if err != nil {
		return "", fmt.Errorf("draw latencies: %w", err)
	}
	return svg, nil
}
