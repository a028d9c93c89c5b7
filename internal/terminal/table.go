package terminal

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// Table lines up columns of text.
type Table struct {
	// Left says for each column whether it is aligned to the left.
	Left []bool
	// Gap is the number of spaces between columns, 0 for 2.
	Gap int

	rows [][]string // nil for a rule
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Rule adds a line across the table.
func (t *Table) Rule() { t.rows = append(t.rows, nil) }

// String is the table, a line per row.
func (t *Table) String() string {
	gap := strings.Repeat(" ", cmp.Or(t.Gap, 2))
	widths := make([]int, len(t.Left))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	var text strings.Builder
	for _, row := range t.rows {
		if row == nil {
			text.WriteString(strings.Repeat("─", total) + "\n")
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.Left[i] {
				line.WriteString(cell + space + gap)
			} else {
				line.WriteString(space + cell + gap)
			}
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return text.String()
}

// NewTable begins a table whose first column is aligned to the left, with a heading.
func NewTable(title string) *Table {
	return &Table{Left: []bool{true}, rows: [][]string{{title}}}
}

// Column adds one of numbers to a table that has a heading only.
func (t *Table) Column(title string) {
	t.Left = append(t.Left, false)
	t.rows[0] = append(t.rows[0], title)
}
