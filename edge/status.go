package edge

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/web"
)

// status is the daemon's state for the page and the API.
func (d *Daemon) status() web.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := web.Status{
		Version:       d.o.Version,
		Revision:      d.o.Revision,
		UptimeSeconds: time.Since(d.started).Seconds(),
		Model:         d.network.status(),
		Cameras:       make([]web.CameraStatus, len(d.feeds)),
		Machine:       d.machine.status(),
		Configuration: web.ConfigurationStatus{Applied: d.refused == nil},
	}
	for i, f := range d.feeds {
		s.Cameras[i] = f.status()
	}
	if d.refused != nil {
		s.Configuration.Error = web.OneLine(d.refused)
	}
	return s
}

// status is the feed's part. The daemon's mu is held.
func (f *feed) status() web.CameraStatus {
	c := f.pipeline.config
	s := web.CameraStatus{
		Name:             f.name,
		Source:           f.sourceStatus(),
		ClassPixelRatios: f.latest.classRatios(),
		Pipeline:         f.figures.pipeline(),
	}
	s.Pipeline.Dropped = make(map[string]uint64)
	for _, at := range metrics.Drops() {
		s.Pipeline.Dropped[at.String()] = f.metrics.DroppedCount(at)
	}
	if f.stream != nil {
		s.Stream = web.StreamStatus{
			RTSPURL:     f.stream.URL(),
			Viewers:     f.stream.Viewers(),
			Encoder:     f.pipeline.presenter.encoder.name(),
			BitrateKbps: c.Stream.BitrateKbps,
			SentBytes:   f.stream.BytesSent(),
		}
	}
	if out := c.Output; out.Video != "" || out.Masks != "" {
		s.Output = &web.OutputStatus{
			Video:  out.Video,
			Masks:  out.Masks,
			Frames: max(f.written.video.Load(), f.written.masks.Load()),
		}
	}
	return s
}

func (f *feed) sourceStatus() web.SourceStatus {
	info, state, reason := f.camera.snapshot()
	s := web.SourceStatus{
		URI:     f.pipeline.uri.Redacted(),
		State:   state,
		Width:   info.Width,
		Height:  info.Height,
		FPS:     info.FPS,
		Format:  info.Format,
		Frames:  f.metrics.Frames(),
		Reopens: f.metrics.Reopens(),
	}
	switch {
	case state == web.CameraFailed && f.err != nil:
		s.Error = web.OneLine(f.err)
	case reason != "":
		s.Error = fmt.Sprintf("camera is not delivering (%s); trying again", reason)
	}
	if age, ok := f.camera.frameAge(); ok {
		seconds := age.Seconds()
		s.LastFrameAgeSeconds = &seconds
	}
	return s
}

func (n *network) status() web.ModelStatus {
	card, desc := n.Card(), n.Describe()
	s := web.ModelStatus{
		Name:    card.Name,
		Backend: desc.Backend,
		Input:   web.Size{Width: desc.InputWidth, Height: desc.InputHeight},
		Mask:    web.Size{Width: desc.MaskWidth, Height: desc.MaskHeight},
		Threads: desc.Threads,
		Classes: make([]web.ClassStatus, len(card.Classes)),
	}
	for i, c := range card.Classes {
		s.Classes[i] = web.ClassStatus{
			Name:  c.Name,
			Color: fmt.Sprintf("#%02x%02x%02x", c.Color[0], c.Color[1], c.Color[2]),
		}
	}
	return s
}

// pictures are those of a camera, of the first one without a name.
func (d *Daemon) pictures(name string) (web.Pictures, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, len(d.feeds))
	for i, f := range d.feeds {
		if name == "" || name == f.name {
			return &f.latest, nil
		}
		names[i] = f.name
	}
	return nil, fmt.Errorf("there is no camera %.100q; there is %s", name, strings.Join(names, ", "))
}

// ready says whether fresh frames of every camera come out of the network. Those of clips
// that have ended need not.
func (d *Daemon) ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	sharing := 0
	for _, f := range d.feeds {
		if f.running {
			sharing++
		}
	}
	var errs []string
	for _, f := range d.feeds {
		err := f.ready(sharing)
		if err == nil {
			continue
		}
		if len(d.config.Cameras) == 0 {
			return err
		}
		errs = append(errs, f.name+": "+err.Error())
	}
	if len(errs) > 0 {
		return errors.New(strings.Join(errs, "; "))
	}
	return nil
}

// ready says so of one camera. A slow network is given the time of two frames of each camera
// that shares it beyond the camera's deadline. The daemon's mu is held.
func (f *feed) ready(sharing int) error {
	switch {
	case f.err != nil:
		return fmt.Errorf("given up: %s", web.OneLine(f.err))
	case !f.running:
		return nil
	}
	limit := f.pipeline.config.Camera.NoFrame
	age, arrived := f.camera.frameAge()
	idle, infer, segmented := f.figures.idle()
	switch {
	case !arrived:
		return errors.New("no frame has arrived yet")
	case !segmented:
		return errors.New("no frame has been segmented yet")
	case idle <= limit+2*infer*time.Duration(sharing):
		return nil
	case age > limit:
		return fmt.Errorf("the camera's newest frame is %s old", age.Round(time.Second))
	}
	return fmt.Errorf("the network finished its newest frame %s ago", idle.Round(time.Second))
}

func (d *Daemon) logSummary() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.feeds {
		p := f.figures.pipeline()
		_, state, _ := f.camera.snapshot()
		log := d.logOf(f.name)
		e := log.Info().
			Str("camera", string(state)).
			Uint64("frames", f.metrics.Frames()).
			Uint64("dropped", f.dropped()).
			Float64("fps", tenth(p.FPS)).
			Float64("infer_ms_p50", tenth(p.InferMS.P50)).
			Float64("infer_ms_p95", tenth(p.InferMS.P95)).
			Float64("latency_ms_p50", tenth(p.LatencyMS.P50)).
			Float64("latency_ms_p95", tenth(p.LatencyMS.P95))
		if f.stream != nil {
			e.Int("viewers", f.stream.Viewers())
		}
		e.Msg("summary")
	}
}

// tenth rounds for people who read logs.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }
