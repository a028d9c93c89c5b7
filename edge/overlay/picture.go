package overlay

import (
	"errors"
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera/cvmat"
)

// Picture is a drawn frame: BGR, 8 bit, rows without padding.
type Picture struct {
	Pix           []byte
	Width, Height int

	mat         *cvmat.Pinned // over Pix
	left, right gocv.Mat      // panes of mat; right only in a double picture

	planes []byte // I420: luma, then the two chroma planes
	yuv    *cvmat.Pinned
	ycbcr  image.YCbCr
}

func newPicture(pane image.Point, panes int) (*Picture, error) {
	w, h := pane.X*panes, pane.Y
	p := &Picture{Pix: make([]byte, w*h*3), Width: w, Height: h, planes: make([]byte, w*h*3/2)}
	var err error
	if p.mat, err = cvmat.Over(p.Pix, h, w, gocv.MatTypeCV8UC3); err != nil {
		return nil, fmt.Errorf("make a picture: %w", err)
	}
	if p.yuv, err = cvmat.Over(p.planes, h*3/2, w, gocv.MatTypeCV8UC1); err != nil {
		p.mat.Close()
		return nil, fmt.Errorf("make a picture: %w", err)
	}
	p.left = p.mat.Region(image.Rect(0, 0, pane.X, h))
	if panes == 2 {
		p.right = p.mat.Region(image.Rect(pane.X, 0, w, h))
	}
	luma, chroma := w*h, w*h/4
	p.ycbcr = image.YCbCr{
		Y:              p.planes[:luma:luma],
		Cb:             p.planes[luma : luma+chroma : luma+chroma],
		Cr:             p.planes[luma+chroma:],
		YStride:        w,
		CStride:        w / 2,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, w, h),
	}
	return p, nil
}

func (p *Picture) close() error {
	var errs []error
	for _, pane := range []*gocv.Mat{&p.left, &p.right} {
		if pane.Ptr() != nil {
			errs = append(errs, pane.Close())
		}
	}
	return errors.Join(append(errs, p.mat.Close(), p.yuv.Close())...)
}

// I420 converts the picture for a video encoder: 4:2:0, BT.601, limited range. The image
// holds until the renderer's next Draw.
func (p *Picture) I420() *image.YCbCr {
	gocv.CvtColor(p.mat.Mat, &p.yuv.Mat, gocv.ColorBGRToYUVI420)
	return &p.ycbcr
}

// jpegQuality keeps class borders crisp at about a tenth of the raw size.
const jpegQuality = 85

// JPEG encodes the picture. The bytes are the caller's.
func (p *Picture) JPEG() ([]byte, error) {
	buf, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, p.mat.Mat, []int{gocv.IMWriteJpegQuality, jpegQuality})
	if err != nil {
		return nil, fmt.Errorf("encode a %d×%d picture as JPEG: %w", p.Width, p.Height, err)
	}
	defer buf.Close()
	if buf.Len() == 0 {
		return nil, fmt.Errorf("encode a %d×%d picture as JPEG: OpenCV returned nothing", p.Width, p.Height)
	}
	return append([]byte(nil), buf.GetBytes()...), nil
}
