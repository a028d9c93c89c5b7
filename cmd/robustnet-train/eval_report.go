package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/corrupt"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// evalReport is what 'eval --json' prints. Accuracies are in points, 0 to 100.
type evalReport struct {
	Inference evalInference `json:"inference"`
	// Results are in the order of models, domains and conditions; after an interruption, the
	// finished ones.
	Results []evalResult `json:"results"`
	// Robustness is there with --corruptions, for models and domains of which all are scored.
	Robustness []robustness `json:"robustness,omitempty"`
	Stopped    bool         `json:"stopped,omitempty"`
}

// evalInference says how the runs looked at pictures; see [evaluate.Inference].
type evalInference struct {
	Scales   []float64 `json:"scales"`
	Flip     bool      `json:"flip"`
	Window   int       `json:"window"`
	MaxWidth int       `json:"max_width"`
	Square   int       `json:"centre_square"`
}

// evalResult is the accuracy of one model on one domain under one condition.
type evalResult struct {
	Model string `json:"model"`
	// Corruption and Severity are empty for clean pictures.
	Corruption        corrupt.Kind `json:"corruption,omitempty"`
	Severity          int          `json:"severity,omitempty"`
	PicturesPerSecond float64      `json:"pictures_per_second"`
	trainrun.Evaluation
	// Share goes with Classes: what part of the labelled pixels each is, in percent.
	Share []float64 `json:"share"`
}

// robustness sums up the corruptions of one model on one domain.
type robustness struct {
	Model  string `json:"model"`
	Domain string `json:"domain"`
	// Adapted is that of the model's results.
	Adapted bool `json:"adapted,omitempty"`
	// Clean and Mean are mIoU on clean pictures and its mean over all corruptions and
	// severities; Relative is the latter in percent of the former.
	Clean    float64 `json:"clean"`
	Mean     float64 `json:"mean"`
	Relative float64 `json:"relative"`
}

func (o *evalOptions) describe() evalInference {
	scales := o.inference.Scales
	if len(scales) == 0 {
		scales = []float64{1}
	}
	return evalInference{scales, o.inference.Flip, o.inference.Window, o.inference.MaxWidth, o.inference.Square}
}

func newEvalResult(m *evalModel, r evaluate.Result, c condition) evalResult {
	e := evalResult{Model: m.name, Corruption: c.kind, Severity: c.severity, Evaluation: r.Evaluation(m.iteration)}
	e.Adapted = m.adapted
	for i, share := range e.Confusion.Shares() {
		if slices.Contains(e.Classes, e.Confusion.Classes[i]) {
			e.Share = append(e.Share, share)
		}
	}
	e.PicturesPerSecond = float64(r.Pictures) / max(r.Predicting.Seconds(), 1e-9)
	return e
}

// line is the result for the log.
func (r evalResult) line() string {
	return fmt.Sprintf("%s on %s%s: mIoU %.2f (pictures: %s, %.1f a second)", title(r.Model, r.Adapted), r.Domain,
		condition{r.Corruption, r.Severity}.suffix(), r.MIoU, terminal.Count(r.Pictures), r.PicturesPerSecond)
}

// find returns the result of a model on a domain, nil if it is not finished.
func (r *evalReport) find(model, domain string, c condition) *evalResult {
	i := slices.IndexFunc(r.Results, func(e evalResult) bool {
		return e.Model == model && e.Domain == domain && e.Corruption == c.kind && e.Severity == c.severity
	})
	if i < 0 {
		return nil
	}
	return &r.Results[i]
}

// summarise fills Robustness, where as many corruptions are scored as there are.
func (r *evalReport) summarise(corruptions int) {
	for _, clean := range r.Results {
		if clean.Corruption != "" {
			continue
		}
		sum, n := 0.0, 0
		for _, e := range r.Results {
			if e.Model == clean.Model && e.Domain == clean.Domain && e.Corruption != "" {
				sum, n = sum+e.MIoU, n+1
			}
		}
		if n > 0 && n == corruptions {
			mean := sum / float64(n)
			r.Robustness = append(r.Robustness, robustness{clean.Model, clean.Domain, clean.Adapted, clean.MIoU, mean, 100 * mean / max(clean.MIoU, 1e-9)})
		}
	}
}

