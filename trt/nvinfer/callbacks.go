package nvinfer

// #include <stdint.h>
import "C"

import (
	"runtime/cgo"
	"time"
)

// The functions that the shim calls back. A handle stands for the Go value.

//export nvinferProgress
func nvinferProgress(handle C.uintptr_t, phase, parent *C.char, done, steps C.int32_t) C.int32_t {
	p := cgo.Handle(handle).Value().(*progress)
	p.step(C.GoString(phase), C.GoString(parent), int(done), int(steps))
	if p.ctx.Err() != nil {
		return 0
	}
	return 1
}

//export nvinferLayer
func nvinferLayer(handle C.uintptr_t, run C.int32_t, layer *C.char, milliseconds C.float) {
	p := cgo.Handle(handle).Value().(*profile)
	p.add(int(run), C.GoString(layer), time.Duration(float64(milliseconds)*float64(time.Millisecond)))
}
