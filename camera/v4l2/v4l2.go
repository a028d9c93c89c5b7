// Package v4l2 reads cameras of Linux's Video4Linux2: USB cameras above all.
//
// It talks to the kernel itself, by the interface that the kernel's user-space API guide
// describes ("Video for Linux API", part "Input/Output", memory mapping), because each picture
// needs what other packages hide: the driver's time stamp, sequence number, error flag and
// distance of rows, and the format that it really set. A picture is copied out of the driver's
// buffer before the buffer goes back.
//
// Nothing happens before [Open], [Cameras] or [Watch] is called, and only Watch starts nothing
// that outlives it.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
)

// What is asked for when neither the address nor the program says.
const (
	defaultWidth  = 1280
	defaultHeight = 720
	defaultFPS    = 30
)

// Open opens the camera that the address names: by the path of its device, which may be a
// symlink; by the options serial or port, see [Camera]; or the first one that delivers pictures.
// Of the modes that the device lists it takes the fastest, up to the wanted rate, at or above
// the wanted size, and among equals the one that costs the CPU least. The options size and
// format insist on one that the device lists; fps replaces the wanted rate. A driver that sets
// another format than it was asked for is believed if it can be read and the address does not
// insist on one, and refused otherwise.
//
// Errors wrap the kernel's: ENODEV, ENXIO or [fs.ErrNotExist] when the camera is not there,
// EBUSY when another program has it, EACCES or EPERM without permission. A device that never
// delivers pictures is a permanent failure.
//
// Captured is the driver's time stamp, which is that of the first pixel or of the last one, as
// the driver likes, if it is of the monotonic clock and can be true; else the time at which the
// picture was taken from the driver. Skipped counts the numbers that are missing in the
// driver's sequence, and the pictures that were damaged or older than the one that was read.
// Raw formats arrive as raw frames (see [camera.Frame.BGR]), compressed ones decoded. Up to 10
// damaged pictures in a row are passed over.
//
// A silent camera is not an error: Read waits until a picture comes, its context ends or the
// source is closed, and returns at once then.
func Open(ctx context.Context, uri camera.URI, want camera.Want) (camera.Source, error) {
	return machine().open(ctx, uri, want)
}

func (m machineFiles) open(ctx context.Context, uri camera.URI, want camera.Want) (camera.Source, error) {
	what := "open camera " + uri.Redacted()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	paths, err := m.find(uri)
	if err != nil {
		return nil, explain(what, uri.Path, err)
	}
	wish := wishOf(uri, want)
	if paths = m.withPictures(paths); len(paths) > 1 {
		wish.trial = m.trial
	}
	var permanent, transient several
	for _, path := range paths {
		s, err := m.start(ctx, path, wish)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, camera.ErrPermanent):
			permanent = append(permanent, err)
		default:
			transient = append(transient, err)
		}
	}
	// A camera that will never do must not hide that another may work later.
	if len(transient) > 0 {
		return nil, transient
	}
	return nil, permanent
}

// several are the faults of all cameras that were tried, in one line.
type several []error

func (s several) Error() string {
	var texts []string
	for _, err := range s {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; and ")
}

func (s several) Unwrap() []error { return s }

// withPictures leaves out nodes that never deliver pictures, as the second one of most USB
// cameras, unless there are no others.
func (m machineFiles) withPictures(paths []string) []string {
	if len(paths) < 2 {
		return paths
	}
	with := slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		d, err := openDevice(m.kernel, path)
		if err != nil {
			return false // which is to be told
		}
		defer d.close()
		c, err := d.capability()
		return err == nil && errors.Is(c.check(), errNoCamera)
	})
	if len(with) == 0 {
		return paths
	}
	return with
}

func wishOf(uri camera.URI, want camera.Want) request {
	r := request{width: want.Width, height: want.Height, fps: want.FPS, format: uri.Text("format", "")}
	if w, h := uri.Size(); w > 0 {
		r.width, r.height, r.exactSize = w, h, true
	}
	if fps := uri.FPS(); fps > 0 {
		r.fps = fps
	}
	if r.width <= 0 || r.height <= 0 {
		r.width, r.height = defaultWidth, defaultHeight
	}
	if r.fps <= 0 {
		r.fps = defaultFPS
	}
	return r
}

// start opens a device and begins to stream. If it fails, nothing is left open.
func (m machineFiles) start(ctx context.Context, path string, wish request) (*source, error) {
	what := "open camera " + path
	d, err := openDevice(m.kernel, path)
	if err != nil {
		return nil, explain(what, path, err)
	}
	s, err := d.stream(ctx, wish)
	if err != nil {
		return nil, errors.Join(explain(what, path, err), d.close())
	}
	return s, nil
}

// stream brings an open device into the wanted mode and has it deliver pictures.
func (d *device) stream(ctx context.Context, wish request) (*source, error) {
	c, err := d.capability()
	if errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EINVAL) {
		return nil, camera.Permanent(fmt.Errorf("is not a V4L2 device: %w", err))
	}
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, camera.Permanent(err)
	}
	modes, unreadable, err := d.modes(wish)
	if err != nil {
		return nil, err
	}
	mode, err := chooseMode(modes, unreadable, wish)
	if err != nil {
		return nil, camera.Permanent(err)
	}
	p, fps, err := d.set(mode, wish)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // drivers may take long for the steps so far
		p.close()
		return nil, err
	}
	s, err := startStream(d, p.leastBytes())
	if err != nil {
		p.close()
		return nil, err
	}
	src := newSource(s, p, camera.Info{
		Name: d.path, Width: p.layout.width, Height: p.layout.height, FPS: fps, Live: true, Format: p.format.name,
	})
	if wish.trial > 0 {
		if err := src.await(ctx, wish.trial); err != nil {
			p.close()
			return nil, errors.Join(err, s.stop())
		}
	}
	return src, nil
}

// set asks for a mode, and returns how its pictures come and how many a second.
func (d *device) set(mode Mode, wish request) (*pictures, float64, error) {
	l, err := d.setLayout(mode.code, mode.Width, mode.Height)
	if err != nil {
		return nil, 0, err
	}
	otherSize, otherFormat := l.width != mode.Width || l.height != mode.Height, l.format != mode.code
	if otherSize && wish.exactSize || otherFormat && wish.format != "" {
		return nil, 0, camera.Permanent(fmt.Errorf("driver set %s %dx%d when asked for %s %dx%d, which it lists; choose another size or format",
			l.format, l.width, l.height, mode.code, mode.Width, mode.Height))
	}
	p, err := newPictures(l)
	if err != nil {
		return nil, 0, camera.Permanent(err)
	}
	interval, err := d.setInterval(mode.interval)
	if err != nil {
		p.close()
		return nil, 0, err
	}
	if interval.rate() > 0 {
		return p, interval.rate(), nil
	}
	return p, mode.FPS, nil
}

// trialTime is how long the first of several cameras may take for its first picture.
const trialTime = 2 * time.Second

// await waits until a picture is there. It does not take it.
func (s *source) await(ctx context.Context, patience time.Duration) error {
	s.follow(ctx)
	for deadline := time.Now().Add(patience); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("%w within %v of being opened, and there are others to try", camera.ErrStalled, patience)
		}
		ready, _, err := s.stream.wait(int(left.Milliseconds()) + 1)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case ready && s.stream.failing():
			return fmt.Errorf("poll: driver fails before the first picture: %w", syscall.EIO)
		case ready:
			return nil
		}
	}
}
