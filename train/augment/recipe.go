// Package augment changes pictures at random, so that a network learns what stays: their
// scale, their place and sides, their colours, their sharpness and their spectra. All results
// depend on nothing but the arguments and the caller's random numbers. Everything may be used
// by several goroutines at once, each with random numbers of its own.
package augment

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Recipe says how pictures are changed before a network is trained on them.
type Recipe struct {
	// CropSide is the side of the square crops, in pixels.
	CropSide int `yaml:"crop"`
	// ScaleMin and ScaleMax bound the factor by which both sides of a picture are scaled.
	ScaleMin float64 `yaml:"scale_min"`
	ScaleMax float64 `yaml:"scale_max"`
	// FlipProbability is that of swapping left and right.
	FlipProbability float64 `yaml:"flip_probability"`

	Jitter Jitter `yaml:"jitter"`
	Blur   Blur   `yaml:"blur"`
	// PASTA and FDA are off where they are zero.
	PASTA PASTA `yaml:"pasta,omitempty"`
	FDA   FDA   `yaml:"fda,omitempty"`
}

// Published returns the recipe that RobustNet was published with, for crops of so many
// pixels; the published side is 768.
func Published(crop int) Recipe {
	return Recipe{
		CropSide: crop, ScaleMin: 0.5, ScaleMax: 2, FlipProbability: 0.5,
		Jitter: Jitter{Probability: 0.5, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1},
		Blur:   Blur{Probability: 1, SigmaMin: 0.15, SigmaMax: 1.30},
	}
}

// Validate reports everything that is wrong with the recipe, joined.
func (r Recipe) Validate() error {
	var errs []error
	check := checker("augmentation.", &errs)
	const maxSide, maxScale = 8192, 16
	check(r.CropSide >= 1 && r.CropSide <= maxSide, "crop is %d; take 1 to %d pixels", r.CropSide, maxSide)
	check(r.ScaleMin > 0 && r.ScaleMin <= r.ScaleMax && r.ScaleMax <= maxScale,
		"scale_min is %v and scale_max %v; take two in order, above 0 and up to %d", r.ScaleMin, r.ScaleMax, maxScale)
	check(probability(r.FlipProbability), "flip_probability is %v; take 0 to 1", r.FlipProbability)
	errs = append(errs, r.Jitter.validate("augmentation."), r.Blur.validate("augmentation."))
	p := r.PASTA
	check(p.Alpha >= 0 && p.Alpha <= 100 && p.Beta >= 0 && p.Beta <= 100, "pasta has alpha %v and beta %v; take 0 to 100", p.Alpha, p.Beta)
	check(p.K >= 0 && p.K <= 10, "pasta.k is %v; take 0 to 10", p.K)
	f := r.FDA
	check(f.Beta >= 0 && f.Beta <= 0.5, "fda.beta is %v; take 0 to 0.5", f.Beta)
	check(probability(f.Probability), "fda.probability is %v; take 0 to 1", f.Probability)
	return errors.Join(errs...)
}

// checker returns a function that adds an error where something does not hold.
func checker(prefix string, errs *[]error) func(ok bool, format string, args ...any) {
	return func(ok bool, format string, args ...any) {
		if !ok {
			*errs = append(*errs, fmt.Errorf(prefix+format, args...))
		}
	}
}

func probability(p float64) bool { return p >= 0 && p <= 1 }

// uniform draws a number from a to b.
func uniform(rng *rand.Rand, a, b float64) float64 { return a + (b-a)*rng.Float64() }
