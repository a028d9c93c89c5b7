package report

import (
	"fmt"
	"strconv"

	"github.com/robustnet-edge/robustnet/internal/page"
)

// accuracyTable has a row for each variant and a column for each domain.
type accuracyTable struct {
	Baseline string
	Domains  []Domain
	Rows     []accuracyRow
	// Levels explain the colours.
	Levels []levelKey
	// Literal tells whether one of the rows is computed literally.
	Literal bool
}

type accuracyRow struct {
	Variant
	Cells []accuracyCell
	// Size and Integers are written out.
	Size, Integers string
}

// accuracyCell is a result on a domain, written out. The first variant has no difference.
type accuracyCell struct {
	MIoU, Difference, Agreement string
	// Level is the colour's class.
	Level string
}

// levelKey explains a colour.
type levelKey struct{ Level, Text string }

func newAccuracyTable(r *Report) accuracyTable {
	t := accuracyTable{Baseline: r.baseline(), Domains: r.Domains}
	compared := false
	for i, v := range r.Variants {
		row := accuracyRow{Variant: v, Size: page.None, Integers: page.None}
		if v.Bytes > 0 {
			row.Size = fmt.Sprintf("%.1f", float64(v.Bytes)/1e6)
		}
		if v.Convolutions > 0 {
			row.Integers = fmt.Sprintf("%d / %d", v.Integer, v.Convolutions)
		}
		for d := range r.Domains {
			cell := newAccuracyCell(r, i, d)
			compared = compared || cell.Level != ""
			row.Cells = append(row.Cells, cell)
		}
		t.Literal = t.Literal || v.Literal
		t.Rows = append(t.Rows, row)
	}
	if compared {
		t.Levels = levelKeys(r.Gate.MaxDrop)
	}
	return t
}

func newAccuracyCell(r *Report, variant, domain int) accuracyCell {
	a, ok := r.score(variant, domain)
	if !ok {
		return accuracyCell{MIoU: page.None}
	}
	cell := accuracyCell{MIoU: fmt.Sprintf("%.2f", a.MIoU)}
	if drop, ok := r.drop(variant, domain); ok && variant > 0 {
		cell.Difference, cell.Level = loss(drop), level(drop, r.Gate.MaxDrop)
		cell.Agreement = measured(a.Agreement, "%.1f %% agree")
	}
	return cell
}

// level grades a loss by what is accepted.
func level(drop, accepted float64) string {
	const rounding = 1e-9
	accepted = max(accepted, 0)
	switch drop -= rounding; {
	case drop <= 0:
		return "l0"
	case drop <= accepted/2:
		return "l1"
	case drop <= accepted:
		return "l2"
	case drop <= 2*accepted:
		return "l3"
	}
	return "l4"
}

// levelKeys explains what [level] returns.
func levelKeys(accepted float64) []levelKey {
	if accepted <= 0 {
		return []levelKey{{"l0", "no loss"}, {"l4", "a loss"}}
	}
	points := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	return []levelKey{
		{"l0", "no loss"}, {"l1", "up to " + points(accepted/2)}, {"l2", "up to " + points(accepted) + ", which is accepted"},
		{"l3", "▼ up to " + points(2*accepted)}, {"l4", "▼ more"},
	}
}

// Exceeds tells whether the loss is more than is accepted, for those who do not see colours.
func (c accuracyCell) Exceeds() bool { return c.Level == "l3" || c.Level == "l4" }
