// Package gst reads cameras through GStreamer: those on the CSI connectors of a Jetson, and
// whatever a pipeline of the user's delivers.
//
// A pipeline runs in a child process, gst-launch-1.0, which hands BGR pictures over through a
// pipe. OpenCV's capture would run it within the program; but there it blocks for ever, in
// opening and in reading, when no picture comes (OpenCV 4.6), so that a silent camera could not
// be opened again, it reports a fault as if the pipeline had ended, and it does not say which
// element is missing. The process costs one more copy of each picture.
package gst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/internal/live"
	"github.com/robustnet-edge/robustnet/camera/internal/picture"
	"github.com/robustnet-edge/robustnet/internal/gstlaunch"
)

// source is one running pipeline. Its goroutine, which the WaitGroup counts, ends with the
// process; Close ends both.
type source struct {
	*live.Feed
	uri     camera.URI
	process *gstlaunch.Process
	opened  time.Time
	info    camera.Info   // set before ready is closed
	ready   chan struct{} // closed with the first picture
	wg      sync.WaitGroup

	// Of the goroutine.
	video  gstlaunch.Video
	pool   *camera.Pool // nil before the first caps
	padded []byte       // a picture whose rows GStreamer pads
	first  time.Duration
	number int64 // of the picture before, by the pipeline's count; negative if unknown
	read   int   // pictures so far
}

// Open runs the pipeline of a csi: or gst: address and waits for its first picture.
//
// A csi: address names a sensor of a Jetson, as in csi://0, by nvarguscamerasrc, and takes the
// options
//
//	sensor-mode    which of the sensor's modes, by NVIDIA's numbers; by default the driver's choice
//	width, height  size in pixels before turning; by default the wanted size
//	fps            frames per second; by default the wanted rate
//	flip           how nvvidconv turns the picture: 0 (default) not, 1 by 90° counterclockwise,
//	               2 by 180°, 3 by 90° clockwise, 4 flipped horizontally, 5 over the diagonal
//	               from upper right, 6 vertically, 7 over the diagonal from upper left
//
// A gst: address is a pipeline in the syntax of gst-launch-1.0, without its sink. What it
// delivers is made BGR, and of pictures for which the program is not ready the newest is kept;
// so a file should be read with pace, as by identity sync=true. An appsink at its end, as
// pipelines for OpenCV have, is left out.
//
// Frames carry their arrival as Captured, and the pipeline's time, counted from the first
// frame, as PTS. Pictures that the source has numbered, as v4l2src does, and that are missing
// are told in Skipped, as are those for which the reader came too late.
//
// The end of a gst: pipeline is the end of the source; for a CSI camera it is a fault. A
// missing element and a text that is no pipeline wrap [camera.ErrPermanent]. No error holds a
// password that is in the pipeline.
func Open(ctx context.Context, uri camera.URI, want camera.Want) (camera.Source, error) {
	s := &source{Feed: live.NewFeed(uri.Redacted()), uri: uri, opened: time.Now(), ready: make(chan struct{}), number: -1}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open camera %s: %w", s.Name, err)
	}
	pipeline, err := pipelineOf(uri, want)
	if err != nil {
		return nil, camera.Permanent(fmt.Errorf("open camera %s: %w", s.Name, err))
	}
	if s.process, err = gstlaunch.Start(gstlaunch.Options{Pipeline: pipeline}); err != nil {
		return nil, fmt.Errorf("open camera %s: %w", s.Name, s.explain(err))
	}
	s.wg.Go(func() { s.Fail(s.receive()) })
	select {
	case <-s.ready:
		return s, nil
	case <-s.Done():
		err = s.Cause()
	case <-ctx.Done():
		err = fmt.Errorf("the pipeline runs but delivers no picture%s: %w", s.adviceOnSilence(), ctx.Err())
	}
	select {
	case <-s.ready: // a short pipeline has ended already
		return s, nil
	default:
	}
	return nil, errors.Join(fmt.Errorf("open camera %s: %w", s.Name, err), s.Close())
}

// adviceOnSilence says what helps, or how to find out.
func (s *source) adviceOnSilence() string {
	if s.uri.Scheme == "csi" {
		return " (if none comes at all, the camera service of the Jetson hangs: sudo systemctl restart nvargus-daemon)"
	}
	return " (to see how far it comes, run it by gst-launch-1.0 -v with fakesink at its end)"
}

// receive reads pictures until the pipeline ends, and returns why it did.
func (s *source) receive() error {
	for {
		p, err := s.process.Packets.Next()
		switch {
		case err != nil:
		case p.Caps != "":
			err = s.format(p.Caps)
		default:
			err = s.picture(p)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return s.ended(err)
		}
		if err != nil {
			return err
		}
	}
}

// ended says how the pipeline ended after its packets did.
func (s *source) ended(err error) error {
	if fault := s.process.Wait(); fault != nil {
		return s.explain(fault)
	}
	switch {
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the pipeline ended within a picture: %w", err)
	case s.uri.Scheme == "csi":
		return fmt.Errorf("the camera ended the stream: %w", io.ErrUnexpectedEOF)
	case s.read == 0:
		return camera.Permanent(errors.New("the pipeline ended without a picture"))
	}
	return io.EOF
}

