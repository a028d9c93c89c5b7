// Package overlay draws what the network saw: classes in colour over the frame, a legend,
// running figures, and a time stamp that programs can read.
package overlay

import (
	"errors"
	"fmt"
	"image"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/edge/view"
	"github.com/robustnet-edge/robustnet/trt"
)

// Options say how pictures are drawn.
type Options struct {
	// Width and Height are the size of one pane in pixels, even numbers. Frames of another
	// size are scaled to it. A side-by-side picture is two panes wide.
	Width, Height int
	// MaskWidth and MaskHeight are the size of the masks.
	MaskWidth, MaskHeight int
	// Classes give the colours and names, by class id.
	Classes []trt.Class
	// Alpha is the opacity of the colours, 0..1.
	Alpha float64
	// Legend, Stats and Stamp choose what is drawn on top.
	Legend, Stats, Stamp bool
}

// Renderer draws frames. It belongs to one goroutine, and allocates nothing per frame.
type Renderer struct {
	o      Options
	pane   image.Point
	frames cvmat.Frames

	palette [256][3]byte  // blue, green, red
	colors  []byte        // the mask in colour, at mask size
	small   *cvmat.Pinned // over colors
	scaled  gocv.Mat      // the frame at pane size, when its own size differs
	full    gocv.Mat      // colors at pane size

	single, double *Picture
	font           *font
	legend         *legend
	line           []byte
}

// NewRenderer prepares for pictures of one size.
func NewRenderer(o Options) (*Renderer, error) {
	if o.Width < 2 || o.Height < 2 || o.Width%2 != 0 || o.Height%2 != 0 {
		return nil, fmt.Errorf("draw at %d×%d: width and height must be even, so that video codecs take them", o.Width, o.Height)
	}
	r := &Renderer{
		o:      o,
		pane:   image.Pt(o.Width, o.Height),
		colors: make([]byte, o.MaskWidth*o.MaskHeight*3),
		scaled: gocv.NewMatWithSize(o.Height, o.Width, gocv.MatTypeCV8UC3),
		full:   gocv.NewMatWithSize(o.Height, o.Width, gocv.MatTypeCV8UC3),
		line:   make([]byte, 0, 128),
	}
	for id, c := range o.Classes {
		r.palette[id] = [3]byte{c.Color[2], c.Color[1], c.Color[0]}
	}
	var err error
	if r.small, err = cvmat.Over(r.colors, o.MaskHeight, o.MaskWidth, gocv.MatTypeCV8UC3); err != nil {
		r.Close()
		return nil, fmt.Errorf("draw masks: %w", err)
	}
	if o.Legend || o.Stats {
		r.font = newFont(o.Height)
	}
	if o.Legend {
		r.legend = newLegend(r.font, o.Classes)
	}
	return r, nil
}

// Close frees the renderer and its pictures. It is idempotent.
func (r *Renderer) Close() error {
	r.frames.Close()
	var errs []error
	for _, m := range []*gocv.Mat{&r.scaled, &r.full} {
		if m.Ptr() != nil {
			errs = append(errs, m.Close())
		}
	}
	if r.small != nil {
		errs = append(errs, r.small.Close())
	}
	for _, p := range []*Picture{r.single, r.double} {
		if p != nil {
			errs = append(errs, p.close())
		}
	}
	r.single, r.double = nil, nil
	return errors.Join(errs...)
}

// Draw renders a frame and its mask (class ids, at the mask size of the options) in the
// given view. The frame stays the caller's. The picture is the renderer's and holds until
// the next Draw.
func (r *Renderer) Draw(f *camera.Frame, mask []uint8, v view.View, figures Figures) (*Picture, error) {
	if len(mask)*3 != len(r.colors) {
		return nil, fmt.Errorf("draw frame %d: the mask has %d pixels, not %d×%d", f.Seq, len(mask), r.o.MaskWidth, r.o.MaskHeight)
	}
	src, err := r.frames.Mat(f)
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	if f.Width != r.pane.X || f.Height != r.pane.Y {
		gocv.Resize(src, &r.scaled, r.pane, 0, 0, gocv.InterpolationLinear)
		src = r.scaled
	}
	p, err := r.picture(v)
	if err != nil {
		return nil, err
	}
	switch v {
	case view.Raw:
		src.CopyTo(&p.left)
	case view.Mask:
		r.colorize(mask)
		gocv.Resize(r.small.Mat, &p.left, r.pane, 0, 0, gocv.InterpolationNearestNeighbor)
	case view.Overlay:
		r.blend(src, mask, &p.left)
	case view.SideBySide:
		src.CopyTo(&p.left)
		r.blend(src, mask, &p.right)
	default:
		return nil, fmt.Errorf("draw: no view named %q", v)
	}
	r.annotate(p, f, v, figures)
	return p, nil
}

// annotate draws legend, figures and stamp. A raw picture carries the stamp alone.
func (r *Renderer) annotate(p *Picture, f *camera.Frame, v view.View, figures Figures) {
	if v != view.Raw {
		if r.o.Legend {
			r.legend.draw(p)
		}
		if r.o.Stats {
			r.line = figures.append(r.line[:0])
			r.font.drawLine(p, r.line)
		}
	}
	if r.o.Stamp {
		drawStamp(p, f.Captured)
	}
}

// blend puts the mask's colours over src. Coloured at mask size and scaled afterwards, the
// lookup touches a sixteenth of the pixels.
func (r *Renderer) blend(src gocv.Mat, mask []uint8, dst *gocv.Mat) {
	r.colorize(mask)
	gocv.Resize(r.small.Mat, &r.full, r.pane, 0, 0, gocv.InterpolationNearestNeighbor)
	gocv.AddWeighted(src, 1-r.o.Alpha, r.full, r.o.Alpha, 0, dst)
}

func (r *Renderer) colorize(mask []uint8) {
	dst := r.colors
	for _, id := range mask {
		c := &r.palette[id]
		dst[0], dst[1], dst[2] = c[0], c[1], c[2]
		dst = dst[3:]
	}
}

func (r *Renderer) picture(v view.View) (*Picture, error) {
	p, panes := &r.single, 1
	if v == view.SideBySide {
		p, panes = &r.double, 2
	}
	if *p == nil {
		made, err := newPicture(r.pane, panes)
		if err != nil {
			return nil, err
		}
		*p = made
	}
	return *p, nil
}
