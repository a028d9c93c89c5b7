package augment

import (
	"image"
	"math/cmplx"

	"github.com/robustnet-edge/robustnet/train/data"
)

// FDA gives pictures the style of others: the lowest frequencies of each channel take the
// amplitudes that they have in a picture from elsewhere, and keep their phases (Yang and
// Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020). The
// frequencies across and down are those up to ⌊Beta·d⌋ cycles, d the shorter side. It is off
// where Probability is 0.
type FDA struct {
	Beta float64 `yaml:"beta"`
	// Probability is that of taking another picture's style.
	Probability float64 `yaml:"probability"`
}

// PublishedFDA returns the smallest of the authors' settings, for every picture.
func PublishedFDA() FDA { return FDA{Beta: 0.01, Probability: 1} }

// Style is what FDA takes from a picture: few numbers where Beta is small, so that the styles
// of a whole data set can be kept.
type Style struct {
	of                     FDA
	width, height, highest int
	// amplitudes are by channel, frequency across from 0, frequency down from −highest.
	amplitudes []float64
}

// Style returns the style of a whole picture, for pictures of another size in pixels, to which
// it is scaled.
func (f FDA) Style(p *data.Picture, width, height int) Style {
	rgb := make([]uint8, 3*width*height)
	size := image.Pt(width, height)
	resample(rgb, image.Rectangle{Max: size}, p.RGB, image.Pt(p.Width, p.Height), size)
	style := Style{of: f, width: width, height: height, highest: f.highest(width, height)}
	s := takeSpectrum(width, height)
	defer spectra.Put(s)
	for channel := range 3 {
		s.analyse(rgb, channel, style.highest+1)
		s.lowest(style.highest, func(_, _ int, c *complex128) {
			style.amplitudes = append(style.amplitudes, cmplx.Abs(*c))
		})
	}
	return style
}

func (f FDA) highest(width, height int) int { return int(f.Beta * float64(min(width, height))) }

// Bytes returns the memory that the style takes.
func (s Style) Bytes() int64 { return int64(8 * len(s.amplitudes)) }

// Apply gives the style to the part of a picture that shows a scene, in place. What lies around
// it has no style: it neither counts nor changes. The scene is not empty, and neither wider nor
// higher than what the style was taken for.
func (s Style) Apply(p *data.Picture, scene image.Rectangle) {
	row := func(y int) []uint8 {
		return p.RGB[3*((scene.Min.Y+y)*p.Width+scene.Min.X):][:3*scene.Dx()]
	}
	rgb := make([]uint8, 0, 3*scene.Dx()*scene.Dy())
	for y := range scene.Dy() {
		rgb = append(rgb, row(y)...)
	}
	s.apply(rgb, scene.Dx(), scene.Dy())
	for y := range scene.Dy() {
		rgb = rgb[copy(row(y), rgb):]
	}
}

// apply scales the amplitudes to the number of pixels, instead of scaling the target anew for
// each size: low frequencies, in cycles a picture, hardly depend on that.
func (s Style) apply(rgb []uint8, width, height int) {
	own := takeSpectrum(width, height)
	defer spectra.Put(own)
	highest := s.of.highest(width, height)
	share := float64(width*height) / float64(s.width*s.height)
	rows := 2*s.highest + 1
	for channel := range 3 {
		amplitudes := s.amplitudes[channel*(s.highest+1)*rows:]
		own.analyse(rgb, channel, highest+1)
		own.lowest(highest, func(m, n int, c *complex128) {
			*c = withAmplitude(*c, share*amplitudes[m*rows+n+s.highest])
		})
		own.synthesise(rgb, channel, highest+1)
	}
}

// lowest visits the coefficients of the lowest frequencies, m across and n down, always in the
// same order.
func (s *spectrum) lowest(highest int, visit func(m, n int, c *complex128)) {
	for m := range highest + 1 {
		for n := -highest; n <= highest; n++ {
			visit(m, n, &s.columns[m][(n+s.height)%s.height])
		}
	}
}
