package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/web"
)

// cameraState is what the daemon knows of its camera. It is safe for concurrent use.
type cameraState struct {
	waits     atomic.Bool  // the source is not live: it waits for us
	lastFrame atomic.Int64 // capture time, Unix nanoseconds; 0 before the first frame

	mu     sync.Mutex
	latest camera.Info
	state  web.CameraState
	reason camera.Reason
}

func (c *cameraState) opened(info camera.Info) {
	c.waits.Store(!info.Live)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest, c.state, c.reason = info, web.CameraUp, ""
}

func (c *cameraState) lost(reason camera.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason = reason
	if c.state == web.CameraUp {
		c.state = web.CameraLost
	}
}

// begins says that the camera will be opened, for the first time or anew.
func (c *cameraState) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.reason = web.CameraOpening, ""
}

// failed says that the camera was given up.
func (c *cameraState) failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = web.CameraFailed
}

// ended says that no frames will follow.
func (c *cameraState) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.reason = web.CameraEnded, ""
}

// live says whether frames come whether or not we are ready.
func (c *cameraState) live() bool { return !c.waits.Load() }

func (c *cameraState) info() camera.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

// snapshot returns the state for reports. The reason is empty while all is well.
func (c *cameraState) snapshot() (camera.Info, web.CameraState, camera.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state
	if state == "" {
		state = web.CameraOpening
	}
	return c.latest, state, c.reason
}

// frameAge is the time since the newest frame was captured.
func (c *cameraState) frameAge() (time.Duration, bool) {
	ns := c.lastFrame.Load()
	if ns == 0 {
		return 0, false
	}
	return max(0, time.Since(time.Unix(0, ns))), true
}

// meteredSource counts what a source delivers, and watches over it.
type meteredSource struct {
	camera.Source
	p  *pipeline
	up bool
}

func (m *meteredSource) Read(ctx context.Context) (*camera.Frame, error) {
	p, patience := m.p, m.p.config.Camera.NoFrame+pulseSlack
	p.pulse.within(capturing, patience)
	f, err := m.Source.Read(ctx)
	if err != nil {
		p.pulse.within(capturing, patience) // it will be closed, which may hang as well
		return nil, err
	}
	p.pulse.rests(capturing)
	if !m.up {
		m.up = true
		p.metrics.CameraUp(true)
	}
	p.camera.lastFrame.Store(f.Captured.UnixNano())
	p.metrics.Frame(f.Captured)
	p.metrics.Dropped(metrics.DropCapture, f.Skipped)
	p.metrics.ObserveStage(metrics.Capture, time.Since(f.Captured))
	return f, nil
}
