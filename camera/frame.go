// Package camera turns anything that yields pictures (a V4L2 device, a video file, a
// folder of images, an RTSP camera, a synthetic street) into one stream of frames that
// is always as new as possible.
//
// A [Source] delivers frames, a [Keeper] keeps one alive across faults, and a [Slot]
// hands the newest frame to the consumer. The package holds no native code: each kind of
// source lives in a package of its own and is offered to [Openers] by the program.
package camera

import (
	"time"
)

// Frame is one picture. It has one owner at a time; the owner either passes it on or
// calls [Frame.Release], after which it must not touch the frame again.
type Frame struct {
	// Pix holds Height rows of Width pixels, three bytes each in the order blue, green,
	// red (OpenCV's layout), 0..255, without padding between rows.
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

	pool *Pool
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
}

// poolDepth is how many idle frames a pool keeps: one each in the source, the slot, the
// engine, the overlay and the snapshot, and one to spare.
const poolDepth = 6

// NewPool makes a pool for frames of width×height pixels.
func NewPool(width, height int) *Pool {
	return &Pool{width: width, height: height, free: make(chan *Frame, poolDepth)}
}

// Get returns a frame whose pixels are undefined and whose other fields are zero.
func (p *Pool) Get() *Frame {
	select {
	case f := <-p.free:
		*f = Frame{Pix: f.Pix, Width: p.width, Height: p.height, pool: p}
		return f
	default:
		return &Frame{Pix: make([]byte, p.width*p.height*3), Width: p.width, Height: p.height, pool: p}
	}
}

func (p *Pool) put(f *Frame) {
	select {
	case p.free <- f:
	default: // more in flight than the pool keeps: leave it to the collector
	}
}
