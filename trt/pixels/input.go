// Package pixels brings frames into the form in which networks read them: rows of red, green,
// blue at the network's size.
package pixels

import (
	"errors"
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/trt"
)

// Input is the picture that a network reads. One goroutine may use it at a time. It must be
// closed: it pins memory.
type Input struct {
	pixels []byte
	frames cvmat.Frames
	scaler scaler
	mat    *cvmat.Pinned // over pixels
}

// NewInput returns an input of that size in memory of height × width × 3 bytes, which it uses
// until it is closed.
func NewInput(size trt.CardSize, memory []byte) (*Input, error) {
	mat, err := cvmat.Over(memory, size.Height, size.Width, gocv.MatTypeCV8UC3)
	if err != nil {
		return nil, err
	}
	return &Input{pixels: memory, scaler: scaler{to: image.Pt(size.Width, size.Height)}, mat: mat}, nil
}

// Pixels are those that the network reads.
func (in *Input) Pixels() []byte { return in.pixels }

// Fill stretches the frame, which is only read, to the network's size.
func (in *Input) Fill(f *camera.Frame) error {
	src, err := in.frames.Mat(f)
	if err != nil {
		return fmt.Errorf("scale %w", err)
	}
	gocv.CvtColor(in.scaler.scale(src), &in.mat.Mat, gocv.ColorBGRToRGB)
	return nil
}

// Close frees what the input holds but the memory that it was given. It is idempotent.
func (in *Input) Close() error {
	in.frames.Close()
	return errors.Join(in.scaler.close(), in.mat.Close())
}
