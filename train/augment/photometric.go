package augment

import (
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

// Styled returns the pixels of a picture in a strongly changed style, as ISW compares them
// with the picture itself: jittered by 0.8, 0.8, 0.8 and 0.3 and blurred, both always.
func Styled(rng *rand.Rand, p *data.Picture) []uint8 {
	rgb := slices.Clone(p.RGB)
	Recipe{
		Jitter: Jitter{Probability: 1, Brightness: 0.8, Contrast: 0.8, Saturation: 0.8, Hue: 0.3},
		Blur:   Published(0).Blur,
	}.Photometric(rng, rgb, p.Width, p.Height)
	return rgb
}
