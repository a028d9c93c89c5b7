package terminal

import (
	"fmt"
	"strconv"
)

// Count writes a whole number with separators of thousands.
func Count[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Share writes a part of a whole in percent.
func Share[T int | int64](part, whole T) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(max(whole, 1)))
}

// Giga writes a number in units of 10⁹.
func Giga(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e9) }

// Mega writes a number in units of 10⁶, with separators.
func Mega(n int64) string {
	tenths := (n + 50_000) / 100_000
	return Count(tenths/10) + "." + strconv.FormatInt(tenths%10, 10)
}

// Megabytes writes a number of bytes.
func Megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// Plural writes a number of things, whose name gets an s.
func Plural[T int | int64](n T, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Count(n) + " " + thing
}
