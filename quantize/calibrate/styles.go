package calibrate

import (
	"fmt"
	"math/rand/v2"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/corrupt"
	"github.com/robustnet-edge/robustnet/train/data"
)

// ViewsPerPicture is the number of views that a [Styler] makes of a picture.
const ViewsPerPicture = 3

// styleSeverity is that of corruptions: the middle one.
const styleSeverity = 3

// styleKinds are the corruptions that change light and contrast as other hours and weathers
// do. Blur, noise and compression change little of how values are spread.
func styleKinds() []corrupt.Kind {
	return []corrupt.Kind{corrupt.Fog, corrupt.Brightness, corrupt.Contrast, corrupt.Rain, corrupt.Snow, dark}
}

// dark is dusk: brightness divided by between two and five.
const dark corrupt.Kind = "dark"

// styleNames lists the styles for the table.
func styleNames() []string {
	names := []string{"photometric"}
	for _, k := range styleKinds() {
		names = append(names, string(k))
	}
	return names
}

// A Styler makes views of pictures in light and weather that the source may never have had, so
// that ranges hold on domains that nobody has pictures of.
type Styler struct{ seed uint64 }

// Views returns a styler. The same seed gives the same views.
func Views(seed uint64) *Styler { return &Styler{seed} }

// Of returns the views of the i-th picture: one by the strong colour jitter and blur with which
// instance selective whitening finds what is style, and two in weathers or light that take
// turns. The picture is only read.
func (s *Styler) Of(i int, p *data.Picture) ([]*data.Picture, error) {
	rng := rand.New(rand.NewPCG(s.seed, 1<<32+uint64(i)))
	view := func(rgb []uint8) *data.Picture { return &data.Picture{Width: p.Width, Height: p.Height, RGB: rgb} }
	views := []*data.Picture{view(augment.PublishedView().Of(rng, p))}
	kinds := styleKinds()
	for k := 1; k < ViewsPerPicture; k++ {
		kind := kinds[((ViewsPerPicture-1)*i+k)%len(kinds)]
		if kind == dark {
			views = append(views, view(darken(rng, p.RGB)))
			continue
		}
		rgb, err := corrupt.Apply(kind, styleSeverity, rng.Uint64(), p.RGB, p.Width, p.Height)
		if err != nil {
			return nil, fmt.Errorf("restyle a picture: %w", err)
		}
		views = append(views, view(rgb))
	}
	return views, nil
}

// darken returns the pixels with their brightness divided, as by a shorter exposure.
func darken(rng *rand.Rand, rgb []uint8) []uint8 {
	factor := 0.2 + 0.3*rng.Float64()
	var levels [256]uint8
	for v := range levels {
		levels[v] = uint8(float64(v)*factor + 0.5)
	}
	dark := make([]uint8, len(rgb))
	for i, v := range rgb {
		dark[i] = levels[v]
	}
	return dark
}
