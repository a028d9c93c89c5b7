package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// None stands where there is no number.
const None = "–"

// IsFinite tells whether v is neither infinite nor NaN.
func IsFinite(v float64) bool { return v-v == 0 }

// Count writes a whole number with separators of thousands.
func Count[T int | int64](n T) string {
	digits, sign := strconv.FormatInt(int64(n), 10), ""
	if n < 0 {
		digits, sign = digits[1:], "−"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Points writes an accuracy.
func Points(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// Change writes a difference of accuracies with its sign.
func Change(v float64) string { return Difference(v, 1) }

// Difference writes a difference with its sign and so many decimals.
func Difference(v float64, decimals int) string {
	if !IsFinite(v) {
		return None
	}
	text := fmt.Sprintf("%+.*f", decimals, v)
	if digits := text[1:]; strings.Trim(digits, "0.") == "" {
		return "±" + digits
	}
	return Signed(text)
}

// Signed writes a minus that is as wide as a plus.
func Signed(number string) string { return strings.Replace(number, "-", "−", 1) }

// Percent writes a share of 0 to 1.
func Percent(v float64) string {
	if v > 0 && v < 0.01 {
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// Small writes a number of any size with two or three digits that count.
func Small(v float64) string {
	switch {
	case !IsFinite(v):
		return None
	case v >= 100:
		return Count(int64(v + 0.5))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Bytes writes a size in the unit that suits it.
func Bytes(n int64) string {
	switch {
	case n < 1e5:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Duration writes seconds in the two largest units.
func Duration(seconds float64) string {
	if seconds > 100*365*24*3600 {
		return None
	}
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch hours := int(d.Hours()); {
	case hours >= 48:
		return fmt.Sprintf("%d d %d h", hours/24, hours%24)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
