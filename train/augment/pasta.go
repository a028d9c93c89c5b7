package augment

import (
	"math"
	"math/rand/v2"
)

// PASTA changes the amplitudes of each channel's spectrum at random and keeps the phases, high
// frequencies more than low ones: the amplitude of a picture of W×H pixels at frequency (m, n)
// is multiplied by a number from N(1, σ²), σ = (2α·√((m² + n²)/(W² + H²)))^k + β
// (Chattopadhyay et al., "PASTA: Proportional Amplitude Spectrum Training Augmentation for
// Syn-to-Real Domain Generalization", ICCV 2023). It is off where Alpha and Beta are 0.
//
// The formula is the paper's. The authors' class differs from it: at even sizes, frequency −n
// has the σ of 1−n.
type PASTA struct {
	Alpha float64 `yaml:"alpha"`
	Beta  float64 `yaml:"beta"`
	K     float64 `yaml:"k"`
}

// PublishedPASTA returns the authors' setting for networks of RobustNet that are trained on
// GTAV.
func PublishedPASTA() PASTA { return PASTA{Alpha: 3, Beta: 0.25, K: 2} }

func (p PASTA) off() bool { return p.Alpha == 0 && p.Beta == 0 }

// apply changes a picture of three bytes a pixel in place.
func (p PASTA) apply(rng *rand.Rand, rgb []uint8, width, height int) {
	if !p.off() {
		p.scale(rgb, width, height, rng.NormFloat64)
	}
}

// scale takes numbers from N(0, 1): per channel, for each frequency across from 0 to width/2,
// those of all frequencies down. The authors draw for every frequency and drop the imaginary
// part of the resulting picture, so that what counts for a frequency and its mirror image is
// the mean of both draws. Here that mean is drawn, but for the frequencies across whose mirror
// images are among them.
func (p PASTA) scale(rgb []uint8, width, height int, normal func() float64) {
	s := takeSpectrum(width, height)
	defer spectra.Put(s)
	if s.sigmas == nil || s.sigmaOf != p {
		s.sigmas, s.sigmaOf = p.deviations(width, height), p
	}
	for channel := range 3 {
		s.analyse(rgb, channel, len(s.columns))
		for m, column := range s.columns {
			sigmas := s.sigmas[m*height:][:height]
			for n, sigma := range sigmas {
				column[n] *= complex(1+sigma*normal(), 0)
			}
		}
		s.synthesise(rgb, channel, len(s.columns))
	}
}

// deviations returns the deviations of what is drawn.
func (p PASTA) deviations(width, height int) []float64 {
	sigmas := make([]float64, 0, (width/2+1)*height)
	for m := range width/2 + 1 {
		for i := range height {
			n := signed(i, height)
			share := float64(m*m+n*n) / float64(width*width+height*height)
			sigma := math.Pow(2*p.Alpha*math.Sqrt(share), p.K) + p.Beta
			if m > 0 && 2*m < width {
				sigma /= math.Sqrt2
			}
			sigmas = append(sigmas, sigma)
		}
	}
	return sigmas
}
