package report

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/robustnet-edge/robustnet/internal/page"
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

// charts draws what there is of the training's curves.
func charts(r record) ([]drawnChart, error) {
	var drawn []drawnChart
	for _, c := range []chart{lossChart(r), accuracyChart(r.Evaluations), rateChart(r.Metrics), speedChart(r.Metrics)} {
		if len(c.curves) == 0 {
			continue
		}
		svg, err := c.svg()
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, drawnChart{c.title, svg, c.legend()})
	}
	return drawn, nil
}

// legend names the curves, unless the title says it all.
func (c chart) legend() []legendEntry {
	if len(c.curves) == 1 && c.curves[0].name == c.title {
		return nil
	}
	var entries []legendEntry
	for i, line := range c.curves {
		e := legendEntry{Name: line.name, Series: i % page.SeriesColors, Glyph: "━"}
		if line.dots {
			e.Glyph = glyphs[i%len(glyphs)].text
		}
		entries = append(entries, e)
	}
	if c.markName != "" {
		entries = append(entries, legendEntry{Name: c.markName, Glyph: "┊", Dotted: true})
	}
	return entries
}

func lossChart(r record) chart {
	lambda, whitening := 1.0, "whitening"
	if w := r.Config.Whitening; w != nil {
		lambda, whitening = w.Lambda, fmt.Sprintf("whitening × %v", w.Lambda)
	}
	aux, auxName := 1.0, "auxiliary head"
	if t := r.Config.Training; t != nil {
		aux, auxName = t.AuxWeight, fmt.Sprintf("auxiliary head × %v", t.AuxWeight)
	}
	c := newChart("Loss", "loss", "The loss and its terms over the iterations.",
		column(r.Metrics, "total", func(m run.Metric) float64 { return m.Loss }),
		column(r.Metrics, "cross-entropy", func(m run.Metric) float64 { return m.CE }),
		column(r.Metrics, auxName, func(m run.Metric) float64 { return aux * m.Aux }),
		column(r.Metrics, whitening, func(m run.Metric) float64 { return lambda * m.Whitening }),
	)
	first := slices.IndexFunc(r.Metrics, func(m run.Metric) bool { return isFinite(m.Whitening) })
	if first > 0 {
		c.mark, c.markName = float64(r.Metrics[first].Iteration), "whitening begins"
	}
	return c
}

func column(metrics []run.Metric, name string, value func(run.Metric) float64) curve {
	c := curve{name: name}
	for _, m := range metrics {
		c.points = append(c.points, plotter.XY{X: float64(m.Iteration), Y: value(m)})
	}
	return c
}

// accuracyChart is empty before the second evaluation: points of one are no curves.
func accuracyChart(all []run.Evaluation) chart {
	var curves []curve
	if !slices.ContainsFunc(all, func(e run.Evaluation) bool { return e.Iteration != all[0].Iteration }) {
		return chart{}
	}
	for _, last := range run.LastEvaluations(all) {
		line := curve{name: last.Domain, dots: true}
		if last.Adapted {
			line.name += " (adapted)"
		}
		for _, e := range all {
			if e.Domain == last.Domain && e.Adapted == last.Adapted {
				line.points = append(line.points, plotter.XY{X: float64(e.Iteration), Y: e.MIoU})
			}
		}
		curves = append(curves, line)
	}
	return newChart("mIoU by domain", "mIoU, points", "The mIoU on each domain over the iterations.", curves...)
}

func rateChart(metrics []run.Metric) chart {
	const title = "Learning rate"
	return newChart(title, "learning rate", "The learning rate over the iterations.",
		column(metrics, title, func(m run.Metric) float64 { return m.LearningRate }))
}

func speedChart(metrics []run.Metric) chart {
	const title = "Throughput"
	c := newChart(title, "pictures per second", "The pictures per second over the iterations.",
		column(metrics, title, func(m run.Metric) float64 { return m.PicturesPerSecond }))
	c.fromZero = true
	return c
}

// speed is how fast the training is, in numbers.
func speed(r record) []page.Fact {
	var facts []page.Fact
	if m := mean(r.Metrics, func(m run.Metric) float64 { return m.PicturesPerSecond }); isFinite(m) {
		facts = append(facts, page.Fact{Name: "throughput", Value: small(m), Hint: "pictures per second"})
	}
	if s := r.Status; s.Iteration > 0 && s.Seconds > 0 {
		facts = append(facts, page.Fact{Name: "an iteration", Value: small(s.Seconds / float64(s.Iteration)), Hint: "seconds, evaluations included"})
	}
	if m := mean(r.Metrics, func(m run.Metric) float64 { return m.WaitShare }); isFinite(m) {
		facts = append(facts, page.Fact{Name: "waiting for data", Value: percent(m), Hint: "of the time"})
	}
	if r.Status.Seconds > 0 {
		hint := "so far"
		if r.Status.State == "done" {
			hint = ""
		}
		facts = append(facts, page.Fact{Name: "training time", Value: duration(r.Status.Seconds), Hint: hint})
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

// recipe is how the training was set up, in short.
func recipe(t *run.Training) []page.Fact {
	if t == nil {
		return nil
	}
	facts := []page.Fact{{Name: "trained on", Value: names(t.Sources)}}
	if len(t.Validation) > 0 {
		facts = append(facts, page.Fact{Name: "validated on", Value: names(t.Validation)})
	}
	return append(facts,
		page.Fact{Name: "batch", Value: count(t.Batch), Hint: "pictures"},
		page.Fact{Name: "crop", Value: count(t.Augmentation.CropSide), Hint: "pixels square"},
		page.Fact{Name: "learning rate", Value: small(t.LearningRate), Hint: fmt.Sprintf("power %v", t.Power)},
		page.Fact{Name: "seed", Value: strconv.FormatUint(t.Seed, 10)})
}

// names are the last parts of the paths of data sets; config.yaml has them whole.
func names(sets []string) string {
	short := make([]string, len(sets))
	for i, set := range sets {
		short[i] = set[strings.LastIndexByte(set, '/')+1:]
	}
	return strings.Join(short, ", ")
}
