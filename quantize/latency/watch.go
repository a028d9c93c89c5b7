package latency

import (
	"math"
	"slices"
	"time"

	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/quantize/report"
)

// lookEvery is the least time between two looks at the sensors, which take a few milliseconds.
const lookEvery = time.Second

// Watch looks at the machine's sensors while something is measured, to tell what held clocks
// back meanwhile. It belongs to one goroutine.
type Watch struct {
	sensors *telemetry.Sensors
	looked  time.Time
	last    telemetry.Reading
	found   report.Conditions
}

// NewWatch looks for the first time. With sensors nil, nothing is ever seen.
func NewWatch(sensors *telemetry.Sensors) *Watch {
	w := &Watch{sensors: sensors, last: sensors.Read(), looked: time.Now()}
	w.note(w.last)
	return w
}

// Look is to be called again and again where no time is being taken. It looks once in a second:
// clocks that were held back for heat only in between would not be seen at the end.
func (w *Watch) Look() {
	if time.Since(w.looked) >= lookEvery {
		w.look()
	}
}

// Conditions looks for the last time and returns what was seen.
func (w *Watch) Conditions() report.Conditions {
	w.look()
	c := w.found
	c.Invalid = len(c.Throttled) > 0
	if m := w.last.PowerMode; m != nil {
		c.PowerMode = m.String()
	}
	if g := w.last.GPU; g != nil {
		c.GPUMHz, c.GPUMaxMHz = megahertz(g.FrequencyHertz), megahertz(g.MaxFrequencyHertz)
	}
	for _, p := range w.last.CPUs {
		c.Policies = append(c.Policies, report.Policy{
			Cores: p.Cores, Governor: p.Governor,
			CurrentMHz: megahertz(p.FrequencyHertz), MaxMHz: megahertz(p.MaxFrequencyHertz), HardwareMHz: megahertz(p.HardwareHertz),
		})
	}
	return c
}

func (w *Watch) look() {
	r := w.sensors.Read()
	w.looked = time.Now()
	w.found.Throttled = telemetry.Merge(w.found.Throttled, telemetry.Throttled(w.last, r))
	for _, c := range w.last.Counters {
		// One that cannot be read this time is compared with what it was.
		if !slices.ContainsFunc(r.Counters, func(now telemetry.Counter) bool { return now.Name == c.Name }) {
			r.Counters = append(r.Counters, c)
		}
	}
	w.last = r
	w.note(r)
}

// note keeps the extremes.
func (w *Watch) note(r telemetry.Reading) {
	c := &w.found
	if z, ok := r.Hottest(); ok && (c.HottestZone == "" || z.Celsius > c.HottestCelsius) {
		c.HottestZone, c.HottestCelsius = z.Name, z.Celsius
	}
	c.PowerWatts = max(c.PowerWatts, r.TotalWatts)
}

func megahertz(hertz float64) int { return int(math.Round(hertz / 1e6)) }
