package edge

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/robustnet-edge/robustnet/edge/overlay"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
)

// machineEvery is the time between two looks at the computer's sensors for people. Those who
// scrape the metrics have their own.
const machineEvery = 2 * time.Second

// throttledFor is how long what held clocks back is told after it was seen last: those who look
// at the picture do not do so all the time.
const throttledFor = 10 * time.Second

// machine keeps what the computer's sensors said last, because asking them takes as long as a
// part of a frame.
type machine struct {
	last atomic.Pointer[look]
}

// look is what the sensors said, and what held clocks back lately.
type look struct {
	telemetry.Reading
	throttled string
}

// throttling remembers from look to look what held clocks back.
type throttling struct {
	before telemetry.Reading
	causes string
	seen   time.Time
}

// next returns the causes of the last ten seconds.
func (t *throttling) next(r telemetry.Reading) (causes string) {
	now := telemetry.Causes(telemetry.Throttled(t.before, r))
	t.before = r
	switch {
	case now != "":
		t.causes, t.seen = now, time.Now()
	case time.Since(t.seen) >= throttledFor:
		t.causes = ""
	}
	return t.causes
}

// watch looks at the sensors until ctx ends.
func (m *machine) watch(ctx context.Context, sensors *telemetry.Sensors) error {
	if sensors == nil {
		return nil
	}
	tick := time.NewTicker(machineEvery)
	defer tick.Stop()
	var t throttling
	for {
		r := sensors.Read()
		m.last.Store(&look{Reading: r, throttled: t.next(r)})
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// onPicture adds what is drawn on the picture.
func (m *machine) onPicture(f *overlay.Figures) {
	r := m.last.Load()
	if r == nil {
		return
	}
	if z, ok := r.Hottest(); ok {
		f.Zone, f.Celsius = z.Name, z.Celsius
	}
	f.Watts = r.TotalWatts
	if r.GPU != nil {
		f.GPUMegahertz = int(math.Round(r.GPU.FrequencyHertz / 1e6))
	}
	f.Throttled = r.throttled
}

// status returns what the page shows, nil if that is nothing.
func (m *machine) status() *web.MachineStatus {
	r := m.last.Load()
	if r == nil {
		return nil
	}
	var s web.MachineStatus
	if z, ok := r.Hottest(); ok {
		s.HottestZone, s.HottestCelsius = z.Name, &z.Celsius
	}
	if r.TotalWatts > 0 {
		s.PowerWatts = &r.TotalWatts
	}
	if r.PowerMode != nil {
		s.PowerMode = r.PowerMode.String()
	}
	if g := r.GPU; g != nil {
		s.GPULoadRatio = g.LoadRatio
		if g.FrequencyHertz > 0 {
			s.GPUFrequencyHertz = &g.FrequencyHertz
		}
	}
	s.Throttled = r.throttled
	if s == (web.MachineStatus{}) {
		return nil
	}
	return &s
}
