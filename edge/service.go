package edge

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Service is the manager of services that started the daemon, such as systemd. It is told by
// several goroutines.
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

// heartbeat tells the service manager often enough, also while a reload loads a model for
// minutes, until ctx ends.
func (d *Daemon) heartbeat(ctx context.Context) error {
	patience := d.o.service().Patience()
	if patience <= 0 {
		return nil
	}
	tick := time.NewTicker(patience / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.tellService()
		}
	}
}

// tellService says how the daemon does, and that it is alive unless something hangs. A camera
// that is unplugged is no reason to start the daemon anew; a driver, network or encoder that
// hangs is.
func (d *Daemon) tellService() {
	d.o.service().Status(d.summary())
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.feeds {
		if s, hangs := f.pipeline.pulse.hanging(); f.running && hangs {
			log := d.logOf(f.name)
			log.Error().Stringer("stage", s).Msg("hangs; the service manager is not told that the daemon lives")
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
