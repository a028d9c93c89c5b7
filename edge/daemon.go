// Package edge is the camera daemon: it wires cameras, network, drawing, encoders, RTSP
// server and web page into pipelines and owns their life times.
//
// A frame passes three goroutines: the camera's, the network's and the presenter's
// (drawing, encoding, writing). Between them are slots for one frame each. With a live
// camera the newest frame wins and a slow stage loses old ones; with a source that waits
// (a clip with pace=0, a folder of images) every frame is processed. Each camera has such a
// pipeline of its own, and all share one network, in turns.
package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
	// OpenModel loads the model that the settings name. The daemon closes it.
	OpenModel func(config.Model) (trt.Engine, error)
	// Sensors are the computer's; nil reads none.
	Sensors *telemetry.Sensors
	Log     zerolog.Logger
	// Version and Revision name the program on the page and in the metrics.
	Version, Revision string

	// Reload asks, by a value, to read the configuration again with Load, and to go on with
	// what it returns; nil never does.
	Reload <-chan struct{}
	Load   func() (config.Config, error)
	// SetLogLevel makes log.level of a configuration count; nil leaves the level as it is.
	SetLogLevel func(string)
	// Watchers, by scheme, see when a camera that is missed may be there again, so that it is
	// looked for at once. Of a scheme without one, the next attempt finds it.
	Watchers map[string]Watcher
	// Service is who started the daemon and watches over it; nil for nobody.
	Service Service
	// Freeze lets no more frames through the network after a value, to test what watches
	// over the daemon; nil never does.
	Freeze <-chan struct{}
}

// Watcher calls changed whenever the camera at uri may have become one that can be opened, until
// ctx ends. It returns an error if that cannot be seen.
type Watcher func(ctx context.Context, uri camera.URI, changed func()) error

// Daemon is cameras with all that becomes of their frames. Use it once.
type Daemon struct {
	o       Options
	started time.Time

	metrics *metrics.Metrics
	rtsp    *stream.Server // nil when off
	web     *web.Server    // nil when off
	machine machine

	ended      chan *pipeline // by themselves
	configured chan struct{}  // the configuration is another; has room for one

	// What outputs have used: names of recordings, and numbers of masks by folder. The
	// goroutine that supervises alone uses them, or Run before it has begun.
	recorded []string
	masked   map[string]*atomic.Uint64

	// The same goroutine alone changes these, and reads them without mu.
	mu      sync.Mutex
	config  config.Config
	model   modelFile
	network *network
	feeds   []*feed // in the order of the configuration
	refused error   // why the configuration that was read last is not in use
}

// New checks what can be checked without opening anything.
func New(o Options) (*Daemon, error) {
	feeds := o.Config.Feeds()
	for _, f := range feeds {
		if _, err := camera.ParseURI(f.Config.Camera.URI); err != nil {
			return nil, err
		}
	}
	d := &Daemon{o: o, config: o.Config, ended: make(chan *pipeline, config.MaxCameras), configured: make(chan struct{}, 1), masked: map[string]*atomic.Uint64{}}
	if s := o.Config.Stream; s.RTSP != "" {
		d.rtsp = stream.NewServer(stream.ServerOptions{Address: s.RTSP, RTPPort: s.RTPPort, Log: o.Log})
	}
	d.metrics = metrics.New(metrics.Build{Version: o.Version, Revision: o.Revision}, o.Sensors)
	if h := o.Config.HTTP; h.Address != "" {
		d.web = web.NewServer(web.Options{
			Address:    h.Address,
			Pictures:   d.pictures,
			Status:     d.status,
			Ready:      d.ready,
			Metrics:    d.metrics.Handler(),
			PreviewFPS: h.PreviewFPS,
			Log:        o.Log,
		})
	}
	return d, nil
}

// Run serves until ctx ends, all cameras have ended, a configured limit is reached, or
// something fails for good; only the last returns an error. While others go on, a camera that
// fails is told in the log, on the page and by the metrics. Every goroutine has returned when
// Run returns, and files being written are complete.
func (d *Daemon) Run(ctx context.Context) (err error) {
	d.started = time.Now()
	n, model, err := d.openNetwork(d.config.Model)
	if err != nil {
		return err
	}
	d.useNetwork(n, model)
	defer func() { err = errors.Join(err, d.network.Close()) }()
	if ctx.Err() != nil {
		return nil // asked to stop while the model was loading
	}
	// A large model on a small processor takes longer for a frame than a stop may.
	defer context.AfterFunc(ctx, d.interrupt)()
	next, err := d.plan(ctx, d.config, n)
	if err == nil {
		if err = d.listen(next); err != nil {
			next.discard(d)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while looking for an encoder
		}
		return err
	}
	d.publish(next, d.config)
	running := ctx
	if limit := d.config.Output.Duration; limit > 0 {
		var cancel context.CancelFunc
		running, cancel = context.WithTimeoutCause(ctx, limit, errLimit)
		defer cancel()
		defer context.AfterFunc(running, d.interrupt)()
	}
	return d.serve(running, next)
}

