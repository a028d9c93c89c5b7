package edge

import "time"

// rateWatch finds out whether pictures are encoded at another rate than the encoder was
// told, which holds its bit rate per picture.
type rateWatch struct {
	assumed float64 // frames per second
	since   time.Time
	last    time.Time
	n       int // intervals since then
}

const (
	// rateWindow is long enough for hiccups to even out.
	rateWindow = 5 * time.Second
	// ratePause is a gap that says that nobody was watching meanwhile.
	ratePause = 2 * time.Second
	// rateTolerance is the factor by which the rate may be off.
	rateTolerance = 1.5
)

// add counts a picture encoded now. At the end of a window in which the rate was off by
// more than rateTolerance, it returns the true rate and true.
func (w *rateWatch) add(now time.Time) (fps float64, wrong bool) {
	if w.since.IsZero() || now.Sub(w.last) > ratePause {
		w.since, w.last, w.n = now, now, 0
		return 0, false
	}
	w.last = now
	w.n++
	elapsed := now.Sub(w.since)
	if elapsed < rateWindow {
		return 0, false
	}
	fps = min(max(float64(w.n)/elapsed.Seconds(), 1), 240)
	w.since, w.n = now, 0
	return fps, fps > w.assumed*rateTolerance || fps < w.assumed/rateTolerance
}
