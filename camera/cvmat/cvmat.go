// Package cvmat lets OpenCV work on memory that Go owns, without copying: a Mat header
// over a pinned Go slice.
package cvmat

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
)

// Pinned is an OpenCV matrix over a Go slice, which stays where it is until Close. It must
// be closed: the runtime stops a program that forgets pinned memory.
type Pinned struct {
	gocv.Mat
	pin   runtime.Pinner
	bytes int
}

// Over returns a matrix of rows×cols elements of type mt over pix, which must have exactly
// the size of the matrix and must not be empty. OpenCV functions that are given it as
// destination write into pix as long as the result has this size and type; otherwise they
// silently allocate elsewhere.
func Over(pix []byte, rows, cols int, mt gocv.MatType) (*Pinned, error) {
	if !fits(len(pix), rows, cols, elemBytes(mt)) {
		return nil, fmt.Errorf("wrap %d bytes as %d rows of %d elements of %d bytes: sizes differ", len(pix), rows, cols, elemBytes(mt))
	}
	p := &Pinned{bytes: len(pix)}
	p.pin.Pin(unsafe.SliceData(pix))
	m, err := gocv.NewMatFromBytes(rows, cols, mt, pix)
	if err != nil {
		p.pin.Unpin()
		return nil, fmt.Errorf("wrap a %d×%d matrix: %w", rows, cols, err)
	}
	p.Mat = m
	return p, nil
}

// fits tells whether n bytes are rows×cols elements, for numbers whose product may overflow.
func fits(n, rows, cols, elem int) bool {
	if rows <= 0 || cols <= 0 || rows > math.MaxInt32 || cols > math.MaxInt32 {
		return false // C++ would see other numbers
	}
	return n%rows == 0 && n/rows == cols*elem
}

// elemBytes is the size of one element: a MatType holds the depth in its low three bits and
// the number of channels, less one, above them.
func elemBytes(mt gocv.MatType) int {
	depthBytes := [8]int{1, 1, 2, 2, 4, 4, 8, 2}
	return depthBytes[mt&7] * (int(mt)>>3 + 1)
}

// Close frees the header and lets the slice go. It is idempotent.
func (p *Pinned) Close() error {
	if p.Mat.Ptr() == nil {
		return nil
	}
	err := p.Mat.Close()
	p.pin.Unpin()
	return err
}

// cacheLimit is above the number of buffers that one pool of frames has in flight.
const cacheLimit = 16

// Frames keeps a header for every frame buffer that it has seen, so that a steady stream
// makes none. The buffers stay pinned meanwhile; they are let go when a frame of another size
// or from another pool comes, as after a camera was opened again. It is used by one goroutine.
// The zero value is ready.
type Frames struct {
	byBuffer      map[*byte]*Pinned
	pool          *camera.Pool
	width, height int
}

// Mat returns a matrix over the frame's pixels: 8 bit, 3 channels, BGR, into which a raw frame
// is converted first. It is valid as long as the caller owns the frame, and must not be closed.
func (c *Frames) Mat(f *camera.Frame) (gocv.Mat, error) {
	if f.Pool() != c.pool || f.Width != c.width || f.Height != c.height {
		c.Close()
		c.pool, c.width, c.height = f.Pool(), f.Width, f.Height
	}
	bgr, err := f.BGR()
	if err != nil {
		return gocv.Mat{}, err
	}
	key := unsafe.SliceData(bgr)
	if p, ok := c.byBuffer[key]; ok && p.bytes == len(bgr) {
		return p.Mat, nil
	}
	p, err := Over(bgr, f.Height, f.Width, gocv.MatTypeCV8UC3)
	if err != nil {
		return gocv.Mat{}, fmt.Errorf("frame %d: %w", f.Seq, err)
	}
	if len(c.byBuffer) >= cacheLimit {
		c.Close()
	}
	if c.byBuffer == nil {
		c.byBuffer = make(map[*byte]*Pinned, cacheLimit)
	}
	c.byBuffer[key] = p
	return p.Mat, nil
}

// Close frees all headers. The cache can be used again afterwards.
func (c *Frames) Close() {
	for _, p := range c.byBuffer {
		p.Close()
	}
	clear(c.byBuffer)
}
