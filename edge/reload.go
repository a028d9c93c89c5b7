package edge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/metrics"
)

// reload reads the configuration again and goes on with it. One that is wrong, or cannot be
// put to use, is refused, and everything goes on as before.
func (d *Daemon) reload(ctx context.Context) {
	service := d.o.service()
	service.Reloading()
	defer func() { service.Ready(d.summary()) }()
	next, err := d.o.Load()
	if err == nil {
		err = d.apply(ctx, next)
	}
	if ctx.Err() != nil {
		return // asked to stop meanwhile
	}
	d.mu.Lock()
	d.refused = err
	d.mu.Unlock()
	d.metrics.Reloaded(err == nil)
	if err != nil {
		d.o.Log.Error().Err(err).Msg("configuration is refused; the one before stays in use")
		return
	}
	d.o.Log.Info().Int("cameras", len(d.feeds)).Msg("configuration is in use")
}

// apply goes over to another configuration. What fails does so before anything has changed.
func (d *Daemon) apply(ctx context.Context, c config.Config) error {
	if err := changeable(d.config, c); err != nil {
		return err
	}
	n, model, before := d.network, d.model, d.network
	if c.Model != d.config.Model || model.changed() {
		var err error
		if n, model, err = d.openNetwork(c.Model); err != nil {
			return err
		}
	}
	p, err := d.plan(ctx, c, n)
	if err == nil && ctx.Err() != nil {
		p.discard(d)
		err = ctx.Err()
	}
	if err != nil {
		if n != before {
			err = errors.Join(err, n.Close())
		}
		return err
	}
	d.retire(p)
	if n != before {
		d.useNetwork(n, model)
	}
	d.publish(p, c)
	for _, f := range p.removed {
		d.end(f)
	}
	if n != before { // whose pipelines have ended
		if err := before.Close(); err != nil {
			d.o.Log.Warn().Err(err).Msg("the model before did not close well")
		}
	}
	if d.web != nil {
		d.web.SetPreviewFPS(c.HTTP.PreviewFPS)
	}
	if d.o.SetLogLevel != nil {
		d.o.SetLogLevel(c.Log.Level)
	}
	select {
	case d.configured <- struct{}{}:
	default:
	}
	d.begin(ctx, p)
	return nil
}

// changeable refuses changes that only a new start can make: what was promised to clients and
// to the one who started the daemon.
func changeable(old, next config.Config) error {
	var fixed []string
	for _, f := range []struct {
		key  string
		same bool
	}{
		{"stream.rtsp", old.Stream.RTSP == next.Stream.RTSP},
		{"stream.rtp_port", old.Stream.RTPPort == next.Stream.RTPPort},
		{"http.address", old.HTTP.Address == next.HTTP.Address},
		{"output.frames", old.Output.Frames == next.Output.Frames},
		{"output.duration", old.Output.Duration == next.Output.Duration},
		{"log.format", old.Log.Format == next.Log.Format},
	} {
		if !f.same {
			fixed = append(fixed, f.key)
		}
	}
	if len(fixed) > 0 {
		return fmt.Errorf("%s cannot change while the daemon runs; restart it", strings.Join(fixed, ", "))
	}
	return nil
}

// plan is what a configuration makes of the cameras. Everything that it needs is open.
type plan struct {
	feeds   []*feed // in the order of the configuration
	added   []*feed // those of them that are new
	removed []*feed
	begin   map[*feed]*pipeline // those that get a new pipeline
	used    int                 // names of recordings before the plan
}

// plan prepares a configuration. It must be carried out or discarded.
func (d *Daemon) plan(ctx context.Context, c config.Config, n *network) (*plan, error) {
	p := &plan{begin: map[*feed]*pipeline{}, used: len(d.recorded)}
	for _, f := range c.Feeds() {
		if err := d.planFeed(ctx, p, f, n); err != nil {
			p.discard(d)
			if len(c.Cameras) > 0 {
				err = fmt.Errorf("camera %s: %w", f.Name, err)
			}
			return nil, err
		}
	}
	for _, f := range d.feeds {
		if !slices.Contains(p.feeds, f) {
			p.removed = append(p.removed, f)
		}
	}
	return p, nil
}

// planFeed finds the feed of a camera, or makes one, and the pipeline that it needs, if its
// settings or the network are new, or the one that it had has failed.
func (d *Daemon) planFeed(ctx context.Context, p *plan, f config.Feed, n *network) error {
	at := slices.IndexFunc(d.feeds, func(old *feed) bool {
		return old.name == f.Name && old.path() == f.Config.Stream.Path // a stream keeps its path
	})
	var target *feed
	if at >= 0 {
		target = d.feeds[at]
		same := target.pipeline.network == n && sameFeed(target.pipeline.asked, f.Config)
		if target.reached(f.Config.Output.Frames) || same && !d.hasFailed(target) {
			p.feeds = append(p.feeds, target)
			return nil
		}
	} else {
		made, err := d.newFeed(f, n)
		if err != nil {
			return err
		}
		target = made
		p.added = append(p.added, made)
	}
	p.feeds = append(p.feeds, target)
	next, err := d.newPipeline(ctx, target, f.Config, n)
	if err != nil {
		return err
	}
	p.begin[target] = next
	return nil
}

