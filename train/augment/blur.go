package augment

import (
	"math"
	"math/rand/v2"
)

// Blur is a Gaussian blur of random strength, as scikit-image's: the kernel ends at four
// standard deviations, pixels beyond the edge equal those at it, and results are cut off to
// bytes, not rounded.
type Blur struct {
	Probability float64 `yaml:"probability"`
	// SigmaMin and SigmaMax bound the standard deviation, in pixels.
	SigmaMin float64 `yaml:"sigma_min"`
	SigmaMax float64 `yaml:"sigma_max"`
}

// apply blurs a picture of three bytes a pixel.
func (b Blur) apply(rng *rand.Rand, rgb []uint8, width, height int) {
	if rng.Float64() < b.Probability {
		gaussian(rgb, width, height, uniform(rng, b.SigmaMin, b.SigmaMax))
	}
}

// kernelBits is the precision of the kernel. Between the two passes pixels have 8 bits for
// fractions, so that sums are below 2^32.
const kernelBits = 16

// gaussianKernel returns the kernel from its middle to its end, whose whole sums to
// 2^kernelBits exactly: even surfaces keep their colour.
func gaussianKernel(sigma float64) []uint32 {
	radius := int(4*sigma + 0.5)
	exact := make([]float64, radius+1)
	sum := 0.0
	for i := range exact {
		exact[i] = math.Exp(-0.5 * float64(i*i) / (sigma * sigma))
		sum += exact[i]
		if i > 0 {
			sum += exact[i]
		}
	}
	kernel := make([]uint32, radius+1)
	rest := uint32(1) << kernelBits
	for i := radius; i > 0; i-- {
		kernel[i] = uint32(math.Round(exact[i] / sum * (1 << kernelBits)))
		rest -= 2 * kernel[i]
	}
	kernel[0] = rest
	return kernel
}

// gaussian blurs a picture of three bytes a pixel in place. Results are within one level of
// those in double precision.
func gaussian(rgb []uint8, width, height int, sigma float64) {
	if int(4*sigma+0.5) == 0 {
		return // the kernel is a single pixel
	}
	kernel := gaussianKernel(sigma)
	margin := 3 * (len(kernel) - 1)
	row := 3 * width
	half := make([]uint16, height*row)
	sums := make([]uint32, row)
	for y := range height {
		at := func(y int) []uint8 { return rgb[min(max(y, 0), height-1)*row:][:row] }
		for i, v := range at(y) {
			sums[i] = kernel[0] * uint32(v)
		}
		for k, w := range kernel[1:] {
			addPair(sums, w, at(y-k-1), at(y+k+1))
		}
		for i, sum := range sums {
			half[y*row+i] = uint16((sum + 1<<7) >> 8)
		}
	}
	line := make([]uint16, row+2*margin)
	for y := range height {
		extend(line, half[y*row:][:row], margin)
		for i, v := range line[margin:][:row] {
			sums[i] = kernel[0] * uint32(v)
		}
		for k, w := range kernel[1:] {
			addPair(sums, w, line[margin-3*(k+1):][:row], line[margin+3*(k+1):][:row])
		}
		out := rgb[y*row:][:row]
		for i, sum := range sums {
			out[i] = uint8(sum >> 24)
		}
	}
}

// addPair adds w·(a + b) to the sums.
func addPair[T uint8 | uint16](sums []uint32, w uint32, a, b []T) {
	a, b = a[:len(sums)], b[:len(sums)]
	for i := range sums {
		sums[i] += w * (uint32(a[i]) + uint32(b[i]))
	}
}

// extend copies a row into a longer line and repeats the pixels at its ends.
func extend(line, row []uint16, margin int) {
	copy(line[margin:], row)
	for i := range margin {
		line[i] = row[i%3]
		line[margin+len(row)+i] = row[len(row)-3+i%3]
	}
}
