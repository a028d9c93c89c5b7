// Package edge is the camera daemon: it wires camera, network, drawing, encoder, RTSP
// server and web page into one pipeline and owns their life times.
//
// A frame passes three goroutines: the camera's, the network's and the presenter's
// (drawing, encoding, writing). Between them are slots for one frame each. With a live
// camera the newest frame wins and a slow stage loses old ones; with a source that waits
// (a clip with pace=0, a folder of images) every frame is processed.
package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/edge/web"
	"github.com/robustnet-edge/robustnet/internal/telemetry"
	"github.com/robustnet-edge/robustnet/trt"
)

// Options are what a daemon is made of.
type Options struct {
	// Config must be valid, as config.Load returns it.
	Config config.Config
	// Openers are the kinds of camera that the program knows.
	Openers camera.Openers
	// Engine is the loaded model. It stays the caller's, who closes it after Run.
	Engine trt.Engine
	// Sensors are the computer's; nil reads none.
	Sensors *telemetry.Sensors
	Log     zerolog.Logger
	// Version and Revision name the program on the page and in the metrics.
	Version, Revision string
}

// Daemon is one camera with all that becomes of its frames. Use it once.
type Daemon struct {
	o       Options
	uri     camera.URI
	started time.Time

	metrics *metrics.Metrics
	rtsp    *stream.Server // nil when off
	web     *web.Server    // nil when off
	encoder *compressor    // set by Run; nil when nothing is encoded

	camera  cameraState
	frames  *camera.Slot[*camera.Frame]
	shots   *camera.Slot[*shot]
	pool    *shotPool
	latest  latest
	figures figures
	machine machine
	written outputCounts
}

// New checks what can be checked without opening anything.
func New(o Options) (*Daemon, error) {
	uri, err := camera.ParseURI(o.Config.Camera.URI)
	if err != nil {
		return nil, err
	}
	card, desc := o.Engine.Card(), o.Engine.Describe()
	names := make([]string, len(card.Classes))
	for i, c := range card.Classes {
		names[i] = c.Name
	}
	d := &Daemon{
		o:       o,
		uri:     uri,
		frames:  camera.NewSlot[*camera.Frame](),
		shots:   camera.NewSlot[*shot](),
		pool:    newShotPool(desc.MaskWidth*desc.MaskHeight, len(names)),
		figures: newFigures(),
	}
	d.latest.init(o.Config.Overlay, o.Engine)
	if s := o.Config.Stream; s.RTSP != "" {
		d.rtsp = stream.NewServer(stream.ServerOptions{Address: s.RTSP, Path: "/" + s.Path, RTPPort: s.RTPPort, Log: o.Log})
	}
	d.metrics = metrics.New(metrics.Build{Version: o.Version, Revision: o.Revision, Backend: desc.Backend}, names, d.streamStats, o.Sensors)
	if h := o.Config.HTTP; h.Address != "" {
		d.web = web.NewServer(web.Options{
			Address:    h.Address,
			Pictures:   &d.latest,
			Status:     d.status,
			Ready:      d.ready,
			Metrics:    d.metrics.Handler(),
			PreviewFPS: h.PreviewFPS,
			Log:        o.Log,
		})
	}
	return d, nil
}

// errFinished ends the group of goroutines when a finite source has been processed or a
// limit of the configuration is reached.
var errFinished = errors.New("finished")

// Run serves until ctx ends, a finite source ends, a configured limit is reached, or
// something fails for good; only the last returns an error. Every goroutine has returned
// when Run returns, and files being written are complete.
func (d *Daemon) Run(ctx context.Context) error {
	d.started = time.Now()
	defer d.latest.close()
	p, err := d.newPresenter(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while looking for an encoder
		}
		return err
	}
	if err := d.listen(); err != nil {
		_ = p.close() // that the recording is empty follows from the fault that is told
		return err
	}
	running := ctx
	if limit := d.o.Config.Output.Duration; limit > 0 {
		var cancel context.CancelFunc
		running, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err = d.serve(running, p)
	closeErr := p.close()
	if p.shown == 0 && (ctx.Err() != nil || err != nil) {
		closeErr = nil // the recording is empty because of the stop or of the fault that is told
	}
	return errors.Join(err, closeErr)
}