// sameFeed says whether a pipeline may go on: whether nothing has changed that it uses.
func sameFeed(a, b config.Config) bool {
	for _, c := range []*config.Config{&a, &b} {
		c.Cameras, c.Log, c.HTTP, c.Model = nil, config.Log{}, config.HTTP{}, config.Model{}
	}
	return reflect.DeepEqual(a, b)
}

func (d *Daemon) isRunning(f *feed) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f.running
}

func (d *Daemon) hasFailed(f *feed) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f.err != nil
}

// discard closes what was opened for a plan that is not carried out.
func (p *plan) discard(d *Daemon) {
	for _, next := range p.begin {
		_ = next.presenter.close() // that a recording is empty follows from the fault that is told
	}
	for _, f := range p.added {
		d.end(f)
	}
	d.recorded = d.recorded[:p.used]
}

// retire ends the pipelines that a plan replaces or removes, and waits for them.
func (d *Daemon) retire(p *plan) {
	ending := slices.Clone(p.removed)
	for _, f := range d.feeds {
		if p.begin[f] != nil {
			ending = append(ending, f)
		}
	}
	var ran []*feed
	for _, f := range ending {
		if d.isRunning(f) {
			ran = append(ran, f)
		}
		f.pipeline.cancel()
	}
	for _, f := range ending {
		<-f.pipeline.done
	}
	for _, f := range ran {
		if f.err != nil {
			log := d.logOf(f.name)
			log.Error().Err(f.err).Msg("ending the camera for its new settings failed")
		}
	}
}

// publish makes a plan's feeds those that the page, the API and the metrics know. No pipeline
// runs that the plan replaces, nor yet one that it brings.
func (d *Daemon) publish(p *plan, c config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for f, next := range p.begin {
		if old := f.pipeline; old != nil {
			f.latest.use(next.config.Overlay, next.network)
			if old.network != next.network {
				f.metrics.SetClasses(next.network.classes())
				f.figures.reset()
			}
		}
		f.pipeline, f.running, f.err, f.told = next, true, nil, false
		f.camera.begins()
	}
	for _, f := range p.added {
		f.takeOver()
		d.metrics.Add(f.metrics)
	}
	d.feeds, d.config = p.feeds, c
}

// begin runs the pipelines of a plan that has been published.
func (d *Daemon) begin(ctx context.Context, p *plan) {
	for _, f := range p.feeds {
		next := p.begin[f]
		if next == nil {
			continue
		}
		if f.stream != nil && f.name != config.DefaultName {
			next.log.Info().Str("camera", next.uri.Redacted()).Str("rtsp", f.stream.LocalURL()).Msg("camera is served")
		}
		if file := next.config.Output.Video; file != next.asked.Output.Video {
			next.log.Info().Str("file", file).Msg("recording goes on in another file")
		}
		d.start(ctx, f)
	}
}

// openNetwork loads a model.
func (d *Daemon) openNetwork(m config.Model) (*network, modelFile, error) {
	file := modelFileOf(m.Path)
	e, err := d.o.OpenModel(m)
	if err != nil {
		return nil, modelFile{}, err
	}
	desc := e.Describe()
	d.o.Log.Info().Str("model", e.Card().Name).Str("backend", desc.Backend).Int("threads", desc.Threads).
		Stringer("input", config.Size{Width: desc.InputWidth, Height: desc.InputHeight}).
		Stringer("mask", config.Size{Width: desc.MaskWidth, Height: desc.MaskHeight}).
		Msg("model loaded")
	return newNetwork(e), file, nil
}

// useNetwork makes a model the one that frames go through.
func (d *Daemon) useNetwork(n *network, model modelFile) {
	d.mu.Lock()
	d.network, d.model = n, model
	d.mu.Unlock()
	d.metrics.SetBuild(metrics.Build{Version: d.o.Version, Revision: d.o.Revision, Backend: n.Describe().Backend})
}

// modelFile tells whether the file of a model was replaced since it was loaded.
type modelFile struct {
	path string
	info fs.FileInfo // nil for the model inside the program
}

func modelFileOf(path string) modelFile {
	if path == "" {
		return modelFile{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return modelFile{path: path} // loading it will tell
	}
	return modelFile{path: path, info: info}
}

// changed says whether another file lies there now. One that is gone is no other.
func (m modelFile) changed() bool {
	if m.info == nil {
		return false
	}
	now, err := os.Stat(m.path)
	return err == nil && (!os.SameFile(now, m.info) || now.Size() != m.info.Size() || !now.ModTime().Equal(m.info.ModTime()))
}
