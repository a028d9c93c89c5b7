package edge

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/web"
)

// status is the daemon's state for the page and the API.
func (d *Daemon) status() web.Status {
	s := web.Status{
		Version:       d.o.Version,
		Revision:      d.o.Revision,
		UptimeSeconds: time.Since(d.started).Seconds(),
		Camera:        d.cameraStatus(),
		Model:         d.modelStatus(),
		Pipeline:      d.figures.pipeline(),
		Stream:        d.streamStatus(),
		Machine:       d.machine.status(),
	}
	s.Pipeline.Dropped = make(map[string]uint64)
	for _, at := range metrics.Drops() {
		s.Pipeline.Dropped[at.String()] = d.metrics.DroppedCount(at)
	}
	if out := d.o.Config.Output; out.Video != "" || out.Masks != "" {
		s.Output = &web.OutputStatus{
			Video:  out.Video,
			Masks:  out.Masks,
			Frames: max(d.written.video.Load(), d.written.masks.Load()),
		}
	}
	return s
}

func (d *Daemon) cameraStatus() web.CameraStatus {
	info, state, reason := d.camera.snapshot()
	s := web.CameraStatus{
		URI:     d.uri.Redacted(),
		State:   state,
		Width:   info.Width,
		Height:  info.Height,
		FPS:     info.FPS,
		Format:  info.Format,
		Frames:  d.metrics.Frames(),
		Reopens: d.metrics.Reopens(),
	}
	if reason != "" {
		s.Error = fmt.Sprintf("camera is not delivering (%s); trying again", reason)
	}
	if age, ok := d.camera.frameAge(); ok {
		seconds := age.Seconds()
		s.LastFrameAgeSeconds = &seconds
	}
	return s
}

func (d *Daemon) modelStatus() web.ModelStatus {
	card, desc := d.o.Engine.Card(), d.o.Engine.Describe()
	ratios := d.latest.classRatios()
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
			Name:       c.Name,
			Color:      fmt.Sprintf("#%02x%02x%02x", c.Color[0], c.Color[1], c.Color[2]),
			PixelRatio: ratios[i],
		}
	}
	return s
}

func (d *Daemon) streamStatus() web.StreamStatus {
	if d.rtsp == nil {
		return web.StreamStatus{}
	}
	return web.StreamStatus{
		RTSPURL:     d.rtsp.URL(),
		Viewers:     d.rtsp.Viewers(),
		Encoder:     d.encoder.name(),
		BitrateKbps: d.o.Config.Stream.BitrateKbps,
		SentBytes:   d.rtsp.BytesSent(),
	}
}

// streamStats feeds the metrics.
func (d *Daemon) streamStats() (clients int, sentBytes uint64) {
	if d.rtsp == nil {
		return 0, 0
	}
	return d.rtsp.Viewers(), d.rtsp.BytesSent()
}

// ready says whether fresh frames come out of the network. A slow network is given the time
// of two frames beyond the camera's deadline.
func (d *Daemon) ready() error {
	limit := d.o.Config.Camera.NoFrame
	age, arrived := d.camera.frameAge()
	idle, infer, segmented := d.figures.idle()
	switch {
	case !arrived:
		return errors.New("no frame has arrived yet")
	case !segmented:
		return errors.New("no frame has been segmented yet")
	case idle <= limit+2*infer:
		return nil
	case age > limit:
		return fmt.Errorf("the camera's newest frame is %s old", age.Round(time.Second))
	}
	return fmt.Errorf("the network finished its newest frame %s ago", idle.Round(time.Second))
}

// dropped is the number of frames that gave way to newer ones.
func (d *Daemon) dropped() uint64 {
	var n uint64
	for _, at := range metrics.Drops() {
		n += d.metrics.DroppedCount(at)
	}
	return n
}

func (d *Daemon) logSummary() {
	p := d.figures.pipeline()
	_, state, _ := d.camera.snapshot()
	e := d.o.Log.Info().
		Str("camera", string(state)).
		Uint64("frames", d.metrics.Frames()).
		Uint64("dropped", d.dropped()).
		Float64("fps", tenth(p.FPS)).
		Float64("infer_ms_p50", tenth(p.InferMS.P50)).
		Float64("infer_ms_p95", tenth(p.InferMS.P95)).
		Float64("latency_ms_p50", tenth(p.LatencyMS.P50)).
		Float64("latency_ms_p95", tenth(p.LatencyMS.P95))
	if d.rtsp != nil {
		e.Int("viewers", d.rtsp.Viewers())
	}
	e.Msg("summary")
}

// tenth rounds for people who read logs.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }
