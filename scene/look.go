package scene

import "math"

// rgb is a colour in linear steps of 0..255.
type rgb struct{ r, g, b float64 }

func (c rgb) scale(k float64) rgb { return rgb{c.r * k, c.g * k, c.b * k} }

func (c rgb) mix(d rgb, t float64) rgb {
	return rgb{c.r + (d.r-c.r)*t, c.g + (d.g-c.g)*t, c.b + (d.b-c.b)*t}
}

// pack returns the colour as the low 24 bits of a pixel.
func (c rgb) pack() uint64 {
	q := func(x float64) uint64 { return uint64(min(max(x+0.5, 0), 255)) }
	return q(c.b) | q(c.g)<<8 | q(c.r)<<16
}

// look is a style's photometry.
type look struct {
	style Style
	// A surface that receives direct light i of 0..255 shows ambient + direct*i/255 of
	// its albedo, per channel.
	ambient, direct rgb
	// base is the direct light on open ground, faces the factors for the upright sides.
	base                         int
	lamps                        bool // street lamps and headlights burn
	lampLight                    float64
	sunX                         float64 // tangent of the sun's direction across the street, 0 without a sun
	faceLeft, faceRight          float64 // share of base on faces that look left, right
	faceNear                     float64 // on faces that look at the camera
	skyTop, skyHorizon, cloud    rgb
	cover                        float64 // of the sky by clouds, 0..1
	haze                         rgb
	hazeDensity                  float64 // per metre
	hazeSky                      float64 // share of haze before the sky
	snow, wet                    float64
	lit                          float64 // strength of lit windows
	gain, contrast, lift, colour float64
	noise, vignette              float64
	streaks, flakes              int // per 640×360 pixels
}

// newLook returns the photometry of a style, varied a little by the seed.
func newLook(style Style, seed uint64) look {
	r := seeded(seed, seedLook, 0)
	l := looks[style]
	l.style = style
	if l.sunX != 0 {
		l.sunX = r.sign() * r.in(0.35, 1.1)
		lit, shaded := r.in(0.75, 0.95), r.in(0.1, 0.3)
		l.faceLeft, l.faceRight = shaded, lit
		if l.sunX > 0 { // the sun stands to the left and throws shadows to the right
			l.faceLeft, l.faceRight = lit, shaded
		}
		l.faceNear = r.in(0.25, 0.85)
	}
	l.cover = min(max(l.cover+r.in(-0.25, 0.25), 0), 1)
	l.gain *= r.in(0.93, 1.07)
	l.hazeDensity *= r.in(0.8, 1.25)
	warm := r.in(-0.04, 0.04)
	l.direct.r *= 1 + warm
	l.direct.b *= 1 - warm
	return l
}

