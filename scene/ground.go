package scene

import "math"

// material is how a kind of ground looks.
type material struct {
	pyramid *pyramid
	pal     [32]uint64
}

// groundArt holds the materials of one street in one style.
type groundArt struct {
	road, pavement, lawn, kerb, white, yellow, cycle, patch, cover, drift material
	cycleTinted                                                           bool
}

func (s *Scene) newGroundArt() groundArt {
	r := seeded(s.opt.Seed, seedTexture, 1)
	l, a := &s.look, &s.art
	grey := r.in(78, 122)
	road := rgb{grey, grey, grey + r.in(-4, 6)}
	slab := rgb{150, 146, 138}.scale(r.in(0.75, 1.15)).mix(rgb{168, 116, 96}, r.in(0, 0.6)*r.unit())
	grass := rgb{96, 122, 56}.mix(rgb{130, 124, 70}, r.unit())
	tint := rgb{150, 74, 60}
	if r.chance(0.5) {
		tint = rgb{72, 120, 84}
	}
	g := groundArt{cycleTinted: r.chance(0.6)}
	g.road = l.material(&a.asphalt, road, 0.022, 0.55, 0.3, ClassRoad)
	g.patch = l.material(&a.asphalt, road.scale(r.in(0.7, 0.85)), 0.02, 0.5, 0.3, ClassRoad)
	g.cover = l.material(&a.asphalt, rgb{70, 66, 62}, 0.03, 0.3, 0.2, ClassRoad)
	g.cycle = l.material(&a.asphalt, road.mix(tint, 0.7), 0.02, 0.55, 0.25, ClassRoad)
	g.drift = l.material(&a.asphalt, road.scale(1.05), 0.02, 0.74, 0.3, ClassRoad)
	g.white = l.material(&a.paint, rgb{222, 222, 216}, 0.024, 0.35, 0.08, ClassRoad)
	g.yellow = l.material(&a.paint, rgb{224, 180, 60}, 0.024, 0.35, 0.08, ClassRoad)
	g.pavement = l.material(&a.paving, slab, 0.02, 0.85, 0.25, ClassPavement)
	g.kerb = l.material(&a.asphalt, slab.scale(1.12), 0.015, 0.8, 0.2, ClassPavement)
	g.lawn = l.material(&a.lawn, grass, 0.035, 0.92, 0.15, ClassTree)
	return g
}

// material makes a ground material: base is the colour of shade 16, swing how much each
// further shade brightens it; settle and soaked are the shares of snow and wetness.
func (l *look) material(p *pyramid, base rgb, swing, settle, soaked float64, class byte) material {
	m := material{pyramid: p}
	for i := range m.pal {
		c := base.scale(1 + swing*float64(i-16))
		if class == ClassRoad && l.snow > 0 {
			// Snow lies in the hollows and is worn off elsewhere.
			settle := settle * min(max(1.2-float64(i-10)*0.05, 0.35), 1.4)
			c = l.whiten(c, min(settle, 1))
		} else {
			c = l.whiten(c, settle*min(max(1+float64(i-16)*0.012, 0), 1.08))
		}
		m.pal[i] = l.soak(c, soaked).pack() | uint64(class)<<classShift
	}
	return m
}

// lay paints a flat polygon at height y with a material, upright texture along z.
func (s *Scene) lay(m *material, y float64, corners []vec) {
	y0, y1 := s.groundPoly(corners)
	light := lightBits(s.look.base)
	v := &s.view
	for row := y0; row < y1; row++ {
		if s.lo[row] >= s.hi[row] || float64(row)+0.5 <= v.horizon {
			continue
		}
		z := v.rowDepth(row, y)
		// The footprint of a pixel: geometric mean of its width and its length.
		texels := z / v.f * texelsPerMetre * math.Sqrt(z/(v.h-y))
		level := 0
		for texels > 1.4 && level < pyramidLevels-1 {
			texels /= 2
			level++
		}
		k := texelsPerMetre / float64(int(1)<<level)
		tp := texturePlane{ux: k, vz: k}
		s.fillTexels(row, v.row(&tp, z, int(s.lo[row])), m.pyramid[level], uint(groundBits-level), &m.pal, depthBits(z)|light)
	}
}

