package pixels

import (
	"errors"
	"image"

	"gocv.io/x/gocv"
)

// scaler brings pictures to the size of a network's input. It allocates nothing once it has
// seen a size.
type scaler struct {
	to     image.Point
	halves []gocv.Mat // the picture halved once, twice, …
	out    gocv.Mat
}

// scale returns src at the wanted size: src itself, or memory of the scaler that holds until
// the next call.
//
// A picture of at least twice the size is halved first, as often as that goes, by averaging
// two by two pixels, which is far quicker than averaging over fractions of pixels.
func (s *scaler) scale(src gocv.Mat) gocv.Mat {
	size := image.Pt(src.Cols(), src.Rows())
	for i := 0; size.X >= 2*s.to.X && size.Y >= 2*s.to.Y && size.X%2 == 0 && size.Y%2 == 0; i++ {
		if i == len(s.halves) {
			s.halves = append(s.halves, gocv.NewMat())
		}
		size = size.Div(2)
		gocv.Resize(src, &s.halves[i], size, 0, 0, gocv.InterpolationArea)
		src = s.halves[i]
	}
	if size == s.to {
		return src
	}
	if s.out.Ptr() == nil {
		s.out = gocv.NewMat()
	}
	gocv.Resize(src, &s.out, s.to, 0, 0, s.interpolation(size))
	return s.out
}

// interpolation averages when pixels would be skipped otherwise: a bilinear filter looks at
// two by two pixels and turns fine texture into noise below half size.
func (s *scaler) interpolation(from image.Point) gocv.InterpolationFlags {
	if from.X >= 2*s.to.X || from.Y >= 2*s.to.Y {
		return gocv.InterpolationArea
	}
	return gocv.InterpolationLinear
}

func (s *scaler) close() error {
	var errs []error
	for i := range s.halves {
		errs = append(errs, s.halves[i].Close())
	}
	s.halves = nil
	if s.out.Ptr() != nil {
		errs = append(errs, s.out.Close())
	}
	return errors.Join(errs...)
}
