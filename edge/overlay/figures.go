package overlay

import (
	"strconv"
	"strings"
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
	// Zone names the hottest thermal zone, whose temperature is Celsius; empty where none is
	// known.
	Zone    string
	Celsius float64
	// Watts is the power that the computer takes; 0 where it is not known.
	Watts float64
	// GPUMegahertz is the clock of the GPU; 0 where it is not known.
	GPUMegahertz int
	// Throttled says what holds clocks back; empty where nothing does.
	Throttled string
}

// append formats the figures without allocating.
func (s Figures) append(b []byte) []byte {
	b = strconv.AppendFloat(b, s.FPS, 'f', 1, 64)
	b = append(b, " fps   network "...)
	b = appendMillis(b, s.Infer)
	b = append(b, "   latency "...)
	b = appendMillis(b, s.Latency)
	b = append(b, "   dropped "...)
	b = strconv.AppendUint(b, s.Dropped, 10)
	if s.Zone != "" {
		b = append(b, "   "...)
		b = append(b, strings.TrimSuffix(s.Zone[:min(len(s.Zone), maxZone)], "-thermal")...)
		b = append(b, ' ')
		b = strconv.AppendFloat(b, s.Celsius, 'f', 0, 64)
		b = append(b, " C"...) // the font has no sign for degrees
	}
	if s.Watts > 0 {
		b = append(b, "   "...)
		b = strconv.AppendFloat(b, s.Watts, 'f', 1, 64)
		b = append(b, " W"...)
	}
	if s.GPUMegahertz > 0 {
		b = append(b, "   GPU at "...)
		b = strconv.AppendInt(b, int64(s.GPUMegahertz), 10)
		b = append(b, " MHz"...)
	}
	if s.Throttled != "" {
		b = append(b, "   throttled: "...)
		b = append(b, s.Throttled...)
	}
	return b
}

// maxZone keeps a long name from taking the line, in bytes: names of zones are ASCII.
const maxZone = 24

func appendMillis(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, d.Round(time.Millisecond).Milliseconds(), 10)
	return append(b, " ms"...)
}
