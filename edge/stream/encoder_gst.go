package stream

import (
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/robustnet-edge/robustnet/internal/gstlaunch"
)

const (
	// firstPicture is how long a pipeline may take for its first picture: GStreamer looks at
	// all its plug-ins when it runs for the first time, and a driver starts.
	firstPicture = 10 * time.Second
	// laterPicture is how long it may take for each of the others.
	laterPicture = 2 * time.Second
	// maxUnitBytes is beyond every access unit of the largest picture.
	maxUnitBytes = 64 << 20
)

var errInterrupted = errors.New("it was interrupted")

// pipeline encodes in a process of GStreamer's, which gets raw pictures through a pipe and
// sends access units back through another. Its packets keep their boundaries, so that nothing
// waits for the next picture to see where one ends.
type pipeline struct {
	options  EncoderOptions
	elements string                            // from raw pictures to H.264
	process  atomic.Pointer[gstlaunch.Process] // nil after a failure
	begun    bool                              // the process has been given a picture
	stopping atomic.Bool
	unit     []byte
}

// openPipeline makes an encoder of elements for GStreamer. Whether they work shows with the
// first picture.
func openPipeline(o EncoderOptions, elements string) (backend, error) {
	p := &pipeline{options: o, elements: elements}
	if err := p.start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *pipeline) start() error {
	process, err := gstlaunch.Start(gstlaunch.Options{Pipeline: p.text(), Fed: true})
	if err != nil {
		return err
	}
	p.process.Store(process)
	p.begun = false
	return nil
}

// text is the pipeline. Parameter sets go before every key frame.
func (p *pipeline) text() string {
	return gstlaunch.Source + " ! " + rawPictures(p.options) + " ! " + p.elements +
		" ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! " + gstlaunch.Sink
}

// rawPictures tells GStreamer where pictures begin and end in the stream of bytes, and that
// their colours are BT.601, which it would take for BT.709 in pictures of 720 rows and tell
// players so. That property comes last, since width and height set it.
func rawPictures(o EncoderOptions) string {
	parse := fmt.Sprintf("rawvideoparse format=i420 width=%d height=%d framerate=%s colorimetry=bt601", o.Width, o.Height, gstlaunch.Fraction(o.FPS))
	if o.Width%8 != 0 { // GStreamer would expect padding
		w, y, c := o.Width, o.Width*o.Height, o.Width*o.Height/4
		parse += fmt.Sprintf(` plane-strides=<%d,%d,%d> plane-offsets=<0,%d,%d>`, w, w/2, w/2, y, y+c)
	}
	return parse
}

// encode hands a picture to the process and waits for its access unit. For a key frame the
// process is started anew, since gst-launch-1.0 has no way to ask for one, and NVIDIA's element
// does not heed GStreamer's event. A process that has failed is started anew with the next
// picture.
func (p *pipeline) encode(img *image.YCbCr, key bool) ([]byte, error) {
	if p.stopping.Load() {
		return nil, fmt.Errorf("%w: %w", ErrEncoderLost, errInterrupted)
	}
	if p.process.Load() == nil || key && p.begun {
		err := p.close()
		if err == nil {
			err = p.start()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEncoderLost, err)
		}
	}
	limit := laterPicture
	if !p.begun {
		limit = firstPicture
	}
	p.begun = true
	process := p.process.Load()
	process.SetDeadline(time.Now().Add(limit))
	if p.stopping.Load() { // interrupt may have set its deadline before
		process.SetDeadline(time.Now())
	}
	err := p.send(process, img)
	if err == nil {
		err = p.receive(process)
	}
	if err != nil {
		return nil, p.lost(err, limit)
	}
	return withoutDelimiter(p.unit), nil // h264parse puts one before every access unit
}

func (p *pipeline) send(process *gstlaunch.Process, img *image.YCbCr) error {
	luma := p.options.Width * p.options.Height
	for _, plane := range [3][]byte{img.Y[:luma], img.Cb[:luma/4], img.Cr[:luma/4]} {
		if _, err := process.In.Write(plane); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) receive(process *gstlaunch.Process) error {
	for {
		packet, err := process.Packets.Next()
		if err != nil {
			return err
		}
		if packet.Caps != "" {
			continue
		}
		if packet.Bytes > maxUnitBytes {
			return fmt.Errorf("access unit of %d bytes", packet.Bytes)
		}
		if cap(p.unit) < packet.Bytes {
			p.unit = make([]byte, packet.Bytes*5/4)
		}
		p.unit = p.unit[:packet.Bytes]
		return process.Packets.Read(p.unit)
	}
}

// lost ends a process that failed, and says why it did.
func (p *pipeline) lost(err error, limit time.Duration) error {
	process := p.process.Swap(nil)
	defer process.Close()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		if err = process.Wait(); err == nil {
			err = errors.New("the pipeline ended")
		}
		return fmt.Errorf("%w: %w", ErrEncoderLost, err)
	case p.stopping.Load():
		err = errInterrupted
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no access unit came within %v; it hangs, or it holds pictures back, as x264enc does without tune=zerolatency", limit)
	}
	return errors.Join(fmt.Errorf("%w: %w", ErrEncoderLost, err), process.Stop())
}

func (p *pipeline) interrupt() {
	p.stopping.Store(true)
	if process := p.process.Load(); process != nil {
		process.SetDeadline(time.Now())
	}
}

func (p *pipeline) close() error {
	process := p.process.Swap(nil)
	if process == nil {
		return nil
	}
	defer process.Close()
	return process.Stop()
}
