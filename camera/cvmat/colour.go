package cvmat

/*
#cgo CXXFLAGS: --std=c++11
#cgo pkg-config: opencv4
#include "colour.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"gocv.io/x/gocv"
)

// Colour converts whole pictures to BGR without keeping anything between two calls: unlike
// matrices of gocv, of which each frame would need its own, it may be used by several
// goroutines at once, pins memory for the call only and allocates nothing.
type Colour struct {
	Width, Height int // of the picture
	// Rows are those of the source, with the planes of chroma below luma, and Type is that of
	// its elements, of which each row has Width.
	Rows int
	Type gocv.MatType
	Code gocv.ColorConversionCode
}

// Bytes are those of a source picture.
func (c Colour) Bytes() int { return c.Rows * c.Width * elemBytes(c.Type) }

// Convert fills bgr, of Width × Height × 3 bytes, from a picture of [Colour.Bytes].
func (c Colour) Convert(bgr, from []byte) error {
	if !fits(len(from), c.Rows, c.Width, elemBytes(c.Type)) || !fits(len(bgr), c.Height, c.Width, 3) {
		return fmt.Errorf("a picture of %d×%d has %d bytes, to be converted into %d: sizes differ", c.Width, c.Height, len(from), len(bgr))
	}
	if C.cvmat_convert(unsafe.Pointer(unsafe.SliceData(from)), C.int(c.Rows), C.int(c.Width), C.int(c.Type),
		unsafe.Pointer(unsafe.SliceData(bgr)), C.int(c.Height), C.int(c.Width), C.int(c.Code), nil, 0) == 0 {
		return nil
	}
	return c.failure(bgr, from)
}

// failure converts once more, for the reason: room for it is not made for every picture.
func (c Colour) failure(bgr, from []byte) error {
	var message [512]C.char
	C.cvmat_convert(unsafe.Pointer(unsafe.SliceData(from)), C.int(c.Rows), C.int(c.Width), C.int(c.Type),
		unsafe.Pointer(unsafe.SliceData(bgr)), C.int(c.Height), C.int(c.Width), C.int(c.Code), &message[0], C.int(len(message)))
	return errors.New(C.GoString(&message[0]))
}
