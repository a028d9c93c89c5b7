// Package camera turns anything that yields pictures (a V4L2 device, a video file, a
// folder of images, an RTSP camera, a synthetic street) into one stream of frames that
// is always as new as possible.
//
// A [Source] delivers frames, a [Keeper] keeps one alive across faults, and a [Slot]
// hands the newest frame to the consumer. The package holds no native code: each kind of
// source lives in a package of its own and is offered to [Openers] by the program.
package camera

import (
	"fmt"
	"time"
)

// Frame is one picture. It has one owner at a time; the owner either passes it on or
// calls [Frame.Release], after which it must not touch the frame again.
type Frame struct {
	// Pix holds Height rows of Width pixels, three bytes each in the order blue, green,
	// red (OpenCV's layout), 0..255, without padding between rows. Who makes the frame
	// writes it; who reads it calls [Frame.BGR], because a raw frame has no Pix before.
	Pix           []byte
	Width, Height int

	// Seq counts the frames that sources delivered since the program started. A gap means
	// that frames were dropped between two that arrived.
	Seq uint64
	// Skipped is how many pictures of the camera, as far as the source knows, did not become
	// frames between the frame before and this one: it or its driver gave them up because the
	// reader or a decoder came too late, or they were lost or damaged on their way. They are
	// not counted in Seq.
	Skipped uint64
	// Captured is when the picture left the camera, as near as the source can tell. It
	// carries a monotonic reading.
	Captured time.Time
	// PTS is the frame's position in the source's own time line: media time for files,
	// time since opening for cameras.
	PTS time.Duration
	// Name identifies the picture where the source has names (the image file's base name
	// without extension); empty otherwise.
	Name string

	raw       []byte // as the camera sent it; nil unless the pool is of raw frames
	converted bool   // Pix holds what raw does
	pool      *Pool
}

// PixelFormat names how the bytes of a raw frame lie, as the kernel does; planes and rows
// follow each other without padding.
type PixelFormat string

// The formats of raw frames that more than their source knows.
const (
	YUYV PixelFormat = "YUYV" // pairs of Y U Y V; BT.601, Y within 16..235
	NV12 PixelFormat = "NV12" // a plane of Y, then pairs of U V at half of both sides; as YUYV
)

// Raw returns the picture as the camera sent it, for those who can read that, and the
// frame's own memory: nil where the frame has BGR only. It stays valid after [Frame.BGR].
func (f *Frame) Raw() ([]byte, PixelFormat) {
	if f.raw == nil {
		return nil, ""
	}
	return f.raw, f.pool.format
}

// BGR returns Pix. A raw frame is converted at the first call, so that frames which nobody
// looks at cost nothing. Like all of a frame it is the owner's alone.
func (f *Frame) BGR() ([]byte, error) {
	if f.raw == nil || f.converted {
		return f.Pix, nil
	}
	if f.Pix == nil {
		f.Pix = make([]byte, f.Width*f.Height*3)
	}
	if err := f.pool.convert(f); err != nil {
		return nil, fmt.Errorf("convert frame %d from %s: %w", f.Seq, f.pool.format, err)
	}
	f.converted = true
	return f.Pix, nil
}

// Release returns the frame's memory to its pool.
func (f *Frame) Release() {
	if f.pool != nil {
		f.pool.put(f)
	}
}

// Pool is where the frame's memory comes from: the same for all frames of one size from one
// open source. It is nil for a frame that was made by hand.
func (f *Frame) Pool() *Pool { return f.pool }

// MaxSide is the greatest width and height of a frame in pixels. Sources refuse anything
// larger, since what decodes it could exhaust the memory.
const MaxSide = 8192

// Pool recycles frames of one size, so that a steady stream allocates nothing. It is
// safe for concurrent use.
type Pool struct {
	width, height int
	free          chan *Frame

	// Of raw frames only.
	format   PixelFormat
	rawBytes int
	toBGR    func(bgr, raw []byte) error
}

// poolDepth is how many idle frames a pool keeps: one each in the source, the slot, the
// engine, the overlay and the snapshot, and one to spare.
const poolDepth = 6

// NewPool makes a pool for frames of width×height pixels.
func NewPool(width, height int) *Pool {
	return &Pool{width: width, height: height, free: make(chan *Frame, poolDepth)}
}

// NewRawPool makes a pool for frames of width×height pixels that arrive as rawBytes bytes in
// another format than BGR. toBGR writes all of bgr, which is a frame's Pix, from raw; it is
// called for several frames at once, by their owners, and keeps neither slice.
func NewRawPool(width, height int, format PixelFormat, rawBytes int, toBGR func(bgr, raw []byte) error) *Pool {
	p := NewPool(width, height)
	p.format, p.rawBytes, p.toBGR = format, rawBytes, toBGR
	return p
}

func (p *Pool) convert(f *Frame) error { return p.toBGR(f.Pix, f.raw) }

// Get returns a frame whose pixels, or raw bytes in a pool of raw frames, are undefined and
// whose other fields are zero.
func (p *Pool) Get() *Frame {
	select {
	case f := <-p.free:
		*f = Frame{Pix: f.Pix, raw: f.raw, Width: p.width, Height: p.height, pool: p}
		return f
	default:
	}
	f := &Frame{Width: p.width, Height: p.height, pool: p}
	if p.toBGR != nil {
		f.raw = make([]byte, p.rawBytes)
	} else {
		f.Pix = make([]byte, p.width*p.height*3)
	}
	return f
}

func (p *Pool) put(f *Frame) {
	select {
	case p.free <- f:
	default: // more in flight than the pool keeps: leave it to the collector
	}
}
