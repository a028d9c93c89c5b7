package scene

import "math"

// The photometric pass works on the three channels at once, in lanes of 21 bits of one
// 64-bit word: blue lowest, then green, red. A lane holds up to 18 bits between two
// operations, so nothing spills over.
const (
	laneBits = 21
	laneOnes = 1 | 1<<laneBits | 1<<(2*laneBits)
	laneTen  = laneOnes * 0x3ff
)

// toneSize leaves room for noise on both sides of the ten-bit lanes.
const (
	toneMargin = 64
	toneSize   = 1024 + 2*toneMargin
)

type gain struct{ r, g, b uint32 } // 256 is one

// film is what turns a drawn picture into one that a camera might have taken.
type film struct {
	light   [512]gain
	haze    []uint16 // share of haze by inverse depth, 0..256
	hazeMix []uint64 // haze colour times its share, in lanes
	tone    [3][toneSize]uint8
	grain   []uint32 // three signed bytes, biased by toneMargin
	vigX    []uint16
	vigY    []uint16
	above   []uint64 // the row above, lit, in lanes
}

func lanes(r, g, b uint64) uint64 { return b | g<<laneBits | r<<(2*laneBits) }

// hazeSteps is the resolution of the haze table in inverse depth.
const (
	hazeSteps = 8192
	hazeShift = 3
)

func (s *Scene) newFilm() film {
	l := &s.look
	f := film{
		haze: make([]uint16, hazeSteps), hazeMix: make([]uint64, hazeSteps),
		vigX: make([]uint16, s.w), vigY: make([]uint16, s.h), above: make([]uint64, s.w+1),
		grain: make([]uint32, 1<<15),
	}
	for i := range f.light {
		k := float64(i) / 255
		c := rgb{l.ambient.r + l.direct.r*k, l.ambient.g + l.direct.g*k, l.ambient.b + l.direct.b*k}
		if i >= 256 {
			e := float64(i-256) / 128
			c = rgb{e, e, e}
		}
		f.light[i] = gain{uint32(c.r * 256), uint32(c.g * 256), uint32(c.b * 256)}
	}
	for i := range f.haze {
		share := l.hazeSky
		if i > 0 {
			z := 65535 / (float64(i<<hazeShift) + 4)
			share = 1 - math.Exp(-z*l.hazeDensity)
		}
		k := uint64(share * 256)
		f.haze[i] = uint16(256 - k)
		f.hazeMix[i] = lanes(uint64(l.haze.r)*k, uint64(l.haze.g)*k, uint64(l.haze.b)*k)
	}
	for c := range f.tone {
		for i := range f.tone[c] {
			x := (float64(i-toneMargin)*l.gain-128)*l.contrast + 128 + l.lift
			if x > 205 { // a soft shoulder instead of clipping
				x = 205 + 50*(1-math.Exp(-(x-205)/50))
			}
			f.tone[c][i] = uint8(min(max(x+0.5, 0), 255))
		}
	}
	r := seeded(s.opt.Seed, seedNoise, 0)
	for i := range f.grain {
		luma := r.in(-1, 1) + r.in(-1, 1)
		v := uint32(0)
		for c := range 3 {
			n := (luma + 0.5*r.in(-1, 1)) * l.noise * 0.8
			v |= uint32(int(math.Round(n))+toneMargin) << (8 * c)
		}
		f.grain[i] = v
	}
	vignette := func(t []uint16) {
		for i := range t {
			d := (float64(i)+0.5)/float64(len(t))*2 - 1
			t[i] = uint16(256 * math.Sqrt(1-l.vignette*d*d))
		}
	}
	vignette(f.vigX)
	vignette(f.vigY)
	return f
}

// develop lights the drawn pixels, lays haze over them by depth, softens them a little as
// a lens does, and adds vignette, grain and tone. The result goes to bgr.
func (s *Scene) develop(n int, bgr []byte) {
	f := &s.film
	r := seeded(s.opt.Seed, seedNoise, n)
	for i := range f.above {
		f.above[i] = 0
	}
	for y := range s.h {
		row := s.pix[y*s.w : (y+1)*s.w]
		s.developRow(row, bgr[y*s.w*3:(y+1)*s.w*3], y, uint32(r.next()))
	}
}

func (s *Scene) developRow(row []uint64, out []byte, y int, grainAt uint32) {
	f := &s.film
	above := f.above[:len(row)]
	vigX := f.vigX[:len(row)]
	vigY := uint64(f.vigY[y])
	colour := uint64(s.look.colour * 256)
	grain := f.grain[:1<<15]
	haze, hazeMix := f.haze[:hazeSteps], f.hazeMix[:hazeSteps]
	tb, tg, tr := &f.tone[0], &f.tone[1], &f.tone[2]
	var left uint64
	for i, p := range row {
		g := &f.light[p>>lightShift&511]
		b := uint64(p&0xff) * uint64(g.b) >> 8
		gr := (p >> 8 & 0xff) * uint64(g.g) >> 8
		rd := (p >> 16 & 0xff) * uint64(g.r) >> 8
		if colour != 256 {
			grey := (b + 2*gr + rd) >> 2
			b = (b*colour + grey*(256-colour)) >> 8
			gr = (gr*colour + grey*(256-colour)) >> 8
			rd = (rd*colour + grey*(256-colour)) >> 8
		}
		d := p >> (depthShift + hazeShift) & (hazeSteps - 1)
		v := (lanes(rd, gr, b)*uint64(haze[d]) + hazeMix[d]) >> 8 & laneTen
		v = v * (uint64(vigX[i]) * vigY >> 8) >> 8 & laneTen
		up := above[i]
		if i == 0 {
			left = v
		}
		if y == 0 {
			up = v
		}
		mixed := (2*v + left + up) >> 2 & laneTen
		above[i], left = v, v
		e := grain[grainAt&(1<<15-1)]
		grainAt++
		o := out[3*i : 3*i+3 : 3*i+3]
		o[0] = tb[mixed&0x3ff+uint64(e&0xff)]
		o[1] = tg[mixed>>laneBits&0x3ff+uint64(e>>8&0xff)]
		o[2] = tr[mixed>>(2*laneBits)&0x3ff+uint64(e>>16)]
	}
}
