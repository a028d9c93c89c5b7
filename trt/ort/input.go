package ort

import (
	"errors"
	"image"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/trt"
)

// input holds the pixels that a network reads: rows of red, green, blue at its size.
type input struct {
	pixels []byte
	frames cvmat.Frames
	scaler scaler
	mat    *cvmat.Pinned // over pixels
}

func (in *input) open(size trt.CardSize) (err error) {
	in.pixels = make([]byte, size.Height*size.Width*3)
	in.scaler.to = image.Pt(size.Width, size.Height)
	in.mat, err = cvmat.Over(in.pixels, size.Height, size.Width, gocv.MatTypeCV8UC3)
	return err
}

// fill scales the frame into the pixels as RGB.
func (in *input) fill(f *camera.Frame) error {
	src, err := in.frames.Mat(f)
	if err != nil {
		return err
	}
	gocv.CvtColor(in.scaler.scale(src), &in.mat.Mat, gocv.ColorBGRToRGB)
	return nil
}

func (in *input) close() error {
	in.frames.Close()
	err := in.scaler.close()
	if in.mat != nil {
		err = errors.Join(err, in.mat.Close())
	}
	return err
}
