// Package cvmat lets OpenCV work on memory that Go owns, without copying: a Mat header
// over a pinned Go slice.
package cvmat

import (
	"fmt"
	"runtime"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
)

// Pinned is an OpenCV matrix over a Go slice, which stays where it is until Close.
type Pinned struct {
	gocv.Mat
	pin runtime.Pinner
}

// Over returns a matrix of rows×cols elements of type mt over pix, which must have exactly
// the size of the matrix. OpenCV functions that are given it as destination write into pix
// as long as the result has this size and type; otherwise they silently allocate elsewhere.
func Over(pix []byte, rows, cols int, mt gocv.MatType) (*Pinned, error) {
	channels := int(mt)>>3 + 1
	if rows <= 0 || cols <= 0 || len(pix) != rows*cols*channels {
		return nil, fmt.Errorf("wrap %d bytes as a %d×%d matrix of %d channels: sizes differ", len(pix), rows, cols, channels)
	}
	p := new(Pinned)
	p.pin.Pin(unsafe.SliceData(pix))
	m, err := gocv.NewMatFromBytes(rows, cols, mt, pix)
	if err != nil {
		p.pin.Unpin()
		return nil, fmt.Errorf("wrap a %d×%d matrix: %w", rows, cols, err)
	}
	p.Mat = m
	return p, nil
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

// cacheLimit is above the number of buffers that one pool of frames has in flight, so that
// the cache is only emptied when a camera came back with another size.
const cacheLimit = 16

// Frames keeps a header for every frame buffer that it has seen, so that a steady stream
// makes none. It is used by one goroutine. The zero value is ready.
type Frames struct {
	byBuffer map[*byte]*Pinned
}

// Mat returns a matrix over the frame's pixels: 8 bit, 3 channels, BGR. It is valid as long
// as the caller owns the frame, and must not be closed.
func (c *Frames) Mat(f *camera.Frame) (gocv.Mat, error) {
	key := unsafe.SliceData(f.Pix)
	if p, ok := c.byBuffer[key]; ok && p.Rows() == f.Height && p.Cols() == f.Width {
		return p.Mat, nil
	}
	if len(c.byBuffer) >= cacheLimit {
		c.Close()
	}
	p, err := Over(f.Pix, f.Height, f.Width, gocv.MatTypeCV8UC3)
	if err != nil {
		return gocv.Mat{}, fmt.Errorf("frame %d: %w", f.Seq, err)
	}
	if c.byBuffer == nil {
		c.byBuffer = make(map[*byte]*Pinned, cacheLimit)
	}
	if old, ok := c.byBuffer[key]; ok {
		old.Close()
	}
	c.byBuffer[key] = p
	return p.Mat, nil
}

// Close frees all headers. The cache can be used again afterwards.
func (c *Frames) Close() {
	for key, p := range c.byBuffer {
		p.Close()
		delete(c.byBuffer, key)
	}
}
