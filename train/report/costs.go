package report

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/page"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
)

// costSize is the picture for which multiply-accumulates are counted, that of Cityscapes.
var costSize = nn.Size{Height: 1024, Width: 2048}

// maxCompared bounds the table, and the time that it takes.
const maxCompared = 40

// costTable compares runs.
type costTable struct {
	Size    nn.Size
	Domains []domainColumn
	Rows    []costRow
	// Omitted is the number of runs beyond the table's limit.
	Omitted int
}

type domainColumn struct {
	Name    string
	Adapted bool
	Best    float64
}

// costRow is one run. Numbers are written out; unknown ones as a dash.
type costRow struct {
	Name, Method, Extras, Trunk, State string
	This                               bool
	// Adapted says that the network has seen pictures of a target.
	Adapted                                      bool
	Iterations, Parameters, MACs                 string
	SecondsPerIteration, PicturesPerSecond, Time string
	// MIoU is by the columns.
	MIoU []classCell
}

// newCostTable compares a run with others, those beside it for nil. What cannot be compared is
// named in the notes.
func newCostTable(r record, others []string) (t costTable, notes []string) {
	t.Size = costSize
	if others == nil {
		var err error
		if others, err = siblings(r.Dir); err != nil {
			notes = append(notes, err.Error())
		}
	}
	t.Omitted = max(len(others)-maxCompared, 0)
	records := []record{r}
	for _, dir := range others[:len(others)-t.Omitted] {
		if sameFolder(dir, r.Dir) {
			continue
		}
		other, more, err := read(dir)
		if err != nil {
			notes = append(notes, err.Error())
			continue
		}
		notes = append(notes, more...)
		records = append(records, other)
	}
	for _, r := range records {
		for _, e := range run.LastEvaluations(r.Evaluations) {
			i := slices.IndexFunc(t.Domains, func(d domainColumn) bool { return d.Name == e.Domain && d.Adapted == e.Adapted })
			if i < 0 {
				i = len(t.Domains)
				t.Domains = append(t.Domains, domainColumn{Name: e.Domain, Adapted: e.Adapted})
			}
			t.Domains[i].Best = max(t.Domains[i].Best, e.MIoU)
		}
	}
	slices.SortStableFunc(records, func(a, b record) int {
		return slices.Index(nn.Methods(), a.Config.Method) - slices.Index(nn.Methods(), b.Config.Method)
	})
	for _, other := range records {
		row, err := t.row(other)
		if err != nil {
			notes = append(notes, fmt.Sprintf("cost of %s: %v", other.Dir, err))
			continue
		}
		row.This = other.Dir == r.Dir
		t.Rows = append(t.Rows, row)
	}
	return t, notes
}

func sameFolder(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func (t costTable) row(r record) (costRow, error) {
	row := costRow{
		Name: r.name(), Method: page.MethodName(r.Config.Method), Extras: strings.Join(extras(r.Config), ", "), Adapted: r.Config.Adapted != "", Trunk: trunkName(r.Config.Network), State: r.Status.State,
		Iterations: none, SecondsPerIteration: none, Time: none,
		PicturesPerSecond: small(mean(r.Metrics, func(m run.Metric) float64 { return m.PicturesPerSecond })),
	}
	parameters, macs, err := inferenceCost(r.Config.Network)
	if err != nil {
		return row, err
	}
	row.Parameters, row.MACs = fmt.Sprintf("%.2f", float64(parameters)/1e6), fmt.Sprintf("%.1f", float64(macs)/1e9)
	if s := r.Status; s.Iteration > 0 {
		row.Iterations = count(s.Iteration)
		if s.Seconds > 0 {
			row.SecondsPerIteration, row.Time = small(s.Seconds/float64(s.Iteration)), duration(s.Seconds)
		}
	}
	for _, d := range t.Domains {
		var cell classCell
		for _, e := range run.LastEvaluations(r.Evaluations) {
			if e.Domain == d.Name && e.Adapted == d.Adapted {
				cell = classCell{e.MIoU, true}
			}
		}
		row.MIoU = append(row.MIoU, cell)
	}
	return row, nil
}

// inferenceCost counts without the auxiliary head.
func inferenceCost(spec nn.Spec) (parameters int, macs int64, err error) {
	net, err := nn.New(spec)
	if err != nil {
		return 0, 0, err
	}
	costs, err := net.Cost(costSize)
	if err != nil {
		return 0, 0, err
	}
	for i, needed := range net.Needed(net.Logits) {
		if needed {
			macs += costs[i].MACs
		}
	}
	_, parameters = net.CountParams()
	return parameters, macs, nil
}
