package evaluate

import (
	"errors"
	"fmt"
	"image"
	"math"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Framing says of which size [Score] has pictures segmented and scored. The zero value leaves
// them as they are.
type Framing struct {
	// MaxWidth, in pixels, is the width beyond which pictures are shrunk; 0 is no limit.
	MaxWidth int
	// Square, unless 0, is the height in pixels to which pictures are scaled, and the side of
	// the square in their centre that is left, see [augment.CentreSquare]. Published figures
	// of Mapillary Vistas are of 1536.
	Square int
}

// maxSquare bounds the memory of a picture.
const maxSquare = 8192

func (f Framing) validate() error {
	var errs []error
	if f.MaxWidth != 0 && f.MaxWidth < minWindow {
		errs = append(errs, fmt.Errorf("pictures of at most %d pixels' width: %d or more are possible, 0 for no limit", f.MaxWidth, minWindow))
	}
	if f.Square != 0 && (f.Square < minWindow || f.Square > maxSquare) {
		errs = append(errs, fmt.Errorf("centre squares of %d pixels: %d to %d are possible, 0 for whole pictures", f.Square, minWindow, maxSquare))
	}
	if f.MaxWidth != 0 && f.Square != 0 {
		errs = append(errs, errors.New("pictures are either shrunk to a width or scaled for a centre square; choose one"))
	}
	return errors.Join(errs...)
}

func (f Framing) apply(p *data.Picture) (*data.Picture, error) {
	if f.Square == 0 {
		return Shrink(p, f.MaxWidth)
	}
	if err := check(p); err != nil {
		return nil, err
	}
	return augment.CentreSquare(p, f.Square), nil
}

// Shrink returns the picture no wider than maxWidth pixels: itself, or a copy whose pixels
// are means over the areas that they cover and whose labels are the nearest. The height keeps
// the proportion, rounded. A maxWidth of 0 is no limit.
func Shrink(p *data.Picture, maxWidth int) (*data.Picture, error) {
	if maxWidth == 0 || p.Width <= maxWidth {
		return p, nil
	}
	height := scaled(p.Height, float64(maxWidth)/float64(p.Width))
	rgb, err := resizeRGB(p, maxWidth, height)
	if err != nil {
		return nil, err
	}
	small := &data.Picture{Width: maxWidth, Height: height, RGB: rgb}
	if p.Labels != nil {
		if small.Labels, err = confusion.Resize(p.Labels, p.Width, p.Height, maxWidth, height); err != nil {
			return nil, err
		}
	}
	return small, nil
}

// scaled returns a number of pixels times factor, at least 1.
func scaled(pixels int, factor float64) int {
	return max(1, int(math.Round(float64(pixels)*factor)))
}

// resizeRGB scales the pixels: down by means over areas, up bilinearly.
func resizeRGB(p *data.Picture, width, height int) (rgb []uint8, err error) {
	if err := check(p); err != nil {
		return nil, err
	}
	if width == p.Width && height == p.Height {
		return p.RGB, nil
	}
	interpolation := gocv.InterpolationLinear
	if width < p.Width {
		interpolation = gocv.InterpolationArea
	}
	from, err := cvmat.Over(p.RGB, p.Height, p.Width, gocv.MatTypeCV8UC3)
	if err != nil {
		return nil, fmt.Errorf("scale a picture: %w", err)
	}
	defer from.Close()
	rgb = make([]uint8, 3*width*height)
	to, err := cvmat.Over(rgb, height, width, gocv.MatTypeCV8UC3)
	if err != nil {
		return nil, fmt.Errorf("scale a picture: %w", err)
	}
	defer to.Close()
	gocv.Resize(from.Mat, &to.Mat, image.Pt(width, height), 0, 0, interpolation)
	return rgb, nil
}
