package report

import "github.com/robustnet-edge/robustnet/internal/page"

// none stands where there is no number.
const none = page.None

// Numbers are written as on every page.
var (
	points, change, percent, small, signed = page.Points, page.Change, page.Percent, page.Small, page.Signed
	duration, isFinite                     = page.Duration, page.IsFinite
)

// count writes a whole number with separators of thousands.
func count[T int | int64](n T) string { return page.Count(n) }
