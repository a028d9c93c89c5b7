package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/file"
	"github.com/robustnet-edge/robustnet/edge"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/trt"
)

// meter watches the frames that go through an engine. It is read when the daemon has
// stopped.
type meter struct {
	trt.Engine
	frames int             // the number that is timed
	after  func(runs int)  // nil, or called after each run with their number
	hold   <-chan struct{} // nil, or what the second run waits for

	runs        int
	first, last time.Time // the second run's begin, the end of the run with number frames
}

// Close leaves the engine open for the next measurement.
func (e *meter) Close() error { return nil }

func (e *meter) Run(f *camera.Frame) (trt.Result, error) {
	if e.runs == 1 {
		if e.hold != nil {
			<-e.hold
		}
		e.first = time.Now()
	}
	r, err := e.Engine.Run(f)
	if e.runs++; e.runs == e.frames {
		e.last = time.Now()
	}
	if e.after != nil {
		e.after(e.runs)
	}
	return r, err
}

// Interrupt keeps a daemon that stops from ending the engine, which the next round needs.
func (e *meter) Interrupt() {}

// rate returns the frames per second between the first run and the last that is timed.
func (e *meter) rate() float64 { return float64(e.frames-1) / e.last.Sub(e.first).Seconds() }

// play is how the daemon gets the clip: as from a camera or, unless live, frame by frame
// as fast as it can, the second one as soon as the viewer plays. It never loops: to open the
// clip again takes memory that a camera does not.
type play struct {
	live   bool
	frames int // after which it stops
}

func (p play) uri(clip string) string {
	if p.live {
		return "file:" + clip + "?pace=1"
	}
	return "file:" + clip + "?pace=0"
}

// daemon runs the daemon with an RTSP viewer and fails unless the viewer received the
// pictures. It returns the latest status of a live run; the others are left in peace.
func (b *bench) daemon(ctx context.Context, engine *meter, p play) (web.Status, error) {
	cfg := config.Default()
	cfg.Camera.URI = p.uri(b.clip)
	cfg.Stream.RTSP, cfg.Stream.RTPPort = "127.0.0.1:0", 0
	cfg.HTTP.Address = "127.0.0.1:0"
	cfg.Output.Frames = p.frames
	cfg.Log.Summary = 0
	addresses := make(announcement, 1)
	d, err := edge.New(edge.Options{
		Config:    cfg,
		Openers:   camera.Openers{"file": file.Open},
		OpenModel: func(config.Model) (trt.Engine, error) { return engine, nil },
		Log:       zerolog.New(addresses).Level(zerolog.InfoLevel),
	})
	if err != nil {
		return web.Status{}, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	hold := make(chan struct{})
	if !p.live {
		engine.hold = hold
	}
	var v viewer
	var last web.Status
	watched := make(chan error, 1)
	go func() {
		page, err := v.join(running, addresses)
		close(hold)
		if err != nil {
			stop()
		} else if p.live {
			last = pollStatus(running, page)
		}
		watched <- err
	}()
	err = d.Run(running)
	stop()
	if err = errors.Join(err, <-watched); err == nil {
		err = ctx.Err()
	}
	// Some pictures come before the viewer, and some frames are under way at the end.
	const few = 5
	if received := v.finish(); err == nil && received+few < engine.runs*9/10 {
		err = fmt.Errorf("the viewer received %d of %d pictures", received, engine.runs)
	}
	if err != nil && v.message.Len() > 0 {
		err = fmt.Errorf("%w; the viewer says: %s", err, bytes.TrimSpace(v.message.Bytes()))
	}
	return last, err
}

// addresses are what the daemon's log says it serves.
type addresses struct{ RTSP, Page string }

// announcement is a log that passes on the addresses, and to standard error what is amiss.
type announcement chan addresses

func (a announcement) Write(line []byte) (int, error) {
	var event struct {
		addresses
		Level   zerolog.Level
		Message string
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return 0, fmt.Errorf("read the daemon's log: %w", err)
	}
	if event.Message == "serving" {
		a <- event.addresses
	}
	if event.Level >= zerolog.WarnLevel {
		return os.Stderr.Write(line)
	}
	return len(line), nil
}

// viewer is ffmpeg, which plays the stream and counts its pictures without decoding them.
type viewer struct {
	cmd               *exec.Cmd
	progress, message bytes.Buffer
}

// viewerPatience is how long a viewer may take to play, and to end when the stream does.
const viewerPatience = 20 * time.Second

// join starts the viewer when the daemon serves, and returns the page's address when the
// viewer plays or ctx has ended.
func (v *viewer) join(ctx context.Context, served <-chan addresses) (page string, err error) {
	var at addresses
	select {
	case at = <-served:
	case <-ctx.Done():
		return "", nil
	}
	v.cmd = exec.Command("ffmpeg", "-v", "error", "-nostdin", "-nostats", "-progress", "pipe:1",
		"-rtsp_transport", "tcp", "-i", at.RTSP, "-c", "copy", "-f", "null", "-")
	v.cmd.Stdout, v.cmd.Stderr = &v.progress, &v.message
	if err := v.cmd.Start(); err != nil {
		return "", fmt.Errorf("start the viewer: %w", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(viewerPatience)
	for {
		select {
		case <-ctx.Done():
			return at.Page, nil
		case <-late:
			return "", fmt.Errorf("no viewer plays %s after %v", at.RTSP, viewerPatience)
		case <-tick.C:
			if s, err := fetchStatus(ctx, at.Page); err == nil && s.Cameras[0].Stream.Viewers == 1 {
				return at.Page, nil
			}
		}
	}
}

// finish waits for the end of the viewer and returns how many pictures it received.
func (v *viewer) finish() (pictures int) {
	if v.cmd == nil || v.cmd.Process == nil {
		return 0
	}
	patience := time.AfterFunc(viewerPatience, func() { v.cmd.Process.Kill() })
	defer patience.Stop()
	_ = v.cmd.Wait() // it may dislike how the stream ended; what arrived before counts
	for line := range strings.Lines(v.progress.String()) {
		_, _ = fmt.Sscanf(line, "frame=%d", &pictures) // most lines are about something else
	}
	return pictures
}

// pollStatus asks for the status until ctx ends and returns the latest.
func pollStatus(ctx context.Context, page string) web.Status {
	var last web.Status
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
			if s, err := fetchStatus(ctx, page); err == nil {
				last = s
			}
		}
	}
}

func fetchStatus(ctx context.Context, page string) (web.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"api/v1/status", nil)
	if err != nil {
		return web.Status{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return web.Status{}, err
	}
	defer resp.Body.Close()
	var s web.Status
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s, err
}
