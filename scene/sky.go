package scene

import "math"

// cloudTexels is the scale of the clouds: texels per width of the picture at the zenith.
const cloudTexels = 160.0

// drawSky paints the sky and, on the horizon, what closes the street far away.
func (s *Scene) drawSky() {
	v, l := &s.view, &s.look
	bottom := min(max(int(v.horizon)+1, 0), s.h)
	var pal [32]uint64
	bits := uint64(ClassSky)<<classShift | emitAsIs
	drift := s.t * 0.004
	tan := math.Tan(math.Atan2(v.sin, v.cos))
	for y := range bottom {
		up := (v.horizon - float64(y)) / float64(s.h)
		blue := l.skyHorizon.mix(l.skyTop, 1-math.Exp(-up*4.2))
		veil := min(up*5, 1)
		for i := range pal {
			c := min(max((float64(i)/31-0.75+l.cover*0.75)*2.2, 0), 1)
			pal[i] = blue.mix(l.cloud, c*veil*0.9).pack() | bits
		}
		scale := 0.35 / (up + 0.06)
		du := scale / float64(s.w)
		u := (tan-0.5)*scale + 17
		s.lo[y], s.hi[y] = 0, int32(s.w)
		g := groundRow{
			u: fixed((u + drift) * cloudTexels), v: fixed((scale*1.6 + drift) * cloudTexels), du: fixed(du * cloudTexels),
		}
		s.fillTexels(y, g, s.art.clouds, groundBits, &pal, 0)
	}
	// Whatever no ground reaches, below the horizon, is road far away.
	rest := s.pix[bottom*s.w:]
	px := s.ground.road.pal[16] | depthBits(farClip) | lightBits(l.base)
	for i := range rest {
		rest[i] = px
	}
	s.drawBackdrop()
}

// drawBackdrop closes the street at the far clip distance with trees and roofs.
func (s *Scene) drawBackdrop() {
	v := &s.view
	r := seeded(s.opt.Seed, seedStreet, 1)
	z := v.z + farClip - 2
	for x := -420.0; x < 420; {
		width := r.in(9, 30)
		high := r.in(6, 15)
		c, class := rgb{150, 140, 130}.scale(r.in(0.7, 1.1)), ClassBuilding
		if r.chance(0.4) {
			c, class = s.look.whiten(rgb{70, 86, 52}, 0.4), ClassTree
			high = r.in(5, 12)
		}
		s.drawFlat([]vec{{x, 0, z}, {x, high, z}, {x + width*0.3, high * 1.12, z}, {x + width*0.7, high * 1.1, z}, {x + width, high, z}, {x + width, 0, z}},
			c, s.look.facing(0, -1), class)
		x += width
	}
}