// layRect is lay for a rectangle along the street.
func (s *Scene) layRect(m *material, y, x0, x1, z0, z1 float64) {
	z0, z1 = max(z0, s.view.z-8), min(z1, s.view.z+farClip)
	if z0 >= z1 {
		return
	}
	c := [4]vec{{x0, y, z0}, {x0, y, z1}, {x1, y, z1}, {x1, y, z0}}
	s.lay(m, y, c[:])
}

// drawGround paints road, pavements, lawns and markings.
func (s *Scene) drawGround() {
	st := &s.street
	z := s.view.z
	s.layRect(&s.ground.road, 0, -600, 600, z-8, z+farClip)
	if st.cycleLane > 0 && s.ground.cycleTinted {
		inner := float64(st.lanes) * st.laneWidth
		for side := -1.0; side <= 1; side += 2 {
			s.layRect(&s.ground.cycle, 0, side*inner, side*(inner+st.cycleLane), z-8, z+farClip)
		}
	}
	if s.look.snow > 0 {
		s.layDrifts()
	}
	for i := st.blockAt(z + farClip); i >= st.blockAt(z-8); i-- {
		b := s.blockOf(i)
		s.layBlock(b)
		s.markBlock(b)
	}
}

// layDrifts leaves snow where no wheels run: at the kerb and between the tracks.
func (s *Scene) layDrifts() {
	st, z := &s.street, s.view.z
	for side := -1.0; side <= 1; side += 2 {
		s.layRect(&s.ground.drift, 0, side*(st.half-0.7), side*st.half, z-8, z+farClip)
		s.layRect(&s.ground.drift, 0, side*(st.half-0.9), side*(st.half-0.8), z-8, z+farClip)
		for i := range st.lanes {
			x := side * float64(st.laneWidth*(float64(i)+0.5))
			s.layRect(&s.ground.drift, 0, x-0.4, x+0.4, z-8, z+farClip)
			edge := side * float64(st.laneWidth*float64(i+1))
			s.layRect(&s.ground.drift, 0, edge-0.4, edge+0.4, z-8, z+farClip)
		}
	}
}

// layBlock paints a block's pavements with their kerbs, and its lawns.
func (s *Scene) layBlock(b *block) {
	st, g := &s.street, &s.ground
	for side := -1.0; side <= 1; side += 2 {
		s.layRect(&g.pavement, st.kerb, side*st.half, side*600, b.start, b.z1)
		s.layRect(&g.kerb, st.kerb, side*st.half, side*(st.half+0.16), b.start, b.z1)
		x := side * st.half
		stone := s.look.whiten(rgb{128, 124, 118}, 0.3)
		z0, z1 := max(b.start, s.view.z-6), min(b.z1, s.view.z+120)
		for z0 < z1 {
			end := min(z1, z0+20)
			s.drawFlat([]vec{{x, 0, z0}, {x, st.kerb, z0}, {x, st.kerb, end}, {x, 0, end}}, stone, s.look.facing(-side, 0)*3/4, ClassPavement)
			z0 = end
		}
		if b.junction && b.start > s.view.z {
			s.drawFlat([]vec{{x, 0, b.start}, {side * 90, 0, b.start}, {side * 90, st.kerb, b.start}, {x, st.kerb, b.start}}, stone, s.look.facing(0, -1), ClassPavement)
		}
	}
	for _, p := range b.lawns[:b.nl] {
		s.layRect(&g.lawn, st.kerb, p.x0, p.x1, p.z0, p.z1)
	}
	if b.junction { // the pavements along the side street
		for side := -1.0; side <= 1; side += 2 {
			x := side * (st.line + 0.5)
			s.layRect(&g.pavement, 0.02, x, side*600, b.z0, b.z0+st.pavement)
			s.layRect(&g.pavement, 0.02, x, side*600, b.start-st.pavement, b.start)
		}
	}
}

