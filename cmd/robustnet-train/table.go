package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table lines up columns of text.
type table struct {
	// left says for each column whether it is aligned to the left.
	left []bool
	rows [][]string // nil for a rule
	// gap is the number of spaces between columns, 0 for 2.
	gap int
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) rule() { t.rows = append(t.rows, nil) }

// String is the table, a line per row.
func (t *table) String() string {
	gap := strings.Repeat(" ", cmp.Or(t.gap, 2))
	widths := make([]int, len(t.left))
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
			if t.left[i] {
				line.WriteString(cell + space + gap)
			} else {
				line.WriteString(space + cell + gap)
			}
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return text.String()
}

// count writes a whole number with separators of thousands.
func count[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// share writes a part of a whole in percent.
func share[T int | int64](part, whole T) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(max(whole, 1)))
}

// giga writes a number in units of 10⁹.
func giga(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e9) }

// mega writes a number in units of 10⁶, with separators.
func mega(n int64) string {
	tenths := (n + 50_000) / 100_000
	return count(tenths/10) + "." + strconv.FormatInt(tenths%10, 10)
}

// megabytes writes a number of bytes.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
