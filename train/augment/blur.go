package augment

import (
	"errors"
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

func (b Blur) validate(where string) error {
	const maxSigma = 64
	var errs []error
	check := checker(where+"blur.", &errs)
	check(probability(b.Probability), "probability is %v; take 0 to 1", b.Probability)
	check(b.SigmaMin >= 0 && b.SigmaMin <= b.SigmaMax && b.SigmaMax <= maxSigma,
		"sigma_min is %v and sigma_max %v; take two in order, 0 to %d pixels", b.SigmaMin, b.SigmaMax, maxSigma)
	return errors.Join(errs...)
}

// apply blurs a picture of three bytes a pixel.
func (b Blur) apply(rng *rand.Rand, rgb []uint8, width, height int) {
	if rng.Float64() < b.Probability {
		gaussian(rgb, width, height, uniform(rng, b.SigmaMin, b.SigmaMax))
	}
}

// A pixel on its way is a word with three lanes of laneBits. The pass across has weights of
// acrossBits and leaves fractionBits for fractions, the pass down has weights of downBits: all
// sums fit their lanes.
const (
	laneBits     = 21
	acrossBits   = 13
	fractionBits = 2
	downBits     = laneBits - 8 - fractionBits

	ones  = 1 | 1<<laneBits | 1<<(2*laneBits)
	lanes = (1<<(8+fractionBits) - 1) * ones
)

// gaussianKernel returns the kernel from its middle to its end, whose whole sums to 2^bits
// exactly: even surfaces keep their colour.
func gaussianKernel(sigma float64, bits int) []uint64 {
	radius := int(4*sigma + 0.5)
	exact := make([]float64, radius+1)
	sum := -1.0 // the middle is counted twice below
	for i := range exact {
		exact[i] = math.Exp(-0.5 * float64(i*i) / (sigma * sigma))
		sum += 2 * exact[i]
	}
	kernel := make([]uint64, radius+1)
	kernel[0] = 1 << bits
	for i := radius; i > 0; i-- {
		kernel[i] = uint64(math.Round(exact[i] / sum * float64(int(1)<<bits)))
		kernel[0] -= 2 * kernel[i]
	}
	return kernel
}

// gaussian blurs a picture of three bytes a pixel in place. Results are within one level of
// those in double precision.
func gaussian(rgb []uint8, width, height int, sigma float64) {
	across, down := gaussianKernel(sigma, acrossBits), gaussianKernel(sigma, downBits)
	radius := len(across) - 1
	if radius == 0 || width == 0 || height == 0 {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	// The rows around the current one that are blurred across, in a ring.
	ring := 2*radius + 1
	s.words = grown(s.words, width+2*radius+width+ring*width)
	line, sums, blurred := s.words[:width+2*radius], s.words[width+2*radius:][:width], s.words[2*(width+radius):]
	row := func(y int) []uint64 { return blurred[min(max(y, 0), height-1)%ring*width:][:width] }
	for next, y := 0, 0; y < height; y++ {
		for ; next <= min(y+radius, height-1); next++ {
			pack(line, rgb[3*next*width:][:3*width], radius)
			weighPairs(sums, across, func(k int) []uint64 { return line[radius+k:] })
			to := row(next)
			for i, sum := range sums {
				const shift = acrossBits - fractionBits
				to[i] = (sum + ones<<(shift-1)) >> shift & lanes
			}
		}
		weighPairs(sums, down, func(k int) []uint64 { return row(y + k) })
		out := rgb[3*y*width:][:3*width]
		for _, sum := range sums {
			const shift = downBits + fractionBits
			p := out[:3]
			p[0], p[1], p[2] = uint8(sum>>shift), uint8(sum>>(laneBits+shift)), uint8(sum>>(2*laneBits+shift))
			out = out[3:]
		}
	}
}

// weighPairs sets the sums to those of a symmetric kernel over the words that are k places
// away.
func weighPairs(sums, kernel []uint64, away func(k int) []uint64) {
	middle := away(0)[:len(sums)]
	for i, v := range middle {
		sums[i] = kernel[0] * v
	}
	k := 1
	for ; k+1 < len(kernel); k += 2 {
		a, b, c, d := away(-k)[:len(sums)], away(k)[:len(sums)], away(-k - 1)[:len(sums)], away(k + 1)[:len(sums)]
		near, far := kernel[k], kernel[k+1]
		for i := range sums {
			sums[i] += near*(a[i]+b[i]) + far*(c[i]+d[i])
		}
	}
	if k < len(kernel) {
		a, b, w := away(-k)[:len(sums)], away(k)[:len(sums)], kernel[k]
		for i := range sums {
			sums[i] += w * (a[i] + b[i])
		}
	}
}

// pack makes words of a row's pixels and repeats those at its ends, radius times.
func pack(line []uint64, row []uint8, radius int) {
	for i := range line[radius : len(line)-radius] {
		p := row[3*i:][:3]
		line[radius+i] = uint64(p[0]) | uint64(p[1])<<laneBits | uint64(p[2])<<(2*laneBits)
	}
	for i := range radius {
		line[i] = line[radius]
		line[len(line)-1-i] = line[len(line)-1-radius]
	}
}
