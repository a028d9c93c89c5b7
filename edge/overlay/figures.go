package overlay

import (
	"strconv"
	"time"
)

// Figures are drawn on the picture.
type Figures struct {
	// FPS is the rate of segmented frames per second.
	FPS float64
	// Infer is the time in the network, Latency the time from capture to drawing.
	Infer, Latency time.Duration
	// Dropped counts frames that were given up for newer ones.
	Dropped uint64
}

// append formats the figures without allocating.
func (s Figures) append(b []byte) []byte {
	b = strconv.AppendFloat(b, s.FPS, 'f', 1, 64)
	b = append(b, " fps   network "...)
	b = appendMillis(b, s.Infer)
	b = append(b, "   latency "...)
	b = appendMillis(b, s.Latency)
	b = append(b, "   dropped "...)
	return strconv.AppendUint(b, s.Dropped, 10)
}

func appendMillis(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, d.Round(time.Millisecond).Milliseconds(), 10)
	return append(b, " ms"...)
}
