package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// none stands where there is no number.
const none = "–"

// count writes a whole number with separators of thousands.
func count[T int | int64](n T) string {
	digits, sign := strconv.FormatInt(int64(n), 10), ""
	if n < 0 {
		digits, sign = digits[1:], "−"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// points writes an accuracy.
func points(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// change writes a difference with its sign.
func change(v float64) string {
	text := fmt.Sprintf("%+.1f", v)
	if text == "+0.0" || text == "-0.0" {
		return "±0.0"
	}
	return signed(text)
}

// signed writes a minus that is as wide as a plus.
func signed(number string) string { return strings.Replace(number, "-", "−", 1) }

// percent writes a share of 0 to 1.
func percent(v float64) string {
	if v > 0 && v < 0.01 {
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// small writes a number of any size with two or three digits that count.
func small(v float64) string {
	switch {
	case !isFinite(v):
		return none
	case v >= 100:
		return count(int64(v + 0.5))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// duration writes seconds in the two largest units.
func duration(seconds float64) string {
	if seconds > 100*365*24*3600 {
		return none
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