var looks = [numStyles]look{
	Day: {
		ambient: rgb{0.40, 0.44, 0.52}, direct: rgb{0.74, 0.70, 0.60}, base: 255, sunX: 1,
		skyTop: rgb{92, 140, 206}, skyHorizon: rgb{196, 214, 232}, cloud: rgb{246, 247, 250}, cover: 0.45,
		haze: rgb{192, 208, 226}, hazeDensity: 0.0022,
		gain: 1, contrast: 1.08, colour: 1, noise: 3, vignette: 0.14,
	},
	Dusk: {
		ambient: rgb{0.33, 0.27, 0.31}, direct: rgb{0.62, 0.44, 0.22}, base: 40, lamps: true, lampLight: 0.5,
		faceLeft: 1.1, faceRight: 1.1, faceNear: 0.8,
		skyTop: rgb{62, 74, 118}, skyHorizon: rgb{236, 150, 92}, cloud: rgb{190, 112, 104}, cover: 0.5,
		haze: rgb{168, 112, 90}, hazeDensity: 0.0034, lit: 0.95,
		gain: 1.06, contrast: 1.06, colour: 1, noise: 4, vignette: 0.22,
	},
	Night: {
		ambient: rgb{0.085, 0.095, 0.135}, direct: rgb{1.0, 0.80, 0.50}, base: 8, lamps: true, lampLight: 1,
		faceLeft: 1, faceRight: 1, faceNear: 1,
		skyTop: rgb{8, 10, 20}, skyHorizon: rgb{38, 34, 40}, cloud: rgb{34, 32, 38}, cover: 0.4,
		haze: rgb{26, 24, 30}, hazeDensity: 0.004, lit: 1.0,
		gain: 1.5, contrast: 1.02, lift: 2, colour: 1, noise: 4, vignette: 0.25,
	},
	Fog: {
		ambient: rgb{0.70, 0.71, 0.73}, direct: rgb{0.22, 0.22, 0.21}, base: 200,
		faceLeft: 0.8, faceRight: 0.8, faceNear: 0.8,
		skyTop: rgb{186, 190, 194}, skyHorizon: rgb{196, 199, 202}, cloud: rgb{190, 193, 196}, cover: 0.3,
		haze: rgb{190, 194, 197}, hazeDensity: 0.026, hazeSky: 0.97,
		gain: 0.94, contrast: 1, colour: 0.85, noise: 4, vignette: 0.12,
	},
	Rain: {
		ambient: rgb{0.50, 0.52, 0.56}, direct: rgb{0.24, 0.24, 0.24}, base: 200,
		faceLeft: 0.8, faceRight: 0.8, faceNear: 0.7,
		skyTop: rgb{112, 119, 130}, skyHorizon: rgb{162, 167, 174}, cloud: rgb{98, 104, 114}, cover: 0.8,
		haze: rgb{146, 152, 160}, hazeDensity: 0.0075, hazeSky: 0.15, wet: 1,
		gain: 1.08, contrast: 1.02, colour: 0.82, noise: 5, vignette: 0.16, streaks: 340,
	},
	Snow: {
		ambient: rgb{0.66, 0.69, 0.75}, direct: rgb{0.24, 0.24, 0.24}, base: 210,
		faceLeft: 0.8, faceRight: 0.8, faceNear: 0.75,
		skyTop: rgb{184, 190, 200}, skyHorizon: rgb{208, 212, 218}, cloud: rgb{176, 182, 192}, cover: 0.7,
		haze: rgb{206, 210, 217}, hazeDensity: 0.0085, hazeSky: 0.3, snow: 1,
		gain: 1.08, contrast: 1.04, colour: 0.9, noise: 4, vignette: 0.12, flakes: 900,
	},
}

// whiten lets snow settle on a surface, from 0 (none stays) to 1 (buried).
func (l *look) whiten(c rgb, settle float64) rgb {
	return c.mix(rgb{236, 240, 246}, settle*l.snow)
}

// soak darkens what rain wets.
func (l *look) soak(c rgb, share float64) rgb { return c.scale(1 - share*l.wet) }

// facing is the direct light on an upright surface with normal (nx,nz) in the world.
func (l *look) facing(nx, nz float64) int {
	side := l.faceRight
	if nx < 0 {
		side = l.faceLeft
	}
	k := side*nx*nx + l.faceNear*nz*nz
	if nz > 0.7 {
		k *= 0.6
	}
	return int(k * float64(l.base))
}

// receives is the direct light at a height above a place on the street: daylight, or the
// lamps' and the camera car's own lights.
func (s *Scene) receives(x, y, z float64, daylight int) int {
	if !s.look.lamps {
		return daylight
	}
	ahead := z - s.view.z
	side := x - s.view.x
	glow := 165 * s.street.lampWave(x, z) * math.Max(0.25, 1-y/9)
	if ahead > 1 {
		glow += 130 * math.Exp(-ahead/22) * math.Exp(-side*side/(4+ahead*ahead*0.02)) * math.Max(0, 1-y/4)
	}
	return min(daylight+int(glow*s.look.lampLight), 255)
}
