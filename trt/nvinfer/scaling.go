package nvinfer

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/library"
)

// errUse is of what the shim cannot do with these arguments.
var errUse = errors.New("TensorRT's shim refused")

// scaling is how frames come into the network's input.
type scaling struct {
	onGPU bool // the kernel is there
	// width, height and format are those of the frames for which there is memory, or for which it
	// was refused; frame is that memory, nil where the CPU scales.
	width, height, format int
	frame                 []byte
}

// scaleOnGPU loads the kernel that scales frames, if there is one.
func (e *Engine) scaleOnGPU(path string) error {
	if path = cmp.Or(path, library.Find(kernelName)); path == "" {
		return nil
	}
	code, err := os.ReadFile(path)
	if err == nil {
		err = e.native.scaling(code)
	}
	if err != nil {
		return fmt.Errorf("load the kernel %s that scales frames: %w; build it anew with packaging/build-tensorrt.sh, or remove it to scale on the CPU", filepath.Base(path), err)
	}
	e.scaling.onGPU = true
	return nil
}

// fill brings a frame into the network's input, or to where the GPU will scale it.
func (e *Engine) fill(f *camera.Frame) error {
	s := &e.scaling
	if !s.onGPU {
		return e.input.Fill(f)
	}
	raw, format := rawOf(f)
	if f.Width != s.width || f.Height != s.height || format != s.format {
		frame, err := e.native.frame(f.Width, f.Height, format)
		if err != nil && !errors.Is(err, errUse) {
			return fmt.Errorf("scale frame %d: %w", f.Seq, err)
		}
		s.width, s.height, s.format, s.frame = f.Width, f.Height, format, frame
	}
	if s.frame == nil {
		return e.input.Fill(f)
	}
	if format == formatBGR {
		var err error
		if raw, err = f.BGR(); err != nil {
			return err
		}
	}
	if len(raw) != len(s.frame) {
		return fmt.Errorf("scale frame %d: it has %d bytes, want %d", f.Seq, len(raw), len(s.frame))
	}
	copy(s.frame, raw)
	return nil
}

// rawOf returns a frame as the camera sent it, if that is a format that the GPU reads: where nobody
// else looks at it, it need not be converted.
func rawOf(f *camera.Frame) (raw []byte, format int) {
	switch raw, format := f.Raw(); format {
	case camera.YUYV:
		return raw, formatYUYV
	case camera.NV12:
		return raw, formatNV12
	}
	return nil, formatBGR
}

// ScalesOnGPU tells whether the GPU scales frames of the size of the last one.
func (e *Engine) ScalesOnGPU() bool { return e.scaling.frame != nil }
