package scene

import "math"

// overlay lays a light texture over the ground: a parallelogram around (x,z) with the
// half axes a and b, in metres, at height y.
type overlay struct {
	x, y, z float64
	ax, az  float64
	bx, bz  float64
}

// spread calls paint for each row of an overlay's footprint.
func (s *Scene) spread(o *overlay, texels *[4096]uint8, bright bool) {
	corners := [4]vec{
		{o.x - o.ax - o.bx, o.y, o.z - o.az - o.bz}, {o.x + o.ax - o.bx, o.y, o.z + o.az - o.bz},
		{o.x + o.ax + o.bx, o.y, o.z + o.az + o.bz}, {o.x - o.ax + o.bx, o.y, o.z - o.az + o.bz},
	}
	det := o.ax*o.bz - o.az*o.bx
	if math.Abs(det) < 1e-6 {
		return
	}
	y0, y1 := s.groundPoly(corners[:])
	v := &s.view
	// 31.5 texels to a half axis.
	tp := texturePlane{
		ux: 31.5 * o.bz / det, uz: -31.5 * o.bx / det,
		vx: -31.5 * o.az / det, vz: 31.5 * o.ax / det,
	}
	tp.u0 = 32 - tp.ux*o.x - tp.uz*o.z
	tp.v0 = 32 - tp.vx*o.x - tp.vz*o.z
	for row := y0; row < y1; row++ {
		if s.lo[row] >= s.hi[row] || float64(row)+0.5 <= v.horizon {
			continue
		}
		g := v.row(&tp, v.rowDepth(row, o.y), int(s.lo[row]))
		if bright {
			s.brighten(row, g, texels)
		} else {
			s.darken(row, g, texels)
		}
	}
}

// drawShadows lays shadows, and where lamps burn their light, on the bare ground.
func (s *Scene) drawShadows() {
	l := &s.look
	if l.lamps {
		s.lampPools()
	}
	for i := range s.items {
		it := &s.items[i]
		if it.ahead > 130 {
			continue
		}
		if h := it.house; h != nil {
			if l.sunX*h.side < 0 {
				s.houseShadow(h)
			}
			continue
		}
		s.thingShadow(&it.thing)
	}
}

// thingShadow darkens the ground under and beside a thing.
func (s *Scene) thingShadow(t *thing) {
	l, slant, y := &s.look, s.look.sunX, s.onKerb(t.x)
	switch t.kind {
	case kindCar:
		b := &bodies[t.variant%numCars]
		w, h := b.width/2, b.length/2
		if t.heading == 0 {
			w, h = h, w
		}
		s.spread(&overlay{x: t.x, z: t.z, ax: w + 0.25, bz: h + 0.25}, &s.art.blob, false)
		if slant != 0 {
			s.spread(&overlay{x: t.x + slant*b.roof*0.45, z: t.z, ax: w + math.Abs(slant)*b.roof*0.5, bz: h + 0.1}, &s.art.blob, false)
		}
		if l.lamps && t.heading != 0 && s.street.onLanes(t.x) {
			s.spread(&overlay{x: t.x, z: t.z + t.heading*(h+9), ax: -3.2 * t.heading, bz: -9.5 * t.heading}, &s.art.beam, true)
		}
	case kindTree:
		if slant != 0 {
			s.spread(&overlay{x: t.x + slant*t.height*0.65, z: t.z - 0.5, ax: t.height * 0.33 * (1 + math.Abs(slant)*0.5), bz: t.height * 0.33}, &s.art.speckle, false)
		} else {
			s.spread(&overlay{x: t.x, y: y, z: t.z, ax: t.height * 0.3, bz: t.height * 0.3}, &s.art.glow, false)
		}
	case kindPerson, kindRider:
		s.spread(&overlay{x: t.x, y: y, z: t.z, ax: 0.35, bz: 0.3}, &s.art.blob, false)
		if slant != 0 {
			s.spread(&overlay{x: t.x + slant*0.85, y: y, z: t.z, ax: slant * 0.9, bz: 0.3}, &s.art.blob, false)
		}
	case kindLamp, kindSign, kindSignal:
		if slant != 0 {
			s.spread(&overlay{x: t.x + slant*t.height/2, y: y, z: t.z, ax: slant * t.height / 2, bz: 0.07}, &s.art.even, false)
		}
	}
}

// houseShadow darkens the ground on the street side of a building.
func (s *Scene) houseShadow(h *building) {
	reach := math.Abs(s.look.sunX) * h.height()
	x0, x1 := h.side*h.front, h.side*(h.front-reach)
	z0, z1 := max(h.z0, s.view.z-6), min(h.z1, s.view.z+140)
	if z0 >= z1 {
		return
	}
	s.spread(&overlay{x: (x0 + x1) / 2, z: (z0 + z1) / 2, ax: (x1 - x0) / 2, bz: (z1 - z0) / 2}, &s.art.even, false)
}

// lampPools lights the ground under the street lamps and before the camera's own car.
func (s *Scene) lampPools() {
	for i := range s.items {
		t := &s.items[i].thing
		if s.items[i].house != nil || t.kind != kindLamp || s.items[i].ahead > 140 {
			continue
		}
		r := t.height * 1.9
		s.spread(&overlay{x: t.x - math.Copysign(s.street.lampArm, t.x), z: t.z, ax: r, bz: r}, &s.art.pool, true)
	}
	s.spread(&overlay{x: s.view.x, z: s.view.z + 21, ax: 7, bz: 20}, &s.art.beam, true)
}
