package edge

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/edge/config"
)

// manager is a service manager that remembers what it was told.
type manager struct {
	patience time.Duration
	mu       sync.Mutex
	told     []string
}

func (m *manager) say(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, what)
}

func (m *manager) count(what string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, said := range m.told {
		if said == what {
			n++
		}
	}
	return n
}

func (m *manager) Ready(string)            { m.say("ready") }
func (m *manager) Reloading()              { m.say("reloading") }
func (m *manager) Stopping()               { m.say("stopping") }
func (m *manager) Alive()                  { m.say("alive") }
func (m *manager) Patience() time.Duration { return m.patience }
func (m *manager) Status(line string) {
	if !strings.Contains(line, "camera") {
		m.say("status without the camera's name: " + line)
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	s := newSetup()
	s.source.live, s.source.frames = true, 0
	m, ask := &manager{patience: 30 * time.Millisecond}, make(chan struct{})
	d := s.daemon(t)
	d.o.Service, d.o.Reload = m, ask
	d.o.Load = func() (config.Config, error) { return s.config, nil }
	stop := running(t, d)
	eventually(t, "signs of life", func() bool { return m.count("alive") > 3 })
	ask <- struct{}{}
	eventually(t, "ready again", func() bool { return m.count("ready") == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told[0] != "ready" || m.told[len(m.told)-1] != "stopping" {
		t.Errorf("told %v, want ready first and stopping last", m.told)
	}
	if at := slices.Index(m.told, "reloading"); at < 0 || !slices.Contains(m.told[at:], "ready") {
		t.Errorf("told %v, want reloading and then ready", m.told)
	}
	for _, said := range m.told {
		if strings.HasPrefix(said, "status without") {
			t.Error(said)
		}
	}
}

// The watchdog is not fed by a daemon whose network hangs, though its camera delivers, and its
// page answers.
func TestFrozenNetworkIsNotAlive(t *testing.T) {
	s := newSetup()
	s.source.live, s.source.frames = true, 0
	m, freeze := &manager{patience: time.Hour}, make(chan struct{})
	d := s.daemon(t)
	d.o.Service, d.o.Freeze = m, freeze
	stop := running(t, d)
	eventually(t, "frames", func() bool { return newest(d.one()) > 3 })
	freeze <- struct{}{}
	f := d.one()
	eventually(t, "it is frozen", f.frozen)
	f.pulse.within(-time.Nanosecond) // its deadline is over
	d.tellService()
	if m.count("alive") != 0 {
		t.Error("told alive though no frame comes through")
	}
	if code, _ := get(t, s.page(t)+"/healthz"); code != 200 {
		t.Errorf("healthz = %d, want 200: the rest of the daemon lives", code)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func (f *feed) frozen() bool { return f.pipeline.network.frozen.Load() }

// A camera that is away is no reason to start the daemon anew.
func TestLostCameraIsAlive(t *testing.T) {
	s := newSetup()
	s.config.Cameras = nil
	m := &manager{patience: time.Hour}
	d := s.garage(t, garage{})
	d.o.Service = m
	f := &feed{name: "camera", running: true, figures: newFigures()}
	d.feeds = []*feed{f}
	f.pulse.within(time.Minute) // as when the camera was lost, and is to be opened again
	d.tellService()
	if m.count("alive") != 1 {
		t.Error("a daemon that waits for its camera was not told alive")
	}
}