// serve runs all goroutines until they have ended.
func (d *Daemon) serve(ctx context.Context, p *presenter) error {
	// Faults of the first two stages are kept aside, because the frames before the fault
	// are still on their way, and a failing member would stop the group under them.
	var cameraErr, inferErr error
	// A large model on a small processor takes longer for a frame than a stop may.
	defer context.AfterFunc(ctx, d.o.Engine.Interrupt)()
	g, gctx := errgroup.WithContext(ctx)
	if p.encoder != nil {
		p.encoder.tell()
		defer p.encoder.interruptWhen(gctx)()
	}
	g.Go(func() error {
		cameraErr = d.keeper().Run(gctx)
		d.camera.ended()
		return nil
	})
	g.Go(func() error {
		defer d.shots.Close()
		inferErr = d.infer(gctx)
		return nil
	})
	g.Go(func() error { return d.present(gctx, p) })
	g.Go(func() error { return d.summarize(gctx) })
	g.Go(func() error { return d.machine.watch(gctx, d.o.Sensors) })
	if d.rtsp != nil {
		g.Go(func() error { return d.rtsp.Run(gctx) })
	}
	if d.web != nil {
		g.Go(func() error { return d.web.Run(gctx) })
	}
	err := g.Wait()
	if errors.Is(err, errFinished) {
		err = nil
	}
	if ctx.Err() != nil && errors.Is(cameraErr, camera.ErrStuck) {
		d.o.Log.Warn().Err(cameraErr).Msg("stopping without the camera")
		cameraErr = nil
	}
	return errors.Join(cameraErr, inferErr, err)
}

// listen takes the ports, so that one in use is reported before anything starts.
func (d *Daemon) listen() error {
	event := d.o.Log.Info().Str("camera", d.uri.Redacted()).Str("model", d.o.Engine.Card().Name)
	if mode := d.o.Sensors.Read().PowerMode; mode != nil {
		event.Stringer("power_mode", mode)
	}
	if d.rtsp != nil {
		if err := d.rtsp.Listen(); err != nil {
			return err
		}
		event.Str("rtsp", d.rtsp.LocalURL())
	}
	if d.web != nil {
		if err := d.web.Listen(); err != nil {
			if d.rtsp != nil {
				return errors.Join(err, d.rtsp.Close())
			}
			return err
		}
		event.Str("page", d.web.URL())
	}
	event.Msg("serving")
	return nil
}

// keeper keeps the configured camera alive.
func (d *Daemon) keeper() *camera.Keeper {
	c := d.o.Config.Camera
	want := camera.Want{Width: c.Size.Width, Height: c.Size.Height, FPS: c.FPS}
	return &camera.Keeper{
		Open: func(ctx context.Context) (camera.Source, error) {
			src, err := d.o.Openers.Open(ctx, d.uri, want)
			if err != nil {
				return nil, err
			}
			return &meteredSource{Source: src, metrics: d.metrics, state: &d.camera}, nil
		},
		Slot:     d.frames,
		NoFrame:  c.NoFrame,
		RetryMax: c.RetryMax,
		Log:      d.o.Log,
		Observer: camera.Observer{
			Opened:  d.camera.opened,
			Dropped: func() { d.metrics.Dropped(metrics.DropInfer, 1) },
			Reopening: func(reason camera.Reason, _ time.Duration) {
				d.camera.lost(reason)
				d.metrics.CameraUp(false)
				d.metrics.Reopened(reason)
			},
		},
	}
}

// infer runs the network on one frame after the other.
func (d *Daemon) infer(ctx context.Context) error {
	for {
		f, err := d.frames.Take(ctx)
		if err != nil {
			return nil // the camera ended, or we were asked to stop
		}
		s := d.pool.get()
		s.frame = f
		result, err := d.o.Engine.Run(f)
		if err != nil {
			s.Release()
			if ctx.Err() != nil {
				return nil // interrupted
			}
			return fmt.Errorf("segment: %w", err)
		}
		start := time.Now()
		s.fill(result)
		d.metrics.ObserveStage(metrics.Preprocess, result.Preprocess)
		d.metrics.ObserveStage(metrics.Infer, result.Infer)
		d.metrics.ObserveStage(metrics.Postprocess, time.Since(start))
		if !d.camera.live() {
			if err := d.shots.PutWait(ctx, s); err != nil {
				return nil
			}
		} else if d.shots.Put(s) {
			d.metrics.Dropped(metrics.DropOverlay, 1)
		}
	}
}

// summarize logs one line of figures per interval.
func (d *Daemon) summarize(ctx context.Context) error {
	every := d.o.Config.Log.Summary
	if every <= 0 {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.logSummary()
		}
	}
}
