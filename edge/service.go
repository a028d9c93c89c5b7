package edge

import (
	"fmt"
	"strings"
	"time"
)

// Service is the manager of services that started the daemon, such as systemd.
type Service interface {
	// Ready says that the daemon serves, and how it does in one line, for the first time or
	// after Reloading.
	Ready(status string)
	// Reloading says that the configuration is being read again.
	Reloading()
	// Stopping says that the daemon ends.
	Stopping()
	// Status says in one line how it does.
	Status(line string)
	// Alive keeps the manager from taking the daemon for one that hangs.
	Alive()
	// Patience is how long the manager waits for Alive; 0 if it does not.
	Patience() time.Duration
}

// nobody is the service manager of a daemon that was started by hand.
type nobody struct{}

func (nobody) Ready(string)            {}
func (nobody) Reloading()              {}
func (nobody) Stopping()               {}
func (nobody) Status(string)           {}
func (nobody) Alive()                  {}
func (nobody) Patience() time.Duration { return 0 }

func (o Options) service() Service {
	if o.Service == nil {
		return nobody{}
	}
	return o.Service
}

// heartbeat ticks often enough for the service manager.
func (d *Daemon) heartbeat() (beat <-chan time.Time, stop func()) {
	patience := d.o.service().Patience()
	if patience <= 0 {
		return nil, func() {}
	}
	tick := time.NewTicker(patience / 3)
	return tick.C, tick.Stop
}

// tellService says how the daemon does, and that it is alive if it is: if every pipeline
// brings frames through, or says by its deadlines that the camera has none. A camera that is
// unplugged is no reason to start the daemon anew; a driver, network or encoder that hangs is.
func (d *Daemon) tellService() {
	d.o.service().Status(d.summary())
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.feeds {
		if f.running && !f.pulse.beats() {
			return
		}
	}
	d.o.service().Alive()
}

// summary is one line about the cameras.
func (d *Daemon) summary() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := make([]string, len(d.feeds))
	for i, f := range d.feeds {
		_, state, _ := f.camera.snapshot()
		said[i] = fmt.Sprintf("%s %s, %.1f fps", f.name, state, f.figures.pipeline().FPS)
	}
	return strings.Join(said, "; ")
}
