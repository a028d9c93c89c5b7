package augment

import (
	"math/cmplx"
	"sync"

	"gonum.org/v1/gonum/dsp/fourier"
)

// spectrum transforms the channels of pictures of one size, one after the other.
type spectrum struct {
	width, height int
	across        *fourier.FFT
	down          *fourier.CmplxFFT
	line          []float64
	row           []complex128
	// columns holds the coefficients of frequencies 0 to width/2 across; the others are their
	// mirror images. Each column has the frequencies down, the negative ones last, or else the
	// rows where it is not transformed.
	columns [][]complex128

	// sigmas are those of the last PASTA, laid out like columns.
	sigmas  []float64
	sigmaOf PASTA
}

var spectra = sync.Pool{New: func() any { return new(spectrum) }}

// takeSpectrum returns a spectrum of a size, to be put back into spectra.
func takeSpectrum(width, height int) *spectrum {
	s := spectra.Get().(*spectrum)
	if s.width == width && s.height == height {
		return s
	}
	s = &spectrum{width: width, height: height, across: fourier.NewFFT(width), down: fourier.NewCmplxFFT(height)}
	s.line = make([]float64, width)
	s.row = make([]complex128, width/2+1)
	s.columns = make([][]complex128, width/2+1)
	// Columns that lie a power of two apart would compete for the same lines of the cache.
	stride := height + 4
	all := make([]complex128, len(s.columns)*stride)
	for m := range s.columns {
		s.columns[m] = all[m*stride:][:height]
	}
	return s
}

// analyse transforms a channel of a picture of three bytes a pixel, downwards only so many
// columns.
func (s *spectrum) analyse(rgb []uint8, channel, columns int) {
	for y := range s.height {
		pixels := rgb[3*y*s.width+channel:]
		for x := range s.line {
			s.line[x] = float64(pixels[3*x])
		}
		s.across.Coefficients(s.row, s.line)
		for m, c := range s.row {
			s.columns[m][y] = c
		}
	}
	for _, column := range s.columns[:columns] {
		s.down.Coefficients(column, column)
	}
}

// synthesise transforms back to the picture's channel, rounded and clipped.
func (s *spectrum) synthesise(rgb []uint8, channel, columns int) {
	share := complex(1/float64(s.height), 0)
	for _, column := range s.columns[:columns] {
		s.down.Sequence(column, column)
		for y := range column {
			column[y] *= share
		}
	}
	norm := 1 / float64(s.width)
	for y := range s.height {
		for m := range s.row {
			s.row[m] = s.columns[m][y]
		}
		s.across.Sequence(s.line, s.row)
		pixels := rgb[3*y*s.width+channel:]
		for x, v := range s.line {
			pixels[3*x] = uint8(min(max(v*norm+0.5, 0), 255))
		}
	}
}

// signed returns the frequency of the i-th of n coefficients.
func signed(i, n int) int {
	if 2*i > n {
		return i - n
	}
	return i
}

// withAmplitude keeps the phase of c. A coefficient without amplitude has phase 0.
func withAmplitude(c complex128, amplitude float64) complex128 {
	old := cmplx.Abs(c)
	if old == 0 {
		return complex(amplitude, 0)
	}
	return c * complex(amplitude/old, 0)
}
