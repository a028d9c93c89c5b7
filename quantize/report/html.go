package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// WriteHTML replaces the file at path by a page of the report. The files of the report's sheets
// are read from the folder of path. What the report does not have is left out, and sheets that
// cannot be read are named on the page.
func WriteHTML(path string, r *Report) error {
	v, err := newView(r, filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	if err := page.Write(path, layout, v); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

//go:embed report.html
var layoutText string

//go:embed report.css
var style string

var layout = page.Layout(layoutText, template.FuncMap{"name": func(s string) string { return clip(s, maxName) }})

// view is what the layout shows.
type view struct {
	Head page.Head
	// Notes name what could not be read.
	Notes       []string
	Headline    headline
	Accuracy    accuracyTable
	Latency     latencyTable
	Classes     []classTable
	Sheets      sheetRows
	Layers      layerRanking
	Tensors     tensorCharts
	Calibration []page.Fact
	Program     string
	SHA256      string
}

func newView(r *Report, dir string) (*view, error) {
	v := &view{
		Headline: newHeadline(r), Accuracy: newAccuracyTable(r), Classes: newClassTables(r),
		Calibration: calibrationFacts(r.Calibration), Program: r.Program, SHA256: r.Model.SHA256,
	}
	v.Head = page.NewHead("Quantisation of "+clip(v.Headline.Name, maxName), style)
	v.Sheets, v.Notes = readSheets(r, dir)
	var err error
	if v.Latency, err = newLatencyTable(r); err != nil {
		return nil, err
	}
	if v.Layers, err = newLayerRanking(r); err != nil {
		return nil, err
	}
	v.Tensors, err = newTensorCharts(r.Tensors)
	return v, err
}

// maxName is how much of a name is shown: exporters write whole paths into names of layers.
const maxName = 120

// clip shortens a name in its middle, since those of layers differ at their ends, and makes it
// one line.
func clip(name string, length int) string {
	line := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, name))
	if len(line) <= length {
		return string(line)
	}
	head := (length - 1) / 2
	return string(line[:head]) + "…" + string(line[len(line)-(length-1-head):])
}

// baseline is the name of the variant to compare with, the first.
func (r *Report) baseline() string {
	if len(r.Variants) > 0 && r.Variants[0].Name != "" {
		return r.Variants[0].Name
	}
	return "fp32"
}

// score returns a variant's result on a domain, if there is one.
func (r *Report) score(variant, domain int) (Accuracy, bool) {
	if variant >= len(r.Variants) || domain >= len(r.Variants[variant].Accuracy) {
		return Accuracy{}, false
	}
	a := r.Variants[variant].Accuracy[domain]
	return a, page.IsFinite(a.MIoU)
}

// drop returns the mIoU that a variant loses on a domain against the first variant.
func (r *Report) drop(variant, domain int) (float64, bool) {
	first, ok := r.score(0, domain)
	own, known := r.score(variant, domain)
	return first.MIoU - own.MIoU, ok && known
}

// loss is a loss of mIoU as it is shown: as a negative difference.
func loss(drop float64) string { return page.Difference(-drop, 2) }

// measured writes a number or that there is none.
func measured(v float64, format string) string {
	if !page.IsFinite(v) {
		return page.None
	}
	return page.Signed(fmt.Sprintf(format, v))
}
