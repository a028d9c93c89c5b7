package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// Of the 7 quarters of 24 × 64 pixels that are not void, 4 are road and 3 are cars.
func TestEvalConfusion(t *testing.T) {
	_, args := onCars(t)
	code, stdout, stderr := execute(t, append(args, "--confusion")...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	if want := `
cars on all: predicted as class 1, 2, …, % of the true class
  true class % of pixels 1   2
──────────────────────────────
1 road             57.14   100
2 car              42.86   100
`; !strings.Contains(stdout, want) {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
	if code, stdout, stderr = execute(t, append(args, "--json")...); code != cli.OK {
		t.Fatal(stderr)
	}
	var r evalReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	const quarter, road, car = 24 * 64, 3, 8
	for i, predicted := range []int{car, road} {
		e := r.Results[i]
		for truth, row := range e.Confusion.Pixels {
			for column, n := range row {
				want := uint64(0)
				if column == predicted {
					want = map[int]uint64{road: 4 * quarter, car: 3 * quarter}[truth]
				}
				if n != want {
					t.Errorf("%s: %d pixels of %d are %d, want %d", e.Model, n, truth, column, want)
				}
			}
		}
		if len(e.Share) != 2 || math.Abs(e.Share[0]-400./7) > 1e-9 || math.Abs(e.Share[1]-300./7) > 1e-9 || e.Confusion.Classes[car] != "car" {
			t.Errorf("%s: shares %v of %v", e.Model, e.Share, e.Classes)
		}
	}
}

// Twenty classes, all right but for the last: a third is taken for the first, half a percent for
// the second, less for the third, and the rest for none.
func TestConfusionTable(t *testing.T) {
	c := &trainrun.Confusion{}
	for i := range 20 {
		row := make([]uint64, 21)
		row[i] = 1000
		c.Classes, c.Pixels = append(c.Classes, "motorcycle"), append(c.Pixels, row)
	}
	c.Pixels[19] = []uint64{333, 5, 4, 19: 0, 20: 658}
	e := evalResult{Model: "isw", Evaluation: trainrun.Evaluation{Domain: "dusk", Adapted: true, Confusion: c}}
	table := e.confusionTable()
	lines := strings.Split(table, "\n")
	last := lines[len(lines)-2]
	if fields := strings.Fields(last); !reflect.DeepEqual(fields, []string{"20", "motorcycle", "5.00", "33", "1", "66"}) {
		t.Errorf("the last row is %q", last)
	}
	if !strings.HasPrefix(table, "isw* on dusk: ") || !strings.HasSuffix(lines[1], " 19 20 none") || !strings.HasSuffix(last, "   66") {
		t.Errorf("got\n%s", table)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 110 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A class that models of different classes share may mean different pixels.
func TestCommonShare(t *testing.T) {
	with := func(share float64, class string) *evalResult {
		return &evalResult{Evaluation: trainrun.Evaluation{Classes: []string{class}}, Share: []float64{share}}
	}
	a := with(30, "road")
	if got := commonShare([]*evalResult{nil, a, with(30, "road"), with(9, "car")}, "road"); got != 30 {
		t.Errorf("share %v, want 30", got)
	}
	if got := commonShare([]*evalResult{a, with(31, "road")}, "road"); !math.IsNaN(got) {
		t.Errorf("different shares are summed up as %v", got)
	}
}

// stopAfter ends a context when something is written for the n-th time.
type stopAfter struct {
	n    int
	stop context.CancelFunc
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if s.n--; s.n == 0 {
		s.stop()
	}
	return len(p), nil
}

func TestEvalCorruptionsStopped(t *testing.T) {
	_, args := onCars(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	// The log has a line for each result: clean, jpeg and fog of cars, clean and jpeg of roads.
	code := run(ctx, append(args, "--corruptions", "--kinds", "jpeg,fog", "--severities", "1"), &out, &stopAfter{5, cancel})
	for _, want := range []string{
		"\ncars on all: clean 21.43, corrupted 21.43, relative robustness 100.0 %\n",
		"\nroads on all: clean 28.57, corruptions not finished\n",
		"\njpeg              28.57  28.57\nfog                   –      –\n",
	} {
		if code != cli.OK || !strings.Contains(out.String(), want) {
			t.Errorf("exit code %d\n%s\nwant %q", code, &out, want)
		}
	}
	if strings.Contains(out.String(), "roads on all: clean 28.57, corrupted") || strings.Contains(out.String(), "relative %") {
		t.Errorf("robustness of what is not finished:\n%s", &out)
	}
}

// TestEvalAdapted marks what has seen a target in every table, and in the file.
func TestEvalAdapted(t *testing.T) {
	dir, args := onCars(t)
	adapted, file := filepath.Join(dir, "night"), filepath.Join(dir, "figures.csv")
	writeAdapted(t, dir, adapted)
	code, stdout, stderr := execute(t, append(args, "--model", adapted, "--corruptions", "--kinds", "jpeg", "--severities", "1", "--csv", file)...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	for _, want := range []string{"\nnight* on all: clean 21.43", "\nnight*      all ", "\ncars        all "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %q in it", stdout, want)
		}
	}
	if !strings.Contains(stderr, "night* on all, jpeg 1: mIoU 21.43") {
		t.Errorf("the log is\n%s", stderr)
	}
	figures, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(figures), "\nnight*,all,jpeg,1,3,miou,,21.4286\n") || !strings.Contains(string(figures), "\ncars,all,,0,3,miou,,21.4286\n") {
		t.Errorf("figures.csv: %v\n%s", err, figures)
	}
}