// serve runs all goroutines until they have ended.
func (d *Daemon) serve(ctx context.Context, first *plan) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.supervise(gctx, first) })
	g.Go(func() error { return d.heartbeat(gctx) })
	g.Go(func() error { return d.summarize(gctx) })
	g.Go(func() error { return d.machine.watch(gctx, d.o.Sensors) })
	if d.rtsp != nil {
		g.Go(func() error { return d.rtsp.Run(gctx) })
	}
	if d.web != nil {
		g.Go(func() error { return d.web.Run(gctx) })
	}
	err := g.Wait()
	for _, f := range d.feeds {
		d.end(f)
	}
	if errors.Is(err, errFinished) {
		return nil
	}
	return err
}

// supervise starts the pipelines, sees to it that they change with the configuration, and
// returns when the last has ended or ctx has. No pipeline is left then.
func (d *Daemon) supervise(ctx context.Context, first *plan) error {
	d.begin(ctx, first)
	d.o.service().Ready(d.summary())
	for {
		select {
		case <-ctx.Done():
			d.o.service().Stopping()
			asked := !errors.Is(context.Cause(ctx), errLimit)
			return d.stopAll(func(f *feed) bool { return !asked || !f.told })
		case p := <-d.ended:
			if !d.goesOnWithout(p) {
				d.o.service().Stopping()
				if err := d.stopAll(func(*feed) bool { return true }); err != nil {
					return err
				}
				return errFinished
			}
		case <-d.o.Reload:
			d.reload(ctx)
		case <-d.o.Freeze:
			d.o.Log.Warn().Msg("frozen on request: no frame goes through the network any more")
			d.network.freeze()
		}
	}
}

// start runs a feed's pipeline.
func (d *Daemon) start(ctx context.Context, f *feed) {
	p := f.pipeline
	own, cancel := context.WithCancel(ctx)
	p.cancel = cancel
	go func() {
		defer close(p.done)
		err := p.run(own)
		d.mu.Lock()
		f.running, f.err = false, err
		d.mu.Unlock()
		f.metrics.CameraUp(false)
		if err != nil {
			f.camera.failed()
		}
		select {
		case d.ended <- p:
		case <-own.Done():
		}
	}()
}

// goesOnWithout says whether the daemon goes on after a pipeline has ended by itself: while
// there are others, and the network, which is everybody's, has not failed.
func (d *Daemon) goesOnWithout(p *pipeline) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := p.feed
	if f.pipeline != p || !slices.Contains(d.feeds, f) {
		return true // a reload has replaced it meanwhile
	}
	if errors.As(f.err, new(networkError)) {
		return false
	}
	left := slices.ContainsFunc(d.feeds, func(other *feed) bool { return other.running })
	if left && f.err != nil {
		log := d.logOf(f.name)
		log.Error().Err(f.err).Msg("camera is given up, and the others go on; mend it, and reload the configuration")
		f.told = true
	}
	return left
}

// stopAll ends every pipeline, waits for them, and returns what went wrong in those that count.
func (d *Daemon) stopAll(counts func(*feed) bool) error {
	for _, f := range d.feeds {
		f.pipeline.cancel()
	}
	var errs []error
	for _, f := range d.feeds {
		<-f.pipeline.done
		if f.err == nil || !counts(f) {
			continue
		}
		err := f.err
		if len(d.config.Cameras) > 0 {
			err = fmt.Errorf("camera %s: %w", f.name, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (d *Daemon) interrupt() {
	d.mu.Lock()
	n := d.network
	d.mu.Unlock()
	n.Interrupt()
}

// listen takes the ports, so that one in use is reported before anything starts.
func (d *Daemon) listen(p *plan) error {
	event := d.o.Log.Info()
	one := p.feeds[0]
	if len(p.feeds) == 1 {
		event.Str("camera", p.begin[one].uri.Redacted())
	}
	event.Str("model", d.network.Card().Name)
	if mode := d.o.Sensors.Read().PowerMode; mode != nil {
		event.Stringer("power_mode", mode)
	}
	if d.rtsp != nil {
		if err := d.rtsp.Listen(); err != nil {
			return err
		}
		if len(p.feeds) == 1 {
			event.Str("rtsp", one.stream.LocalURL())
		}
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

// logOf is the log of one camera. Where there is only one, lines need not say which.
func (d *Daemon) logOf(name string) zerolog.Logger {
	if name == config.DefaultName {
		return d.o.Log
	}
	return d.o.Log.With().Str("name", name).Logger()
}

// summarize logs one line of figures for each camera per interval, which a reload begins anew.
func (d *Daemon) summarize(ctx context.Context) error {
	for {
		d.mu.Lock()
		every := d.config.Log.Summary
		d.mu.Unlock()
		var over <-chan time.Time // never, without an interval
		timer := time.NewTimer(every)
		if every > 0 {
			over = timer.C
		}
		select {
		case <-ctx.Done():
		case <-d.configured:
		case <-over:
			d.logSummary()
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}
