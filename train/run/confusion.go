package run

import (
	"fmt"
	"math"
)

// Confusion counts the labelled pixels of an evaluation by true and by predicted class.
type Confusion struct {
	// Classes are all that were compared, also those that neither occur nor were predicted.
	Classes []string `json:"classes"`
	// Pixels has a row for each true class, and in it a column for each predicted one. Where
	// predictions were translated, rows have one column more: pixels whose prediction becomes
	// none of Classes.
	Pixels [][]uint64 `json:"pixels"`
}

// Translated says whether rows have the column of predictions that become no class.
func (c Confusion) Translated() bool { return len(c.Pixels[0]) > len(c.Classes) }

// Shares returns what part of the labelled pixels each class is, in percent.
func (c Confusion) Shares() []float64 {
	rows, all := c.sums()
	for i := range rows {
		rows[i] *= 100 / max(all, 1)
	}
	return rows
}

// Percent returns Pixels in percent of their row: what the true class was taken for. The rows
// of classes that do not occur are NaN.
func (c Confusion) Percent() [][]float64 {
	sums, _ := c.sums()
	rows := make([][]float64, len(c.Pixels))
	for i, row := range c.Pixels {
		for _, n := range row {
			rows[i] = append(rows[i], 100*float64(n)/sums[i]) // 0/0 is NaN
		}
	}
	return rows
}

// sums are the pixels of each true class and of all.
func (c Confusion) sums() (rows []float64, all float64) {
	rows = make([]float64, len(c.Pixels))
	for i, row := range c.Pixels {
		for _, n := range row {
			rows[i] += float64(n)
		}
		all += rows[i]
	}
	return rows, all
}

// Seen returns it without the classes that neither occur nor were predicted, and without the
// column of no class where that is empty.
func (c Confusion) Seen() Confusion {
	used := make([]bool, len(c.Pixels[0]))
	for i, row := range c.Pixels {
		for j, n := range row {
			used[i], used[j] = used[i] || n > 0, used[j] || n > 0
		}
	}
	var seen Confusion
	for i, row := range c.Pixels {
		if !used[i] {
			continue
		}
		var counts []uint64
		for j, n := range row {
			if used[j] {
				counts = append(counts, n)
			}
		}
		seen.Classes, seen.Pixels = append(seen.Classes, c.Classes[i]), append(seen.Pixels, counts)
	}
	return seen
}

func (c Confusion) check() error {
	const maxClasses = 256
	classes := len(c.Classes)
	if classes < 1 || classes > maxClasses || len(c.Pixels) != classes {
		return fmt.Errorf("a confusion of %d classes has %d rows", classes, len(c.Pixels))
	}
	columns := len(c.Pixels[0])
	for i, row := range c.Pixels {
		if len(row) != columns || columns < classes || columns > classes+1 {
			return fmt.Errorf("a confusion of %d classes has %d columns in row %d", classes, len(row), i)
		}
	}
	if _, all := c.sums(); all < 1 || all > math.MaxInt64 {
		return fmt.Errorf("a confusion counts %.0f pixels", all)
	}
	return nil
}
