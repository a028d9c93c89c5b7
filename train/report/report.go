// Package report makes report.html of a run folder: one page for a browser, without scripts
// and without anything from elsewhere. It shows how the training goes, what the network
// sees, which covariances the whitening took away, and what the methods cost side by side.
package report

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/run"
)

// Write replaces report.html of a run folder, as of what the folder holds now. Others are the
// run folders to compare with; for nil they are those beside it. Only the run's config.yaml
// must be there and right: what else is missing is left out, and what cannot be read is named
// on the page.
func Write(dir string, others []string) error {
	return WriteFile(dir, others, filepath.Join(dir, run.ReportFile))
}

// WriteFile is Write into another file.
func WriteFile(dir string, others []string, path string) error {
	p, err := gather(dir, others)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := page.Write(path, layout, p); err != nil {
		return fmt.Errorf("report of %s: %w", dir, err)
	}
	return nil
}

//go:embed report.html
var layoutText string

//go:embed report.css
var style string

var layout = page.Layout(layoutText, nil)

// view is what the layout shows.
type view struct {
	Head page.Head
	// Notes name what could not be read.
	Notes      []string
	Headline   headline
	Charts     []drawnChart
	Speed      []page.Fact
	Classes    classTable
	Confusions confusions
	Pictures   pictures
	Layers     []layerView
	Costs      costTable
	Origin     string
	Recipe     []page.Fact
	YAML       string
}

// record is what is read of a run.
type record struct {
	Dir         string
	Config      run.Config
	Metrics     []run.Metric
	Evaluations []run.Evaluation
	Status      run.Status
}

// read reads a run's records. Those that cannot be read are left empty, and named in the notes.
func read(dir string) (r record, notes []string, err error) {
	r.Dir = dir
	if r.Config, err = run.ReadConfig(dir); err != nil {
		return r, nil, err
	}
	note := func(err error) {
		if err != nil {
			notes = append(notes, err.Error())
		}
	}
	r.Metrics, err = run.ReadMetrics(dir)
	note(err)
	r.Evaluations, err = run.ReadEvaluations(dir)
	note(err)
	r.Status, err = run.ReadStatus(dir)
	note(err)
	return r, notes, nil
}

// name is how a run is called: its folder's name.
func (r record) name() string {
	if absolute, err := filepath.Abs(r.Dir); err == nil {
		return filepath.Base(absolute)
	}
	return r.Dir
}

func gather(dir string, others []string) (*view, error) {
	r, notes, err := read(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, run.ConfigFile))
	if err != nil {
		return nil, err
	}
	p := &view{Notes: notes, Origin: r.Config.Origin, Recipe: recipe(r.Config.Training), YAML: string(text)}
	p.Headline = newHeadline(r)
	p.Head = page.NewHead(fmt.Sprintf("%s: %s on %s", p.Headline.Name, p.Headline.Method, p.Headline.Trunk), style)
	if p.Charts, err = charts(r); err != nil {
		return nil, err
	}
	p.Speed = speed(r)
	p.Classes = newClassTable(r)
	if p.Confusions, err = newConfusions(r); err != nil {
		return nil, err
	}
	if p.Layers, err = layers(r); err != nil {
		p.Notes = append(p.Notes, err.Error())
	}
	if p.Pictures, err = readPictures(dir, r.Config); err != nil {
		p.Notes = append(p.Notes, err.Error())
	}
	p.Costs, notes = newCostTable(r, others)
	p.Notes = append(p.Notes, notes...)
	return p, nil
}

// siblings returns the run folders beside a run, by name.
func siblings(dir string) ([]string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	parent := filepath.Dir(absolute)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		beside := filepath.Join(parent, e.Name())
		if _, err := os.Stat(filepath.Join(beside, run.ConfigFile)); err == nil && beside != absolute {
			dirs = append(dirs, beside)
		}
	}
	return dirs, nil
}
