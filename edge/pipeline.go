package edge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/metrics"
)

// pipeline carries the frames of one camera through the network to those who watch, with one
// set of settings. Use it once.
type pipeline struct {
	*feed
	asked     config.Config // the camera's own, see config.Feed
	config    config.Config // the same, with the file that its recording really goes to
	network   *network
	uri       camera.URI
	openers   camera.Openers
	watcher   Watcher // nil for none
	machine   *machine
	log       zerolog.Logger
	frames    *camera.Slot[*camera.Frame]
	shots     *camera.Slot[*shot]
	pool      *shotPool
	presenter *presenter
	place     *place // where it waits for the network
	pulse     *pulse

	cancel context.CancelFunc // set when it is started
	done   chan struct{}      // closed when it has ended
}

// newPipeline makes a pipeline for a feed and opens what it writes, so that what is missing
// or cannot be written is known before anything else changes. It must be run or closed.
func (d *Daemon) newPipeline(ctx context.Context, f *feed, c config.Config, n *network) (*pipeline, error) {
	uri, err := camera.ParseURI(c.Camera.URI)
	if err != nil {
		return nil, err
	}
	desc := n.Describe()
	p := &pipeline{
		feed: f, asked: c, config: c, network: n, uri: uri,
		openers: d.o.Openers, watcher: d.o.Watchers[uri.Scheme], machine: &d.machine, log: d.logOf(f.name),
		frames: camera.NewSlot[*camera.Frame](),
		shots:  camera.NewSlot[*shot](),
		pool:   newShotPool(desc.MaskWidth*desc.MaskHeight, len(n.Card().Classes)),
		place:  newPlace(),
		pulse:  newPulse(),
		done:   make(chan struct{}),
	}
	if c.Output.Video != "" {
		p.config.Output.Video = d.recordingPath(c.Output.Video)
	}
	if p.presenter, err = p.newPresenter(ctx, d.maskNumbers(c.Output.Masks)); err != nil {
		return nil, err
	}
	if c.Output.Video != "" {
		d.recorded = append(d.recorded, filepath.Clean(p.config.Output.Video))
	}
	return p, nil
}

// errFinished ends the goroutines of a pipeline when a finite source has been processed or a
// limit of the configuration is reached.
var errFinished = errors.New("finished")

// errLimit is why a context ends when the configured duration is over.
var errLimit = errors.New("the configured duration is over")

// networkError is a failure of the network, which no camera gets over.
type networkError struct{ error }

func (e networkError) Unwrap() error { return e.error }

// run works until ctx ends, a finite source ends, a configured limit is reached, or something
// fails for good; only the last returns an error. Every goroutine has returned when run
// returns, and files being written are complete.
func (p *pipeline) run(ctx context.Context) error {
	err := p.work(ctx)
	closeErr := p.presenter.close()
	stopped := ctx.Err() != nil && !errors.Is(context.Cause(ctx), errLimit)
	if p.presenter.shown == 0 && (stopped || err != nil) {
		closeErr = nil // the recording is empty because of the stop or of the fault that is told
	}
	return errors.Join(err, closeErr)
}

func (p *pipeline) work(ctx context.Context) error {
	// Faults of the first two stages are kept aside, because the frames before the fault
	// are still on their way, and a failing member would stop the group under them.
	var cameraErr, inferErr error
	g, gctx := errgroup.WithContext(ctx)
	if e := p.presenter.encoder; e != nil {
		e.tell()
		defer e.interruptWhen(gctx)()
	}
	g.Go(func() error {
		cameraErr = p.keeper().Run(gctx)
		p.pulse.rests(capturing)
		p.camera.ended()
		return nil
	})
	g.Go(func() error {
		defer p.shots.Close()
		inferErr = p.infer(gctx)
		return nil
	})
	g.Go(func() error { return p.present(gctx) })
	if p.watcher != nil {
		g.Go(func() error {
			if err := p.watcher(gctx, p.uri, p.changed); err != nil {
				p.log.Warn().Err(err).Msg("a camera that is plugged in is found at the next attempt only")
			}
			return nil
		})
	}
	err := g.Wait()
	if errors.Is(err, errFinished) {
		err = nil
	}
	if ctx.Err() != nil && errors.Is(cameraErr, camera.ErrStuck) {
		p.log.Warn().Err(cameraErr).Msg("stopping without the camera")
		cameraErr = nil
	}
	return errors.Join(cameraErr, inferErr, err)
}

// keeper keeps the configured camera alive.
func (p *pipeline) keeper() *camera.Keeper {
	c := p.config.Camera
	want := camera.Want{Width: c.Size.Width, Height: c.Size.Height, FPS: c.FPS}
	return &camera.Keeper{
		Open: func(ctx context.Context) (camera.Source, error) {
			p.pulse.within(capturing, c.NoFrame+pulseSlack)
			src, err := p.openers.Open(ctx, p.uri, want)
			if err != nil {
				return nil, err
			}
			return &meteredSource{Source: src, p: p}, nil
		},
		Slot:     p.frames,
		NoFrame:  c.NoFrame,
		RetryMax: c.RetryMax,
		Wake:     p.wake,
		Log:      p.log,
		Observer: camera.Observer{
			Opened:  p.camera.opened,
			Dropped: func() { p.metrics.Dropped(metrics.DropInfer, 1) },
			Reopening: func(reason camera.Reason, wait time.Duration) {
				p.camera.lost(reason)
				p.metrics.CameraUp(false)
				p.metrics.Reopened(reason)
				p.pulse.within(capturing, wait+c.NoFrame+pulseSlack)
			},
		},
	}
}

// infer runs the network on one frame after the other.
func (p *pipeline) infer(ctx context.Context) error {
	patience := firstFrameSlack
	for {
		s, err := p.segment(ctx, patience)
		if s == nil {
			return err
		}
		patience = pulseSlack + 2*s.infer
		if !p.camera.live() {
			if err := p.shots.PutWait(ctx, s); err != nil {
				return nil
			}
		} else if p.shots.Put(s) {
			p.metrics.Dropped(metrics.DropOverlay, 1)
		}
	}
}

// segment waits for a frame and for a turn of the network, which it gives the frame that is
// the newest by then, and which must be done with it within patience. It returns nil when the
// camera has ended, ctx has, or the network fails.
func (p *pipeline) segment(ctx context.Context, patience time.Duration) (*shot, error) {
	if err := p.frames.Wait(ctx); err != nil {
		return nil, nil // the camera ended, or we were asked to stop
	}
	if err := p.network.take(ctx, p.place); err != nil {
		return nil, nil
	}
	defer p.network.release()
	f, err := p.frames.Take(ctx)
	if err != nil {
		return nil, nil
	}
	s := p.pool.get()
	s.frame = f
	p.pulse.within(segmenting, patience)
	defer p.pulse.rests(segmenting)
	result, err := p.network.run(ctx, f)
	if err != nil {
		s.Release()
		if ctx.Err() != nil {
			return nil, nil // interrupted
		}
		return nil, networkError{fmt.Errorf("segment: %w", err)}
	}
	start := time.Now()
	s.fill(result)
	p.metrics.ObserveStage(metrics.Preprocess, result.Preprocess)
	p.metrics.ObserveStage(metrics.Infer, result.Infer)
	p.metrics.ObserveStage(metrics.Postprocess, time.Since(start))
	return s, nil
}