// markBlock paints a block's road markings, and covers and mended patches in the road.
func (s *Scene) markBlock(b *block) {
	st, g := &s.street, &s.ground
	if b.z0 > s.view.z+170 {
		return
	}
	r := seeded(st.seed, seedBlock, b.index)
	r.next()
	for range r.intn(5) {
		x, z := r.in(-st.half+1, st.half-1), r.in(b.start, b.z1)
		s.layRect(&g.patch, 0, x, x+r.in(0.6, 2.2), z, z+r.in(0.8, 7))
	}
	for range 1 + r.intn(3) {
		s.layCover(r.in(-st.half+0.8, st.half-0.8), r.in(b.start, b.z1))
	}
	z0, z1 := b.start+4, b.z1-4
	if !b.junction {
		z0 = b.start
	}
	if !st.junction(b.index + 1) {
		z1 = b.z1
	} else { // stop line for those who come along
		edge := st.keep * float64(st.lanes) * st.laneWidth
		s.layRect(&g.white, 0, 0.1*st.keep, edge, b.z1-3.6, b.z1-3.2)
		s.crossing(b.z1 - 2.8)
	}
	if b.junction {
		edge := -st.keep * float64(st.lanes) * st.laneWidth
		s.layRect(&g.white, 0, -0.1*st.keep, edge, b.start+3.2, b.start+3.6)
		s.crossing(b.start + 0.2)
	}
	s.markLanes(z0, z1, &r)
}

// markLanes paints the lines along the street.
func (s *Scene) markLanes(z0, z1 float64, r *rng) {
	st, g := &s.street, &s.ground
	centre := &g.white
	if st.centreYellow {
		centre = &g.yellow
	}
	switch {
	case st.centreSolid && st.lanes == 2:
		s.layRect(centre, 0, -0.18, -0.06, z0, z1)
		s.layRect(centre, 0, 0.06, 0.18, z0, z1)
	case st.centreSolid:
		s.layRect(centre, 0, -0.07, 0.07, z0, z1)
	default:
		s.dashes(centre, 0, 0.07, z0, z1)
	}
	edge := float64(st.lanes) * st.laneWidth
	for side := -1.0; side <= 1; side += 2 {
		if st.lanes == 2 {
			s.dashes(&g.white, side*st.laneWidth, 0.06, z0, z1)
		}
		if st.edgeLines || st.cycleLane > 0 {
			s.layRect(&g.white, 0, side*edge-0.05, side*edge+0.05, z0, z1)
		}
		if st.cycleLane > 0 && st.parking > 0 {
			x := side * (edge + st.cycleLane)
			s.layRect(&g.white, 0, x-0.05, x+0.05, z0, z1)
		}
		if r.chance(0.35) {
			s.arrow(side*st.keep*st.laneX(1, 0), z1-12, side*st.keep)
		}
	}
}

func (s *Scene) dashes(m *material, x, halfWidth, z0, z1 float64) {
	st := &s.street
	period := st.markDash + st.markGap
	for k := math.Ceil(max(z0, s.view.z-10) / period); ; k++ {
		z := k * period
		if z+st.markDash > min(z1, s.view.z+150) {
			return
		}
		s.layRect(m, 0, x-halfWidth, x+halfWidth, z, z+st.markDash)
	}
}

// crossing paints the stripes of a pedestrian crossing from z on.
func (s *Scene) crossing(z float64) {
	st := &s.street
	if z > s.view.z+90 {
		return
	}
	for x := -st.half + 0.3; x < st.half-0.5; x += 1 {
		s.layRect(&s.ground.white, 0, x, x+0.5, z, z+2.4)
	}
}

// arrow paints a lane arrow that points to dir along the street.
func (s *Scene) arrow(x, z, dir float64) {
	if z > s.view.z+60 || z < s.view.z-8 {
		return
	}
	s.layRect(&s.ground.white, 0, x-0.08, x+0.08, min(z, z+2.4*dir), max(z, z+2.4*dir))
	tip := [3]vec{{x - 0.4, 0, z + 2.2*dir}, {x + 0.4, 0, z + 2.2*dir}, {x, 0, z + 3.6*dir}}
	s.lay(&s.ground.white, 0, tip[:])
}

// layCover paints a manhole cover.
func (s *Scene) layCover(x, z float64) {
	if z > s.view.z+70 || z < s.view.z-4 {
		return
	}
	const r, d = 0.34, 0.24
	c := [8]vec{
		{x - r, 0, z}, {x - d, 0, z + d}, {x, 0, z + r}, {x + d, 0, z + d},
		{x + r, 0, z}, {x + d, 0, z - d}, {x, 0, z - r}, {x - d, 0, z - d},
	}
	s.lay(&s.ground.cover, 0, c[:])
}
