package v4l2

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/camera/internal/mjpeg"
)

// format is a pixel format that can be read.
type format struct {
	code fourCC
	name string // as options and logs have it
	// planes are how a raw format lies in memory, and colour is how it becomes BGR, except for
	// BGR itself.
	planes []plane
	colour gocv.ColorConversionCode
	kind   gocv.MatType
	// halved sides must be even.
	halvedWidth, halvedHeight bool
}

// plane is one of a picture: its rows have numerator/denominator bytes to a pixel, and it has
// that part of the picture's rows. Rows of chroma planes of their own are half as far apart.
type plane struct {
	numerator, denominator int
	rowsOf                 int // 1 for all rows, 2 for half of them
	strideOf               int // 1 for the driver's distance of rows, 2 for half of it
}

// rowBytes are those of a row without padding.
func (p plane) rowBytes(width int) int { return width * p.numerator / p.denominator }

func packed(bytesPerPixel int) []plane { return []plane{{bytesPerPixel, 1, 1, 1}} }

var (
	halfPairs  = []plane{{1, 1, 1, 1}, {1, 1, 2, 1}}
	halfPlanes = []plane{{1, 1, 1, 1}, {1, 2, 2, 2}, {1, 2, 2, 2}}
)

// formats are those that can be read, in the order of what a picture costs the CPU as
// BenchmarkFormats measures it: copied out of the driver's buffer and converted or decoded. A
// format without colours comes last: networks want them.
var formats = []format{
	{code: newFourCC("BGR3"), name: "BGR3", planes: packed(3), kind: gocv.MatTypeCV8UC3},
	{code: newFourCC("RGB3"), name: "RGB3", planes: packed(3), kind: gocv.MatTypeCV8UC3, colour: gocv.ColorBGRToRGB},
	{code: newFourCC("NV12"), name: "NV12", planes: halfPairs, kind: gocv.MatTypeCV8UC1, colour: gocv.ColorYUVToBGRNV12, halvedWidth: true, halvedHeight: true},
	{code: newFourCC("NV21"), name: "NV21", planes: halfPairs, kind: gocv.MatTypeCV8UC1, colour: gocv.ColorYUVToBGRNV21, halvedWidth: true, halvedHeight: true},
	{code: newFourCC("YU12"), name: "I420", planes: halfPlanes, kind: gocv.MatTypeCV8UC1, colour: gocv.ColorYUVToBGRIYUV, halvedWidth: true, halvedHeight: true},
	{code: newFourCC("YUYV"), name: "YUYV", planes: packed(2), kind: gocv.MatTypeCV8UC2, colour: gocv.ColorYUVToBGRYUY2, halvedWidth: true},
	{code: newFourCC("UYVY"), name: "UYVY", planes: packed(2), kind: gocv.MatTypeCV8UC2, colour: gocv.ColorYUVToBGRUYVY, halvedWidth: true},
	{code: newFourCC("MJPG"), name: "MJPEG"},
	{code: newFourCC("JPEG"), name: "JPEG"},
	{code: newFourCC("GREY"), name: "GREY", planes: packed(1), kind: gocv.MatTypeCV8UC1, colour: gocv.ColorGrayToBGR},
}

// aliases are other usual names of formats.
var aliases = map[string]string{"YUY2": "YUYV", "MJPG": "MJPEG", "YU12": "I420", "BGR": "BGR3", "RGB": "RGB3", "GRAY": "GREY", "Y8": "GREY"}

// formatNamed returns the readable format that a user means.
func formatNamed(name string) (format, bool) {
	name = strings.ToUpper(name)
	if a, ok := aliases[name]; ok {
		name = a
	}
	return find(func(f format) bool { return f.name == name })
}

func formatOf(code fourCC) (format, bool) {
	return find(func(f format) bool { return f.code == code })
}

func find(is func(format) bool) (format, bool) {
	if i := slices.IndexFunc(formats, is); i >= 0 {
		return formats[i], true
	}
	return format{}, false
}