// format learns what the next pictures are.
func (s *source) format(caps string) error {
	v, err := gstlaunch.ParseVideo(caps)
	if err != nil {
		return err
	}
	if v.Format != "BGR" {
		return fmt.Errorf("the pipeline delivers %s, want BGR", v.Format)
	}
	if err := picture.CheckSize(v.Width, v.Height); err != nil {
		return camera.Permanent(fmt.Errorf("the picture cannot be used: %w", err))
	}
	if s.pool == nil {
		s.video, s.pool = v, camera.NewPool(v.Width, v.Height)
		return nil
	}
	if v.Width != s.video.Width || v.Height != s.video.Height {
		return fmt.Errorf("the picture changes its size from %d×%d to %d×%d", s.video.Width, s.video.Height, v.Width, v.Height)
	}
	return nil
}

// picture reads a picture and hands it to the reader.
func (s *source) picture(p gstlaunch.Packet) error {
	if s.pool == nil {
		return errors.New("the pipeline sends a picture before its caps")
	}
	f := s.pool.Get()
	f.Captured = time.Now()
	if err := s.fill(f, p.Bytes); err != nil {
		f.Release()
		return err
	}
	s.stamp(f, p)
	if s.read++; s.read == 1 {
		s.info = camera.Info{Name: s.Name, Width: f.Width, Height: f.Height, FPS: s.video.FPS, Live: true}
		close(s.ready)
	}
	s.Put(f)
	return nil
}

// fill reads the pixels. GStreamer pads rows to a multiple of four bytes.
func (s *source) fill(f *camera.Frame, size int) error {
	row := f.Width * 3
	stride := (row + 3) &^ 3
	switch size {
	case len(f.Pix):
		return s.process.Packets.Read(f.Pix)
	case stride * f.Height:
	default:
		return fmt.Errorf("the pipeline sends %d bytes for %d×%d pixels, want %d", size, f.Width, f.Height, stride*f.Height)
	}
	if len(s.padded) != size {
		s.padded = make([]byte, size)
	}
	if err := s.process.Packets.Read(s.padded); err != nil {
		return err
	}
	for y := range f.Height {
		copy(f.Pix[y*row:(y+1)*row], s.padded[y*stride:])
	}
	return nil
}

// stamp sets the frame's time, and counts the pictures that are missing before it.
func (s *source) stamp(f *camera.Frame, p gstlaunch.Packet) {
	f.PTS = p.PTS
	if p.PTS < 0 { // the pipeline has no clock
		f.PTS = f.Captured.Sub(s.opened)
	}
	if s.read == 0 {
		s.first = f.PTS
	}
	f.PTS -= s.first
	// A number that jumps back belongs to another count.
	if p.Number > s.number && s.number >= 0 {
		s.Skipped.Add(uint64(p.Number - s.number - 1))
	}
	s.number = p.Number
}

// explain marks what will not mend itself, tells the kernel's reasons by their text, and masks
// passwords.
func (s *source) explain(err error) error {
	message := s.uri.Mask(err.Error())
	if strings.Contains(message, "could not link") {
		message += "; the pipeline must end in raw pictures, without a sink"
	}
	text := errors.New(message)
	if errors.Is(err, gstlaunch.ErrUnusable) {
		return camera.Permanent(text)
	}
	for _, reason := range []error{syscall.ENOENT, syscall.ENODEV, syscall.EBUSY, syscall.EACCES} {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(reason.Error())) {
			return because{text, reason}
		}
	}
	return text
}

// because is an error with a reason that its text has already.
type because struct {
	error
	reason error
}

func (b because) Unwrap() []error { return []error{b.error, b.reason} }

// Info implements [camera.Source].
func (s *source) Info() camera.Info { return s.info }

// Close implements [camera.Source].
func (s *source) Close() error {
	s.Fail(fs.ErrClosed)
	err := s.process.Stop()
	s.process.SetDeadline(time.Now()) // if a driver holds the process, it holds the pipe
	s.wg.Wait()
	s.process.Close()
	s.Drain()
	if err != nil {
		return fmt.Errorf("close camera %s: %w", s.Name, err)
	}
	return nil
}

// Missing names what a csi: or gst: address needs, as far as its scheme tells, and this machine
// lacks, in a sentence; empty if nothing.
func Missing(ctx context.Context, uri camera.URI) string {
	needed := []string{"videoconvert", "gdppay"}
	if uri.Scheme == "csi" {
		needed = append(needed, "nvarguscamerasrc", "nvvidconv")
	}
	for _, e := range needed {
		found, err := gstlaunch.Has(ctx, e)
		switch {
		case err != nil:
			return err.Error()
		case !found:
			return "GStreamer has no element " + gstlaunch.NoElement(e)
		}
	}
	return ""
}
