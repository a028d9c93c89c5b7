package telemetry

import (
	"sync"
	"time"
)

// rescanAfter is how long sensors that were found are taken for all there are: drivers load
// late in a boot, and one chip may be there before the next.
const rescanAfter = time.Minute

// Sensors reads the sensors of a machine. Where they are is found once, and again when one has
// vanished, when none of a kind was there, or after a minute. All methods are safe for
// concurrent use; a nil *Sensors reads nothing.
type Sensors struct {
	root string

	mu       sync.Mutex
	zones    group[thermalFiles]
	gpus     group[gpuFiles]
	cpus     group[cpuFiles]
	rails    group[railFiles]
	counters group[counterFiles]
	cooling  group[thermalFiles]
	modes    group[PowerMode]
}

// Open makes sensors of the system whose files lie below root, which is "/" but in tests. It
// does not touch them yet.
func Open(root string) *Sensors {
	return &Sensors{
		root:     root,
		zones:    group[thermalFiles]{find: findZones},
		gpus:     group[gpuFiles]{find: findGPU},
		cpus:     group[cpuFiles]{find: findCPUs},
		rails:    group[railFiles]{find: findRails},
		counters: group[counterFiles]{find: findCounters},
		cooling:  group[thermalFiles]{find: findCooling},
		modes:    group[PowerMode]{find: findModes},
	}
}

// Read asks all sensors. It takes a few milliseconds on a Jetson, most of them for those behind
// an I²C bus, so it belongs neither into the way of a frame nor into a time that is measured.
func (s *Sensors) Read() Reading {
	if s == nil {
		return Reading{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var r Reading
	s.zones.each(s.root, func(f thermalFiles) error { return appendRead(&r.Zones, f.zone) })
	s.gpus.each(s.root, func(g gpuFiles) error {
		gpu, err := g.read()
		if err == nil {
			r.GPU = &gpu
		}
		return err
	})
	s.cpus.each(s.root, func(c cpuFiles) error { return appendRead(&r.CPUs, c.read) })
	r.CoresOff = coresOff(s.root)
	s.counters.each(s.root, func(c counterFiles) error { return appendRead(&r.Counters, c.read) })
	s.cooling.each(s.root, func(f thermalFiles) error { return appendRead(&r.Cooling, f.cooling) })
	s.readRails(&r)
	if id, ok := readModeID(s.root); ok {
		r.PowerMode = &PowerMode{ID: id}
		for _, m := range s.modes.current(s.root) {
			if m.ID == id {
				r.PowerMode.Name = m.Name
			}
		}
	}
	return r
}

// readRails fills in the rails and their total.
func (s *Sensors) readRails(r *Reading) {
	var t total
	s.rails.each(s.root, func(f railFiles) error {
		rail, err := f.read()
		if err == nil {
			r.Rails = append(r.Rails, rail)
		}
		t.add(f.label, rail.Watts, err == nil)
		return err
	})
	r.TotalWatts = t.watts()
}

// appendRead reads a value and appends it unless that fails.
func appendRead[V any](list *[]V, read func() (V, error)) error {
	v, err := read()
	if err == nil {
		*list = append(*list, v)
	}
	return err
}

// group is the sensors of one kind, and where they are.
type group[F any] struct {
	find    func(root string) []F
	files   []F
	scanned time.Time
	stale   bool // one of the files has vanished
}

// current returns the files, found anew if need be.
func (g *group[F]) current(root string) []F {
	if g.stale || len(g.files) == 0 || time.Since(g.scanned) >= rescanAfter {
		g.files, g.scanned, g.stale = g.find(root), time.Now(), false
	}
	return g.files
}

// each reads all of them. Errors are seen as values that are missing; one that has vanished makes
// the next call look for the files again.
func (g *group[F]) each(root string, read func(F) error) {
	for _, f := range g.current(root) {
		if vanished(read(f)) {
			g.stale = true
		}
	}
}