// takes tells whether pictures of this size can be read.
func (f format) takes(width, height int) bool {
	return width > 0 && height > 0 && width <= camera.MaxSide && height <= camera.MaxSide &&
		!(f.halvedWidth && width%2 != 0) && !(f.halvedHeight && height%2 != 0)
}

func (f format) compressed() bool { return f.planes == nil }

// rawBytes are those of a picture without padding.
func (f format) rawBytes(width, height int) int {
	n := 0
	for _, p := range f.planes {
		n += p.rowBytes(width) * (height / p.rowsOf)
	}
	return n
}

// errDamaged is of pictures that were hurt on their way; others may follow.
var errDamaged = errors.New("damaged picture")

// pictures makes frames of what the driver fills. One goroutine may use it at a time.
type pictures struct {
	format format
	layout layout
	pool   *camera.Pool
	jpeg   *mjpeg.Decoder // of compressed formats
}

// newPictures refuses a layout that cannot be read.
func newPictures(l layout) (*pictures, error) {
	f, known := formatOf(l.format)
	if !known || !f.takes(l.width, l.height) {
		return nil, fmt.Errorf("driver set %s %dx%d, which cannot be read", l.format, l.width, l.height)
	}
	p := &pictures{format: f, layout: l}
	if f.compressed() {
		p.pool = camera.NewPool(l.width, l.height)
		var err error
		p.jpeg, err = mjpeg.NewDecoder()
		return p, err
	}
	if row := f.planes[0].rowBytes(l.width); l.stride == 0 {
		p.layout.stride = row // as some drivers leave it
	} else if l.stride < row {
		return nil, fmt.Errorf("driver set rows of %d bytes for %s %dx%d, which need %d", l.stride, f.name, l.width, l.height, row)
	}
	colour := cvmat.Colour{Width: l.width, Height: l.height, Rows: l.height, Type: f.kind, Code: f.colour}
	if f.halvedHeight {
		colour.Rows = l.height * 3 / 2
	}
	if f.name == "BGR3" {
		p.pool = camera.NewPool(l.width, l.height)
	} else {
		p.pool = camera.NewRawPool(l.width, l.height, camera.PixelFormat(f.name), colour.Bytes(), colour.Convert)
	}
	return p, nil
}

// leastBytes is what a buffer of the driver must hold.
func (p *pictures) leastBytes() int {
	if p.format.compressed() {
		return 1
	}
	n := 0
	for i, of := range p.format.planes {
		rows, stride := p.layout.height/of.rowsOf, p.layout.stride/of.strideOf
		n += rows * stride
		if i == len(p.format.planes)-1 {
			n -= stride - of.rowBytes(p.layout.width) // the last row needs no padding
		}
	}
	return n
}

// frame returns a frame of its own memory with the picture in it. Raw pictures lose their padding
// and stay raw. A picture that is damaged is an error that wraps errDamaged.
func (p *pictures) frame(from []byte) (*camera.Frame, error) {
	f := p.pool.Get()
	if err := p.fill(f, from); err != nil {
		f.Release()
		return nil, err
	}
	return f, nil
}

func (p *pictures) fill(f *camera.Frame, from []byte) error {
	if p.format.compressed() {
		if err := p.jpeg.Decode(f.Pix, f.Width, f.Height, from); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		return nil
	}
	if need := p.leastBytes(); len(from) < need {
		return fmt.Errorf("%w: it has %d bytes of %d", errDamaged, len(from), need)
	}
	to, _ := f.Raw()
	if to == nil {
		to = f.Pix
	}
	for _, of := range p.format.planes {
		row, rows, stride := of.rowBytes(f.Width), f.Height/of.rowsOf, p.layout.stride/of.strideOf
		if row == stride {
			n := copy(to[:row*rows], from)
			to, from = to[n:], from[n:]
			continue
		}
		for range rows {
			copy(to[:row], from)
			to, from = to[row:], from[min(stride, len(from)):]
		}
	}
	return nil
}

func (p *pictures) close() {
	if p.jpeg != nil {
		p.jpeg.Close()
	}
}
