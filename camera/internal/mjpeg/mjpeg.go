// Package mjpeg decodes the JPEG pictures that cameras send, with libjpeg-turbo: in a fraction
// of the time of image/jpeg, straight into a frame's memory, and unlike OpenCV's reader it tells
// damaged pictures, which that one completes in grey. Huffman tables may be missing, as they are
// in the pictures of many USB cameras; then those of ITU-T T.81, section K.3, hold.
package mjpeg

/*
#cgo LDFLAGS: -ljpeg
#include "decode.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// ErrDamaged is of pictures that were hurt on their way, or are no JPEG.
var ErrDamaged = errors.New("damaged JPEG")

// Decoder decodes pictures of one camera. One goroutine may use it at a time.
type Decoder struct {
	native  *C.mjpeg
	cleanup runtime.Cleanup
}

// NewDecoder makes a decoder. Its memory is freed by Close, or else when nothing refers to it.
func NewDecoder() (*Decoder, error) {
	native := C.mjpeg_new()
	if native == nil {
		return nil, errors.New("make a JPEG decoder: no memory, or another version of libjpeg than this program was compiled for")
	}
	d := &Decoder{native: native}
	d.cleanup = runtime.AddCleanup(d, func(native *C.mjpeg) { C.mjpeg_free(native) }, native)
	return d, nil
}

// Decode fills bgr, of width × height × 3 bytes, from a JPEG of exactly this size. Errors are
// [ErrDamaged]; bgr is undefined then. It allocates nothing in Go.
func (d *Decoder) Decode(bgr []byte, width, height int, jpeg []byte) error {
	if width < 1 || height < 1 || len(bgr) != width*height*3 {
		return fmt.Errorf("decode a JPEG of %d×%d into %d bytes: sizes differ", width, height, len(bgr))
	}
	if len(jpeg) == 0 {
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	damaged := C.mjpeg_decode(d.native, (*C.uint8_t)(unsafe.SliceData(jpeg)), C.size_t(len(jpeg)),
		(*C.uint8_t)(unsafe.SliceData(bgr)), C.int(width), C.int(height))
	runtime.KeepAlive(d)
	if damaged != 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, C.GoString(C.mjpeg_reason(d.native)))
	}
	return nil
}

// Close frees the decoder's memory. It is idempotent.
func (d *Decoder) Close() {
	if d.native == nil {
		return
	}
	d.cleanup.Stop()
	C.mjpeg_free(d.native)
	d.native = nil
}
