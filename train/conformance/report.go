package conformance

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// The tolerances, as the reference folders state them. Errors are relative.
const (
	valueTolerance    = 1e-4 // logits, losses, covariances
	gradientTolerance = 1e-3
	// nearTied is the share of pixels whose best class, or of mask entries whose choice, may
	// differ because two candidates are equal within the rounding of float32.
	nearTied = 1e-3
)

// Line is the comparison of one quantity.
type Line struct {
	Quantity        string
	Reference, Ours float64
	// Error is relative to the quantity's scale.
	Error, Tolerance float64
}

// OK says whether the error is within tolerance; NaN is not.
func (l Line) OK() bool { return l.Error <= l.Tolerance }

// Report is the comparison with one folder.
type Report struct{ Lines []Line }

// Failed counts the lines that are not within tolerance.
func (r *Report) Failed() int {
	return len(r.Failures().Lines)
}

// Failures returns the lines that are not within tolerance.
func (r *Report) Failures() *Report {
	failures := &Report{}
	for _, l := range r.Lines {
		if !l.OK() {
			failures.Lines = append(failures.Lines, l)
		}
	}
	return failures
}

// Write prints one line for each quantity.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "reference\tours\trelative error\t\tquantity")
	for _, l := range r.Lines {
		verdict := "ok"
		if !l.OK() {
			verdict = "FAIL"
		}
		fmt.Fprintf(t, "%.9g\t%.9g\t%.1e\t%s\t  %s\n", l.Reference, l.Ours, l.Error, verdict, l.Quantity)
	}
	return t.Flush()
}

// number compares two numbers relative to a scale, which is the reference itself if 0.
func (r *Report) number(quantity string, reference, ours, scale, tolerance float64) {
	if scale = math.Abs(scale); scale == 0 {
		scale = math.Abs(reference)
	}
	err := math.Abs(ours - reference)
	if err != 0 {
		err /= scale
	}
	r.Lines = append(r.Lines, Line{quantity, reference, ours, err, tolerance})
}

// exact compares counts.
func (r *Report) exact(quantity string, reference, ours int) {
	r.number(quantity, float64(reference), float64(ours), 0, 0)
}

// values compares arrays by the largest difference, relative to the largest magnitude. The
// line shows the pair that differs most.
func (r *Report) values(quantity string, reference, ours []float32, tolerance float64) {
	if len(reference) != len(ours) {
		r.exact(quantity+" (number of values)", len(reference), len(ours))
		return
	}
	largest, worst, at := 0.0, -1.0, 0
	for i := range reference {
		largest = math.Max(largest, math.Abs(float64(reference[i])))
		d := math.Abs(float64(ours[i]) - float64(reference[i]))
		if d > worst || math.IsNaN(d) {
			worst, at = d, i
		}
		if math.IsNaN(d) {
			break
		}
	}
	if len(reference) > 0 {
		r.number(quantity, float64(reference[at]), float64(ours[at]), largest, tolerance)
	}
}

// mask compares two sets of flags by the number of those that differ, relative to the number
// of those set.
func (r *Report) mask(quantity string, reference []float32, ours []uint8) {
	if len(reference) != len(ours) {
		r.exact(quantity+" (number of entries)", len(reference), len(ours))
		return
	}
	ones, set, differ := 0, 0, 0
	for i := range reference {
		if reference[i] != 0 {
			ones++
		}
		if ours[i] != 0 {
			set++
		}
		if reference[i] != float32(ours[i]) { // also if it is no flag at all
			differ++
		}
	}
	r.Lines = append(r.Lines, Line{
		Quantity: fmt.Sprintf("%s (%d entries differ)", quantity, differ), Reference: float64(ones), Ours: float64(set),
		Error: float64(differ) / math.Max(float64(ones), 1), Tolerance: nearTied,
	})
}
