package v4l2

import (
	"errors"
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
)

// converter turns the driver's pictures into frames of one size, with OpenCV: a loop in Go
// takes several times as long. One goroutine may use it.
type converter struct {
	width, height int
	// fullRange says that luma is 0..255, as in JPEG (JFIF), and not 16..235, as raw formats
	// have it (ITU-R BT.601).
	fullRange bool

	frames  cvmat.Frames
	headers []*cvmat.Pinned
	ratio   image.YCbCrSubsampleRatio // which the planes below are for
	ready   bool

	luma, cb, cr    plane
	packed          plane // all planes in a row, for 4:2:0
	chroma, chroma1 *cvmat.Pinned
	wideCb, wideCr  gocv.Mat // chroma at the size of luma
	merged          gocv.Mat
}

// plane is a buffer that both Go and OpenCV can reach.
type plane struct {
	pix    []byte
	width  int
	height int
	mat    *cvmat.Pinned
}

func newConverter(width, height int, fullRange bool) *converter {
	return &converter{
		width: width, height: height, fullRange: fullRange,
		wideCb: gocv.NewMat(), wideCr: gocv.NewMat(), merged: gocv.NewMat(),
	}
}

// convert fills f from a decoded picture.
func (c *converter) convert(f *camera.Frame, img image.Image) error {
	if b := img.Bounds(); b.Dx() != c.width || b.Dy() != c.height {
		return fmt.Errorf("camera sent %d×%d pixels instead of %d×%d", b.Dx(), b.Dy(), c.width, c.height)
	}
	switch p := img.(type) {
	case *image.YCbCr:
		return c.colour(f, p)
	case *image.Gray: // monochrome cameras send such JPEGs
		gray(f.Pix, p, c.width, c.height)
		return nil
	}
	return fmt.Errorf("camera sent a picture of type %T, which cannot be converted", img)
}

func gray(dst []byte, p *image.Gray, width, height int) {
	for y := range height {
		row := p.Pix[y*p.Stride:][:width]
		out := dst[y*width*3:][:width*3]
		for x, v := range row {
			out[3*x], out[3*x+1], out[3*x+2] = v, v, v
		}
	}
}

func (c *converter) colour(f *camera.Frame, p *image.YCbCr) error {
	if err := c.prepare(p.SubsampleRatio); err != nil {
		return err
	}
	if !c.luma.load(p.Y, p.YStride) || !c.cb.load(p.Cb, p.CStride) || !c.cr.load(p.Cr, p.CStride) {
		return errors.New("camera sent an incomplete picture")
	}
	dst, err := c.frames.Mat(f)
	if err != nil {
		return err
	}
	switch {
	case c.fullRange:
		size := image.Pt(c.width, c.height)
		gocv.Resize(c.cb.mat.Mat, &c.wideCb, size, 0, 0, gocv.InterpolationNearestNeighbor)
		gocv.Resize(c.cr.mat.Mat, &c.wideCr, size, 0, 0, gocv.InterpolationNearestNeighbor)
		gocv.Merge([]gocv.Mat{c.luma.mat.Mat, c.wideCr, c.wideCb}, &c.merged)
		gocv.CvtColor(c.merged, &dst, gocv.ColorYCrCbToBGR)
	case p.SubsampleRatio == image.YCbCrSubsampleRatio420:
		gocv.CvtColor(c.packed.mat.Mat, &dst, gocv.ColorYUVToBGRIYUV)
	default: // 4:2:2, made into YUYV
		gocv.Merge([]gocv.Mat{c.cb.mat.Mat, c.cr.mat.Mat}, &c.chroma.Mat)
		gocv.Merge([]gocv.Mat{c.luma.mat.Mat, c.chroma1.Mat}, &c.merged)
		gocv.CvtColor(c.merged, &dst, gocv.ColorYUVToBGRYUY2)
	}
	return nil
}

// chromaShift is how often chroma is halved against luma.
func chromaShift(r image.YCbCrSubsampleRatio) (horizontal, vertical int, ok bool) {
	switch r {
	case image.YCbCrSubsampleRatio444:
		return 0, 0, true
	case image.YCbCrSubsampleRatio422:
		return 1, 0, true
	case image.YCbCrSubsampleRatio420:
		return 1, 1, true
	case image.YCbCrSubsampleRatio440:
		return 0, 1, true
	case image.YCbCrSubsampleRatio411:
		return 2, 0, true
	case image.YCbCrSubsampleRatio410:
		return 2, 1, true
	}
	return 0, 0, false
}

// prepare makes the buffers for a kind of subsampling; a camera keeps to one.
func (c *converter) prepare(r image.YCbCrSubsampleRatio) error {
	if c.ready && c.ratio == r {
		return nil
	}
	hs, vs, ok := chromaShift(r)
	raw := r == image.YCbCrSubsampleRatio420 || r == image.YCbCrSubsampleRatio422
	if !ok || !c.fullRange && (!raw || c.width%2 != 0 || c.height%2 != 0) {
		return fmt.Errorf("camera sent a %d×%d picture with chroma %v, which cannot be converted", c.width, c.height, r)
	}
	if err := c.freeHeaders(); err != nil {
		return err
	}
	cw, ch := (c.width+1<<hs-1)>>hs, (c.height+1<<vs-1)>>vs
	luma, chroma := c.width*c.height, cw*ch
	all := make([]byte, luma+2*chroma)
	interleaved := make([]byte, 2*chroma)
	var errs [6]error
	c.luma, errs[0] = c.plane(all[:luma], c.width, c.height)
	c.cb, errs[1] = c.plane(all[luma:luma+chroma], cw, ch)
	c.cr, errs[2] = c.plane(all[luma+chroma:], cw, ch)
	if !c.fullRange && vs == 1 {
		c.packed, errs[3] = c.plane(all, c.width, c.height*3/2)
	}
	if !c.fullRange && vs == 0 {
		// One buffer seen both as pairs and as single values.
		c.chroma, errs[4] = c.header(interleaved, cw, ch, gocv.MatTypeCV8UC2)
		c.chroma1, errs[5] = c.header(interleaved, 2*cw, ch, gocv.MatTypeCV8UC1)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	c.ratio, c.ready = r, true
	return nil
}

func (c *converter) plane(pix []byte, width, height int) (plane, error) {
	m, err := c.header(pix, width, height, gocv.MatTypeCV8UC1)
	return plane{pix: pix, width: width, height: height, mat: m}, err
}

func (c *converter) header(pix []byte, width, height int, mt gocv.MatType) (*cvmat.Pinned, error) {
	m, err := cvmat.Over(pix, height, width, mt)
	if err == nil {
		c.headers = append(c.headers, m)
	}
	return m, err
}

// load copies a picture's plane and reports false if it is too short.
func (p plane) load(src []byte, stride int) bool {
	if stride < p.width || len(src) < (p.height-1)*stride+p.width {
		return false
	}
	for y := range p.height {
		copy(p.pix[y*p.width:][:p.width], src[y*stride:])
	}
	return true
}

func (c *converter) freeHeaders() error {
	var errs []error
	for _, h := range c.headers {
		errs = append(errs, h.Close())
	}
	c.headers, c.ready = nil, false
	return errors.Join(errs...)
}

// close frees OpenCV's memory.
func (c *converter) close() error {
	c.frames.Close()
	return errors.Join(c.freeHeaders(), c.wideCb.Close(), c.wideCr.Close(), c.merged.Close())
}
