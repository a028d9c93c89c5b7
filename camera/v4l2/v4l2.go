// Package v4l2 reads USB and CSI cameras on Linux through pion/mediadevices.
//
// The driver lists the cameras once when the program starts, and again at every Open.
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/robustnet-edge/robustnet/camera"
)

// What is asked for when neither the address nor the program says.
const (
	defaultWidth  = 1280
	defaultHeight = 720
	defaultFPS    = 30
)

// maxCorrupt is how many damaged JPEGs in a row are skipped. USB loses some now and then.
const maxCorrupt = 10

// Open opens the camera at the address's device path, which may be a symlink, or the first
// camera that delivers pictures. Of the modes that the device lists it takes the fastest, up
// to the wanted rate, at or above the wanted size. The options size and format insist on
// one that the device lists; fps replaces the wanted rate.
//
// Errors wrap the kernel's: ENODEV or [fs.ErrNotExist] when the camera is not there, EBUSY
// when another program has it, EACCES without permission. The driver gives no capture time,
// so Captured is when the picture arrived, before it is converted.
//
// A silent camera is not an error: Read waits until a picture comes, its context ends or
// the source is closed. The driver looks up from a silent camera once a second, so it takes
// Read and Close up to a second to return then; Open sets
// PION_MEDIADEVICES_CAMERA_READ_TIMEOUT to that end, unless it is set already.
func Open(ctx context.Context, uri camera.URI, want camera.Want) (camera.Source, error) {
	return open(ctx, uri, want, find)
}

func open(ctx context.Context, uri camera.URI, want camera.Want, find func(path string) ([]node, error)) (camera.Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open camera %s: %w", uri.Redacted(), err)
	}
	nodes, err := find(uri.Path)
	if err != nil {
		return nil, explain("open camera "+uri.Redacted(), uri.Path, err)
	}
	wish := wishOf(uri, want)
	var permanent, transient []error
	for _, n := range nodes {
		s, err := start(n, wish)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, camera.ErrPermanent):
			permanent = append(permanent, err)
		default:
			transient = append(transient, err)
		}
	}
	// Many cameras have a second node without pictures; it must not hide that the first
	// may work later.
	if len(transient) > 0 {
		return nil, errors.Join(transient...)
	}
	return nil, errors.Join(permanent...)
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

// start opens a device and begins to stream.
func start(n node, wish request) (*source, error) {
	what := "open camera " + n.path
	if err := n.Open(); err != nil {
		return nil, explain(what, n.path, err)
	}
	mode, err := chooseMode(n.Properties(), wish)
	if err != nil {
		return nil, errors.Join(camera.Permanent(fmt.Errorf("%s: %w", what, err)), n.Close())
	}
	reader, err := record(n, mode)
	if err != nil {
		return nil, explain(fmt.Sprintf("%s: start %s %dx%d", what, mode.FrameFormat, mode.Width, mode.Height), n.path, err)
	}
	return newSource(n, mode, reader), nil
}

// explain adds the next step to an error of the kernel. The driver passes some on as text
// only, so they are recognised by their text as well.
func explain(what, path string, err error) error {
	is := func(no syscall.Errno) bool {
		return errors.Is(err, no) || strings.Contains(err.Error(), no.Error())
	}
	wrap := func(no syscall.Errno, hint string) error {
		if errors.Is(err, no) {
			return fmt.Errorf("%s: %w; %s", what, err, hint)
		}
		return fmt.Errorf("%s: %w (%w); %s", what, err, no, hint)
	}
	switch {
	case is(syscall.EBUSY):
		return wrap(syscall.EBUSY, "another program has the camera; fuser -v "+path+" names it")
	case is(syscall.EACCES):
		return wrap(syscall.EACCES, "add the user to the group video: sudo usermod -aG video $USER, and log in again")
	case is(syscall.ENODEV), is(syscall.ENXIO):
		return wrap(syscall.ENODEV, "plug the camera in; v4l2-ctl --list-devices shows what is there")
	case is(syscall.ENOENT):
		return wrap(syscall.ENOENT, "plug the camera in; v4l2-ctl --list-devices shows what is there")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// source is one streaming camera.
type source struct {
	node   node
	reader video.Reader
	info   camera.Info
	pool   *camera.Pool
	opened time.Time

	mu        sync.Mutex // held while converting; guards converter
	converter *converter // nil once closed

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

func newSource(n node, mode prop.Media, reader video.Reader) *source {
	return &source{
		node: n, reader: reader, pool: camera.NewPool(mode.Width, mode.Height),
		converter: newConverter(mode.Width, mode.Height, mode.FrameFormat == frame.FormatMJPEG),
		opened:    time.Now(), closing: make(chan struct{}),
		info: camera.Info{
			Name: n.path, Width: mode.Width, Height: mode.Height, FPS: float64(mode.FrameRate),
			Live: true, Format: string(mode.FrameFormat),
		},
	}
}

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Read implements [camera.Source]. Its context is heeded between pictures, or once a second.
func (s *source) Read(ctx context.Context) (*camera.Frame, error) {
	corrupt := 0
	for {
		if err := s.ended(ctx); err != nil {
			return nil, err
		}
		img, release, err := s.reader.Read()
		switch {
		case err == nil:
			f, err := s.frame(img)
			release()
			return f, err
		case isSilence(err): // for how long is the caller's decision
		case isDamage(err) && corrupt < maxCorrupt:
			corrupt++
		default:
			return nil, s.readError(err)
		}
	}
}

// frame stamps and converts a picture.
func (s *source) frame(img image.Image) (*camera.Frame, error) {
	f := s.pool.Get()
	f.Captured = time.Now()
	f.PTS = f.Captured.Sub(s.opened)
	if err := s.convert(f, img); err != nil {
		f.Release()
		return nil, fmt.Errorf("read %s: %w", s.info.Name, err)
	}
	return f, nil
}

func (s *source) convert(f *camera.Frame, img image.Image) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.converter == nil {
		return fs.ErrClosed
	}
	return s.converter.convert(f, img)
}

func (s *source) ended(ctx context.Context) error {
	select {
	case <-s.closing:
		return fmt.Errorf("read %s: %w", s.info.Name, fs.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", s.info.Name, err)
	}
	return nil
}

// isDamage recognises a JPEG that was hurt on its way.
func isDamage(err error) bool {
	var format jpeg.FormatError
	var unsupported jpeg.UnsupportedError
	return errors.As(err, &format) || errors.As(err, &unsupported) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isSilence recognises the driver's error for a camera that sent nothing, which is not
// exported.
func isSilence(err error) bool { return err.Error() == "read timeout" }

func (s *source) readError(err error) error {
	what := "read " + s.info.Name
	if errors.Is(err, io.EOF) { // so says the driver after Close
		return fmt.Errorf("%s: %w", what, fs.ErrClosed)
	}
	return explain(what, s.node.path, err)
}

// Close implements [camera.Source].
func (s *source) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		err := s.node.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if err = errors.Join(err, s.converter.close()); err != nil {
			s.closeErr = fmt.Errorf("close %s: %w", s.info.Name, err)
		}
		s.converter = nil
	})
	return s.closeErr
}
