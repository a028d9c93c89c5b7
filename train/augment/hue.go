package augment

import (
	"math"
	"sync"
)

// hueTables are Pillow's conversions between RGB and HSV, of one byte each.
type hueTables struct {
	// saturation is by the largest channel, times 256, plus the spread of the channels.
	saturation [1 << 16]uint8
	// hue is by sextant of the colour circle, then spread, then how far the middle channel
	// lies below the largest.
	hue [6][1 << 16]uint8
	// lowest is the smallest channel by saturation times 256, plus value.
	lowest [1 << 16]uint8
	// sextant and fraction, the place in it, are by hue; share is that of a saturation byte.
	sextant  [256]uint8
	fraction [256]float64
	share    [256]float64
}

// sextants, by which channels are largest and smallest.
const (
	redGreen = iota // red is largest, green is smallest
	redBlue
	greenRed
	greenBlue
	blueRed
	blueGreen
)

var hues = sync.OnceValue(func() *hueTables {
	t := new(hueTables)
	for largest := 1; largest < 256; largest++ {
		for spread := 1; spread <= largest; spread++ {
			s := float32(spread) / float32(largest)
			t.saturation[largest<<8|spread] = uint8(float64(s) * 255)
		}
	}
	for spread := 1; spread < 256; spread++ {
		for below := 0; below <= spread; below++ {
			// In single precision, as there; the channel that is smallest has the value 1.
			m := float32(below) / float32(spread)
			for sextant, h := range [...]float32{
				redGreen:  m - 1,
				redBlue:   1 - m,
				greenRed:  float32(2 + 1 - float64(m)),
				greenBlue: float32(2 + float64(m) - 1),
				blueRed:   float32(4 + float64(m) - 1),
				blueGreen: float32(4 + 1 - float64(m)),
			} {
				turn := float32(math.Mod(float64(h)/6+1, 1))
				t.hue[sextant][spread<<8|below] = uint8(float64(turn) * 255)
			}
		}
	}
	for i := range 256 {
		h := float32(float64(i) * 6 / 255)
		t.sextant[i] = uint8(int(h) % 6)
		t.fraction[i] = float64(h - float32(math.Floor(float64(h))))
		t.share[i] = float64(float32(float64(i) / 255))
		for v := range 256 {
			t.lowest[i<<8|v] = uint8(math.Round(float64(v) * (1 - t.share[i])))
		}
	}
	return t
})

// hsv returns hue, saturation and value.
func (t *hueTables) hsv(r, g, b uint8) (h, s, v uint8) {
	v = max(r, g, b)
	low := min(r, g, b)
	if v == low {
		return 0, 0, v
	}
	var sextant int
	var below uint8
	switch {
	case r == v && g == low:
		sextant, below = redGreen, v-b
	case r == v:
		sextant, below = redBlue, v-g
	case g == v && r == low:
		sextant, below = greenRed, v-b
	case g == v:
		sextant, below = greenBlue, v-r
	case r == low:
		sextant, below = blueRed, v-g
	default:
		sextant, below = blueGreen, v-r
	}
	spread := int(v - low)
	return t.hue[sextant][spread<<8|int(below)], t.saturation[int(v)<<8|spread], v
}

// rgb is the way back.
func (t *hueTables) rgb(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	p := t.lowest[int(s)<<8|int(v)]
	sextant, f := t.sextant[h], t.fraction[h]
	if sextant&1 == 0 {
		f = 1 - f
	}
	// Pillow rounds to single precision first.
	between := uint8(float64(float32(float64(v)*(1-float64(t.share[s]*f)))) + 0.5)
	switch sextant {
	case 0:
		return v, between, p
	case 1:
		return between, v, p
	case 2:
		return p, v, between
	case 3:
		return p, between, v
	case 4:
		return between, p, v
	}
	return v, p, between
}

// rotateHue turns hues by so many turns. A turn has 255 steps in the factor, and 256 in the
// bytes, as in torchvision.
func rotateHue(rgb []uint8, turns float64) {
	shift := uint8(int(turns * 255))
	t := hues()
	for p := rgb; len(p) >= 3; p = p[3:] {
		h, s, v := t.hsv(p[0], p[1], p[2])
		p[0], p[1], p[2] = t.rgb(h+shift, s, v)
	}
}
