package report

import (
	"fmt"
	"html/template"
	"math"

	"gonum.org/v1/plot/plotter"

	"github.com/robustnet-edge/robustnet/train/run"
)

// drawnChart is a chart as the page shows it.
type drawnChart struct {
	Title  string
	SVG    template.HTML
	Legend []legendEntry
}

// legendEntry names a curve. Series is its colour, Glyph its mark.
type legendEntry struct {
	Name, Glyph string
	Series      int
	Dotted      bool
}

// glyphTexts look like glyphs.
var glyphTexts = []string{"●", "■", "▲", "○", "□", "△"}

// charts draws what there is of the training's curves.
func charts(r record) ([]drawnChart, error) {
	var drawn []drawnChart
	for _, c := range []chart{lossChart(r), accuracyChart(r.Evaluations), rateChart(r.Metrics), speedChart(r.Metrics)} {
		svg, err := c.SVG()
		if err != nil {
			return nil, err
		}
		if svg == "" {
			continue
		}
		d := drawnChart{Title: c.Title, SVG: svg}
		for i, line := range c.Curves {
			if len(thin(line.Points)) == 0 || len(c.Curves) == 1 && c.MarkName == "" {
				continue
			}
			e := legendEntry{Name: line.Name, Series: i % seriesColors, Glyph: "━"}
			if line.Dots {
				e.Glyph = glyphTexts[i%len(glyphTexts)]
			}
			d.Legend = append(d.Legend, e)
		}
		if c.MarkName != "" {
			d.Legend = append(d.Legend, legendEntry{Name: c.MarkName, Glyph: "┊", Dotted: true})
		}
		drawn = append(drawn, d)
	}
	return drawn, nil
}

func lossChart(r record) chart {
	c := chart{Title: "Loss", Unit: "loss", Floor: math.Inf(-1), Ceiling: math.Inf(1)}
	lambda := 1.0
	whitening := "whitening"
	if w := r.Config.Whitening; w != nil {
		lambda, whitening = w.Lambda, fmt.Sprintf("whitening × λ (%v)", w.Lambda)
	}
	c.Curves = []curve{
		column(r.Metrics, "whole", func(m run.Metric) float64 { return m.Loss }),
		column(r.Metrics, "cross-entropy", func(m run.Metric) float64 { return m.CE }),
		column(r.Metrics, "auxiliary head", func(m run.Metric) float64 { return m.Aux }),
		column(r.Metrics, whitening, func(m run.Metric) float64 { return lambda * m.Whitening }),
	}
	for i, m := range r.Metrics {
		if i > 0 && isFinite(m.Whitening) {
			if !isFinite(r.Metrics[i-1].Whitening) {
				c.Mark, c.MarkName = float64(m.Iteration), "whitening begins"
			}
			break
		}
	}
	c.Alt = "The loss and its terms over the iterations." + ends(c.Curves)
	return c
}

// ends says where the curves end.
func ends(curves []curve) string {
	text := ""
	for _, line := range curves {
		if points := thin(line.Points); len(points) > 0 {
			text += fmt.Sprintf(" At the end %s is %s.", line.Name, small(points[len(points)-1].Y))
		}
	}
	return text
}

func column(metrics []run.Metric, name string, value func(run.Metric) float64) curve {
	c := curve{Name: name}
	for _, m := range metrics {
		c.Points = append(c.Points, plotter.XY{X: float64(m.Iteration), Y: value(m)})
	}
	return c
}

func accuracyChart(all []run.Evaluation) chart {
	c := chart{Title: "mIoU by domain", Unit: "mIoU, points", Ceiling: 100}
	for _, last := range run.LastEvaluations(all) {
		line := curve{Name: last.Domain, Dots: true}
		if last.Adapted {
			line.Name += " (adapted)"
		}
		for _, e := range all {
			if e.Domain == last.Domain && e.Adapted == last.Adapted {
				line.Points = append(line.Points, plotter.XY{X: float64(e.Iteration), Y: e.MIoU})
			}
		}
		c.Curves = append(c.Curves, line)
	}
	c.Alt = "The mIoU on each domain over the iterations." + ends(c.Curves)
	return c
}

func rateChart(metrics []run.Metric) chart {
	line := column(metrics, "learning rate", func(m run.Metric) float64 { return m.LearningRate })
	return chart{
		Title: "Learning rate", Unit: "learning rate", Ceiling: math.Inf(1), Curves: []curve{line},
		Alt: "The learning rate over the iterations." + ends([]curve{line}),
	}
}

func speedChart(metrics []run.Metric) chart {
	line := column(metrics, "throughput", func(m run.Metric) float64 { return m.PicturesPerSecond })
	return chart{
		Title: "Throughput", Unit: "pictures per second", Ceiling: math.Inf(1), Curves: []curve{line},
		Alt: "The pictures per second over the iterations." + ends([]curve{line}),
	}
}

// speed is how fast the training is, in numbers.
func speed(r record) []fact {
	var facts []fact
	if m := mean(r.Metrics, func(m run.Metric) float64 { return m.PicturesPerSecond }); isFinite(m) {
		facts = append(facts, fact{"throughput", small(m), "pictures per second"})
	}
	if s := r.Status; s.Iteration > 0 && s.Seconds > 0 {
		facts = append(facts, fact{"an iteration", small(s.Seconds / float64(s.Iteration)), "seconds, evaluations included"})
	}
	if m := mean(r.Metrics, func(m run.Metric) float64 { return m.WaitShare }); isFinite(m) {
		facts = append(facts, fact{"waiting for data", percent(m), "of the time"})
	}
	if r.Status.Seconds > 0 {
		facts = append(facts, fact{"training time", duration(r.Status.Seconds), "so far"})
	}
	return facts
}

// mean is that of the finite values; NaN if there are none.
func mean(metrics []run.Metric, value func(run.Metric) float64) float64 {
	sum, n := 0.0, 0
	for _, m := range metrics {
		if v := value(m); isFinite(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}
