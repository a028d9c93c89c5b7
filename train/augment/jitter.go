package augment

import (
	"errors"
	"math/rand/v2"
)

// Jitter changes colours at random as torchvision's ColorJitter does on Pillow's pictures:
// brightness, contrast, saturation and hue, in random order.
type Jitter struct {
	// Probability is that of any change.
	Probability float64 `yaml:"probability"`
	// Brightness, Contrast and Saturation bound the factors: 1 − v to 1 + v.
	Brightness float64 `yaml:"brightness"`
	Contrast   float64 `yaml:"contrast"`
	Saturation float64 `yaml:"saturation"`
	// Hue bounds the rotation of hues, −v to v turns.
	Hue float64 `yaml:"hue"`
}

func (j Jitter) validate(where string) error {
	var errs []error
	check := checker(where+"jitter.", &errs)
	check(probability(j.Probability), "probability is %v; take 0 to 1", j.Probability)
	check(probability(j.Brightness), "brightness is %v; take 0 to 1", j.Brightness)
	check(probability(j.Contrast), "contrast is %v; take 0 to 1", j.Contrast)
	check(probability(j.Saturation), "saturation is %v; take 0 to 1", j.Saturation)
	check(j.Hue >= 0 && j.Hue <= 0.5, "hue is %v; take 0 to 0.5", j.Hue)
	return errors.Join(errs...)
}

// apply changes pixels of three bytes.
func (j Jitter) apply(rng *rand.Rand, rgb []uint8) {
	if rng.Float64() >= j.Probability {
		return
	}
	brighter := uniform(rng, 1-j.Brightness, 1+j.Brightness)
	harder := uniform(rng, 1-j.Contrast, 1+j.Contrast)
	fuller := uniform(rng, 1-j.Saturation, 1+j.Saturation)
	turns := uniform(rng, -j.Hue, j.Hue)
	for _, step := range rng.Perm(4) {
		switch step {
		case 0:
			brightness(rgb, brighter)
		case 1:
			contrast(rgb, harder)
		case 2:
			saturation(rgb, fuller)
		case 3:
			rotateHue(rgb, turns)
		}
	}
}

// blended returns from + factor·(to − from), in single precision, cut off and clipped like
// Pillow's blend.
func blended(from, to uint8, factor float32) uint8 {
	return cut(float32(from) + float32(factor*float32(int(to)-int(from))))
}

func cut(v float32) uint8 { return uint8(min(max(int32(v), 0), 255)) }

// blendAll blends all bytes with the same one.
func blendAll(rgb []uint8, from uint8, factor float64) {
	var table [256]uint8
	for v := range table {
		table[v] = blended(from, uint8(v), float32(factor))
	}
	for i, v := range rgb {
		rgb[i] = table[v]
	}
}

func brightness(rgb []uint8, factor float64) { blendAll(rgb, 0, factor) }

// contrast blends with the mean grey.
func contrast(rgb []uint8, factor float64) {
	if len(rgb) == 0 {
		return
	}
	sum := 0
	for p := rgb; len(p) >= 3; p = p[3:] {
		sum += int(grey(p[0], p[1], p[2]))
	}
	mean := float64(sum) / float64(len(rgb)/3)
	blendAll(rgb, uint8(mean+0.5), factor)
}

// grey is the luma of ITU-R 601, rounded as Pillow does.
func grey(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// saturation blends each pixel with its grey.
func saturation(rgb []uint8, factor float64) {
	var shares [511]float32 // of the difference to grey, from −255 on
	for i := range shares {
		shares[i] = float32(float32(factor) * float32(i-255))
	}
	for p := rgb; len(p) >= 3; p = p[3:] {
		l := grey(p[0], p[1], p[2])
		from, at := float32(l), shares[255-int(l):][:256]
		p[0], p[1], p[2] = cut(from+at[p[0]]), cut(from+at[p[1]]), cut(from+at[p[2]])
	}
}
