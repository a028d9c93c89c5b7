package edge

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/edge/metrics"
	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/edge/view"
)

// feed is one camera as others know it: its stream, its pictures on the page, its metrics.
// It outlives its pipelines, of which a reload ends one and begins another, so that players
// stay connected and counters go on.
type feed struct {
	name    string
	metrics *metrics.Camera
	stream  *stream.Stream // nil when there is no RTSP server

	camera  cameraState
	latest  latest
	figures figures
	written outputCounts
	shown   atomic.Uint64 // pictures presented
	encoded encodedAs     // the presenter's, from one to the next
	wake    chan struct{} // the camera may be there again; has room for one

	// before is the feed whose stream this one takes over; nil when it has one of its own.
	// handed says that another has taken over this one's. Run's goroutine alone uses them.
	before *feed
	handed bool

	// Guarded by the daemon's mu.
	pipeline *pipeline
	running  bool
	err      error // why the pipeline ended, if not as it should
	told     bool  // err is in the log
}

// encodedAs is how the pictures of a stream were made.
type encodedAs struct {
	view view.View
	pane image.Point // size of one picture of the view
}

// newFeed makes the feed of a camera that is new in the configuration. If there is a stream at
// its path, it is of a camera that is not in the configuration any more, and goes on with the
// new one.
func (d *Daemon) newFeed(f config.Feed, n *network) (*feed, error) {
	made := &feed{name: f.Name, figures: newFigures(), wake: make(chan struct{}, 1)}
	at := slices.IndexFunc(d.feeds, func(old *feed) bool { return old.path() == f.Config.Stream.Path })
	switch {
	case d.rtsp == nil:
	case at >= 0:
		made.before = d.feeds[at]
		made.stream = made.before.stream
	default:
		st, err := d.rtsp.Open(f.Config.Stream.Path)
		if err != nil {
			return nil, err
		}
		made.stream = st
	}
	made.metrics = metrics.NewCamera(f.Name, n.classes(), made.streamStats)
	made.latest.init(f.Config.Overlay, n)
	return made, nil
}

// path is that of the feed's stream.
func (f *feed) path() string { return f.pipeline.asked.Stream.Path }

// takeOver begins where the feed before ended, if there is one.
func (f *feed) takeOver() {
	if f.before != nil {
		f.encoded = f.before.encoded
		f.before.handed = true
		f.before = nil
	}
}

// end takes the feed out of sight.
func (d *Daemon) end(f *feed) {
	d.metrics.Remove(f.metrics)
	if f.stream != nil && f.before == nil && !f.handed {
		f.stream.Close()
	}
	f.latest.close()
}

// streamStats feeds the metrics.
func (f *feed) streamStats() (clients int, sentBytes uint64) {
	if f.stream == nil {
		return 0, 0
	}
	return f.stream.Viewers(), f.stream.BytesSent()
}

// dropped is the number of frames that gave way to newer ones.
func (f *feed) dropped() uint64 {
	var n uint64
	for _, at := range metrics.Drops() {
		n += f.metrics.DroppedCount(at)
	}
	return n
}

// reached says whether the camera has given the configured number of frames; 0 is no limit.
func (f *feed) reached(limit int) bool { return limit > 0 && f.shown.Load() >= uint64(limit) }

// changed ends the camera's pause between two attempts to open it.
func (f *feed) changed() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// recordingPath is where a recording goes: where the configuration says, unless an earlier
// pipeline of this process has recorded there, which must not be overwritten; and then no other
// file is.
func (d *Daemon) recordingPath(path string) string {
	if !slices.Contains(d.recorded, filepath.Clean(path)) {
		return path
	}
	ext := filepath.Ext(path)
	for n := 2; ; n++ {
		next := fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), n, ext)
		if _, err := os.Lstat(next); err != nil && !slices.Contains(d.recorded, filepath.Clean(next)) {
			return next // whatever the error is, opening it will tell
		}
	}
}

// maskNumbers counts the masks without names that this process has put into a folder.
func (d *Daemon) maskNumbers(folder string) *atomic.Uint64 {
	folder = filepath.Clean(folder)
	if d.masked[folder] == nil {
		d.masked[folder] = new(atomic.Uint64)
	}
	return d.masked[folder]
}
