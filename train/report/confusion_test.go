package report

import (
	"html/template"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
)

// Of ten pixels of road, nine are found and one is taken for car; of 1,000 of car, three are taken
// for road and 200 for nothing known. Sky is predicted only, tree is not there at all.
func TestHeatMap(t *testing.T) {
	colors, err := heat()
	if err != nil {
		t.Fatal(err)
	}
	m := newHeatMap(run.Evaluation{Domain: "dusk", Confusion: &run.Confusion{
		Classes: []string{"road", "tree", "car", "sky"},
		Pixels:  [][]uint64{{9, 0, 1, 0, 0}, {0, 0, 0, 0, 0}, {3, 0, 796, 1, 200}, {0, 0, 0, 0, 0}},
	}}, colors)
	if want := []string{"road", "car", "sky", "none of these"}; !slices.Equal(m.Columns, want) {
		t.Errorf("columns %q, want %q", m.Columns, want)
	}
	want := []struct{ class, share, cells string }{{"road", "1.0", "90|10||"}, {"car", "99.0", "|80||20"}, {"sky", "0.0", "|||"}}
	if len(m.Rows) != len(want) {
		t.Fatalf("rows %+v", m.Rows)
	}
	for i, row := range m.Rows {
		var cells []string
		for _, c := range row.Cells {
			cells = append(cells, c.Text)
			if absent := row.Class == "sky"; absent != (c.Style == "") {
				t.Errorf("%s has a cell of style %q", row.Class, c.Style)
			}
		}
		if got := strings.Join(cells, "|"); row.Class != want[i].class || row.Share != want[i].share || got != want[i].cells {
			t.Errorf("row %s, %s: %s; want %v", row.Class, row.Share, got, want[i])
		}
	}
	for percent, style := range map[float64]template.CSS{0: "background:#000000;color:#fff", 100: "background:#ffffff;color:#000"} {
		if got := newHeatCell(percent, colors).Style; got != style {
			t.Errorf("%v %% has the style %s, want %s", percent, got, style)
		}
	}
}

// Runs of earlier versions kept no confusion.
func TestWithoutConfusion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "old")
	c := create(t, dir, nn.Base)
	train(t, dir, c, 20, 50)
	all, err := run.ReadEvaluations(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Confusion = nil
	}
	if err := run.WriteEvaluations(dir, all); err != nil {
		t.Fatal(err)
	}
	d := parse(t, write(t, dir, nil))
	checkPage(t, d)
	if headings := texts(d.all("h2")); slices.Contains(headings, "Confusion") || !slices.Contains(headings, "Classes") || len(d.classed("notes")) > 0 {
		t.Errorf("the headings are %q", headings)
	}
}