// write prints the report and writes the CSV file.
func (o *evalOptions) write(r evalReport, models []*evalModel, domains []*data.Set) error {
	if o.csv != "" {
		if err := atomicfile.Replace(o.csv, r.writeCSV); err != nil {
			return err
		}
	}
	if o.json {
		e := json.NewEncoder(o.out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	_, err := io.WriteString(o.out, o.text(&r, models, domains))
	return err
}

// writeCSV writes every figure on a line: miou, pixel_accuracy, pictures_per_second, and iou
// and share, of which the class is named.
func (r *evalReport) writeCSV(to io.Writer) error {
	w := csv.NewWriter(to)
	lines := [][]string{{"model", "domain", "corruption", "severity", "pictures", "measure", "class", "value"}}
	for _, e := range r.Results {
		figure := func(measure, class string, value float64) {
			lines = append(lines, []string{title(e.Model, e.Adapted), e.Domain, string(e.Corruption), strconv.Itoa(e.Severity),
				strconv.Itoa(e.Pictures), measure, class, strconv.FormatFloat(value, 'f', 4, 64)})
		}
		figure("miou", "", e.MIoU)
		figure("pixel_accuracy", "", e.PixelAccuracy)
		figure("pictures_per_second", "", e.PicturesPerSecond)
		for i, class := range e.Classes {
			figure("iou", class, e.IoU[i])
			figure("share", class, e.Share[i])
		}
	}
	return w.WriteAll(lines)
}

// text is the report for people.
func (o *evalOptions) text(r *evalReport, models []*evalModel, domains []*data.Set) string {
	tables := r.overviews(models, domains)
	for _, d := range domains {
		if o.classes || len(domains) == 1 {
			tables = append(tables, r.classTable(d, models))
		}
	}
	if o.confusion {
		tables = append(tables, r.confusionTables()...)
	}
	tables = append(tables, r.corruptionTables(o.conditions[1:])...)
	if len(r.Robustness) > 1 {
		tables = append(tables, r.robustnessTable())
	}
	if slices.ContainsFunc(models, func(m *evalModel) bool { return m.adapted }) {
		tables = append(tables, "* has seen pictures of a target domain without labels: no domain generalisation there\n")
	}
	if o.figures != "" {
		tables = append(tables, "the worst pictures are in "+o.figures+"\n")
	}
	if r.Stopped {
		tables = append(tables, "stopped: – is not finished\n")
	}
	return strings.Join(tables, "\n")
}

// points writes an accuracy.
func points(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// measure is a column of the overview.
type measure struct {
	title string
	cell  func(*evalResult) string
}

var measures = []measure{
	{"mIoU", func(e *evalResult) string { return points(e.MIoU) }},
	{"pixel accuracy", func(e *evalResult) string { return points(e.PixelAccuracy) }},
	{"pictures/s", func(e *evalResult) string { return fmt.Sprintf("%.1f", e.PicturesPerSecond) }},
}

// overviews have a row for each model. With one domain, a table has all measures; with
// several, each measure has a table with a column for each domain.
func (r *evalReport) overviews(models []*evalModel, domains []*data.Set) []string {
	fill := func(t *terminal.Table, cells func(m *evalModel) []string) string {
		t.Rule()
		for _, m := range models {
			t.Row(append([]string{m.title()}, cells(m)...)...)
		}
		return t.String()
	}
	cell := func(m *evalModel, d *data.Set, what measure) string {
		if e := r.find(m.name, d.Name, condition{}); e != nil {
			return what.cell(e)
		}
		return "–"
	}
	if len(domains) == 1 {
		t := terminal.NewTable("on " + domains[0].Name)
		for _, what := range measures {
			t.Column(what.title)
		}
		return []string{fill(t, func(m *evalModel) (cells []string) {
			for _, what := range measures {
				cells = append(cells, cell(m, domains[0], what))
			}
			return cells
		})}
	}
	var tables []string
	for _, what := range measures {
		t := terminal.NewTable(what.title)
		for _, d := range domains {
			t.Column(d.Name)
		}
		tables = append(tables, fill(t, func(m *evalModel) (cells []string) {
			for _, d := range domains {
				cells = append(cells, cell(m, d, what))
			}
			return cells
		}))
	}
	return tables
}

func (m *evalModel) title() string { return title(m.name, m.adapted) }

// title marks models that have seen a target domain.
func title(model string, adapted bool) string {
	if adapted {
		return model + "*"
	}
	return model
}
