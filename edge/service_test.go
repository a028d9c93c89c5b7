package edge

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
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
	if m.told[0] != "ready" || !slices.Contains(m.told, "stopping") {
		t.Errorf("told %v, want ready first, and stopping", m.told)
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
	eventually(t, "a frame is in the network", func() bool { return slices.Contains(f.pipeline.pulse.stages(), segmenting) })
	f.pipeline.pulse.within(segmenting, -time.Nanosecond) // its deadline is over
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
	s.config.Camera.NoFrame = time.Minute
	m := &manager{patience: time.Hour}
	d := s.daemon(t)
	d.o.Service = m
	d.o.Openers = camera.Openers{"synthetic": func(context.Context, camera.URI, camera.Want) (camera.Source, error) {
		return nil, errors.New("no such device")
	}}
	stop := running(t, d)
	eventually(t, "the camera is missed", func() bool { return d.one().metrics.Reopens() > 0 })
	d.tellService()
	if m.count("alive") != 1 {
		t.Error("a daemon that waits for its camera was not told alive")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A camera that may be there again is looked for at once.
func TestCameraThatIsPluggedInIsLookedFor(t *testing.T) {
	s := newSetup()
	d := s.daemon(t)
	d.o.Openers = camera.Openers{"synthetic": func(context.Context, camera.URI, camera.Want) (camera.Source, error) {
		return nil, errors.New("no such device")
	}}
	plugged := make(chan func())
	d.o.Watchers = map[string]Watcher{"synthetic": func(ctx context.Context, uri camera.URI, changed func()) error {
		select {
		case plugged <- changed:
		case <-ctx.Done():
		}
		return errors.New("cannot watch")
	}}
	stop := running(t, d)
	changed := <-plugged
	eventually(t, "it is looked for ten times, without the pauses", func() bool {
		changed()
		return d.one().metrics.Reopens() >= 10
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "cannot watch") {
		t.Error("the log does not tell that nobody watches")
	}
}

// stages are those that have a deadline.
func (p *pulse) stages() (busy []stage) {
	for s := range stageCount {
		if p.deadlines[s].Load() != 0 {
			busy = append(busy, s)
		}
	}
	return busy
}

// While one camera's frame is in the network, others wait for it as long as it takes: many
// cameras with a slow network do not hang.
func TestWaitingForTheNetworkIsNoHang(t *testing.T) {
	s := newSetup()
	s.listed("front", "rear")
	clip := func() *fakeSource {
		return &fakeSource{frames: 9, end: io.EOF, pool: camera.NewPool(frameWidth, frameHeight)}
	}
	s.engine.gate = newGate()
	d := s.garage(t, garage{"0": clip(), "1": clip()})
	stop := running(t, d)
	<-s.engine.gate.entered
	front, rear := d.named("front").pipeline, d.named("rear").pipeline
	eventually(t, "both cameras wait, and the network alone is busy", func() bool {
		return slices.Equal(slices.Concat(front.pulse.stages(), rear.pulse.stages()), []stage{segmenting}) &&
			d.network.waiting() == 1 && front.metrics.Frames()+rear.metrics.Frames() == 5 // with those in and before the slots
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func (t *turns) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue)
}

// An output that hangs is noticed though the network goes on.
func TestOutputThatHangsIsNotAlive(t *testing.T) {
	s := newSetup()
	s.source.live, s.source.frames = true, 0
	m := &manager{patience: time.Hour}
	d := s.daemon(t)
	d.o.Service = m
	stop := running(t, d)
	f := d.one()
	eventually(t, "frames", func() bool { return newest(f) > 3 })
	f.latest.mu.Lock() // the presenter cannot hand over what it made
	runs := s.engine.runs.Load()
	eventually(t, "the network goes on", func() bool { return s.engine.runs.Load() > runs+5 })
	f.pipeline.pulse.within(presenting, -time.Nanosecond) // its deadline is over
	d.tellService()
	f.latest.mu.Unlock()
	if m.count("alive") != 0 || !strings.Contains(s.log.String(), `"stage":"output","message":"hangs`) {
		t.Errorf("told alive %d times, log %s", m.count("alive"), s.log.String())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A reload may load a model for minutes, in which the daemon lives.
func TestAliveDuringReload(t *testing.T) {
	r := newReloading(t, garage{"0": liveSource()}, "front")
	m := &manager{patience: 15 * time.Millisecond}
	r.d.o.Service = m
	loading, loaded := make(chan struct{}), make(chan struct{})
	r.d.o.Load = func() (config.Config, error) {
		close(loading)
		<-loaded
		return r.config, nil
	}
	stop := running(t, r.d)
	r.ask <- struct{}{}
	<-loading
	before := m.count("alive")
	eventually(t, "signs of life during the reload", func() bool { return m.count("alive") > before+3 })
	close(loaded)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		if _, hangs := p.hanging(); hangs {
			t.Error("hangs before it has begun")
		}
		p.within(capturing, time.Second)
		p.within(presenting, time.Minute)
		time.Sleep(time.Second)
		if _, hangs := p.hanging(); hangs {
			t.Error("hangs at its deadline, want after it")
		}
		time.Sleep(time.Second)
		if s, hangs := p.hanging(); !hangs || s.String() != "camera" {
			t.Errorf("%v hangs: %v, want the camera", s, hangs)
		}
		p.rests(capturing)
		if _, hangs := p.hanging(); hangs {
			t.Error("hangs though one stage rests and the other has time")
		}
	})
}

// Those who wait alternate, and allocate nothing.
func TestTurns(t *testing.T) {
	var ts turns
	a, b := newPlace(), newPlace()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// turn passes the turn on when the other waits for it, and waits for the next.
	turn := func(ctx context.Context, p *place) error {
		for ts.waiting() == 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		ts.release()
		return ts.take(ctx, p)
	}
	if err := ts.take(ctx, a); err != nil {
		t.Fatal(err)
	}
	turns, ended := 0, make(chan error)
	go func() {
		err := ts.take(ctx, b)
		for ; err == nil; err = turn(ctx, b) {
			turns++
		}
		ended <- err
	}()
	allocs := testing.AllocsPerRun(100, func() { _ = turn(ctx, a) })
	for ts.waiting() == 0 {
		runtime.Gosched()
	}
	if allocs > 0.5 || turns != 101 {
		t.Errorf("%v allocations and %d turns of the other, want none and 101", allocs, turns)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || ts.waiting() != 0 {
		t.Errorf("one who waited: %v, %d wait; want that it left", err, ts.waiting())
	}
	if err := ts.take(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("take after the end: %v", err)
	}
	ts.release()
	if err := ts.take(t.Context(), b); err != nil {
		t.Errorf("take of what is free: %v", err)
	}
}
