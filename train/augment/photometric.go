package augment

import (
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/robustnet-edge/robustnet/train/data"
)

// Photometric changes the colours, the sharpness and the spectrum of a picture in place. It
// has three bytes a pixel.
func (r Recipe) Photometric(rng *rand.Rand, rgb []uint8, width, height int) {
	r.Jitter.apply(rng, rgb)
	r.Blur.apply(rng, rgb, width, height)
	r.PASTA.apply(rng, rgb, width, height)
}

// View is how a second view of a picture differs from it, so that ISW can tell which features
// react to style.
type View struct {
	Jitter Jitter `yaml:"jitter"`
	Blur   Blur   `yaml:"blur"`
}

// PublishedView is strong: colours are jittered by 0.8, 0.8, 0.8 and 0.3, and pictures blurred,
// both always.
func PublishedView() View {
	return View{
		Jitter: Jitter{Probability: 1, Brightness: 0.8, Contrast: 0.8, Saturation: 0.8, Hue: 0.3},
		Blur:   Published(0).Blur,
	}
}

// Of returns the pixels of the view of a picture, which is not changed.
func (v View) Of(rng *rand.Rand, p *data.Picture) []uint8 {
	rgb := slices.Clone(p.RGB)
	v.Jitter.apply(rng, rgb)
	v.Blur.apply(rng, rgb, p.Width, p.Height)
	return rgb
}

// Validate reports everything that is wrong with the view, joined.
func (v View) Validate() error {
	const where = "masks.view."
	return errors.Join(v.Jitter.validate(where), v.Blur.validate(where))
}
