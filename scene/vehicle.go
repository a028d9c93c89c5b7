package scene

import "math"

// body is the shape of a vehicle in metres: a lower box and a tapered cabin on it.
type body struct {
	length, width, belt, roof float64
	// Ends of the cabin at the belt and at the roof, from the rear end, as shares of the
	// length.
	rearBelt, rearRoof, frontRoof, frontBelt float64
	taper                                    float64 // how much narrower the roof is on each side
	wheel                                    float64 // radius
	glazed                                   float64 // share of the cabin's sides, from the front, that is glass
}

// nose is the height of the bonnet's front edge, boot the drop of the tail's.
func (b *body) nose() float64 { return b.belt - min((1-b.frontBelt)*b.length*0.16, 0.24) }
func (b *body) boot() float64 { return min(b.rearBelt*b.length*0.1, 0.08) }

const numCars = 7

var bodies = [numCars]body{
	{4.0, 1.75, 0.92, 1.47, 0.02, 0.10, 0.56, 0.74, 0.14, 0.31, 1},   // hatchback
	{4.6, 1.80, 0.90, 1.43, 0.13, 0.26, 0.58, 0.74, 0.15, 0.32, 1},   // saloon
	{4.6, 1.80, 0.92, 1.48, 0.01, 0.08, 0.58, 0.74, 0.14, 0.32, 1},   // estate
	{4.5, 1.88, 1.08, 1.72, 0.02, 0.10, 0.60, 0.74, 0.13, 0.36, 1},   // off-roader
	{5.1, 1.98, 1.15, 2.25, 0.00, 0.02, 0.72, 0.84, 0.08, 0.34, 0.3}, // van
	{9.5, 2.45, 1.25, 3.05, 0.00, 0.00, 0.98, 1.00, 0.02, 0.48, 1},   // bus
	{7.2, 2.35, 1.20, 3.10, 0.00, 0.00, 0.94, 0.99, 0.02, 0.46, 0.2}, // lorry
}

// parkedVariants leaves out buses and lorries.
var parkedVariants = [...]int{0, 0, 1, 1, 2, 2, 3, 3, 4}

var carColours = []rgb{
	{206, 208, 210}, {160, 164, 168}, {108, 112, 118}, {44, 46, 50}, {30, 32, 36}, {228, 228, 226},
	{150, 30, 34}, {40, 66, 122}, {34, 84, 70}, {186, 160, 60}, {92, 60, 48}, {96, 130, 160},
}

// carFrame turns a vehicle's own coordinates (x right, y up, z ahead of its middle) into
// camera coordinates and paints its faces.
type carFrame struct {
	s      *Scene
	x, z   float64
	rx, rz float64 // the vehicle's right in the world
	fx, fz float64 // the vehicle's ahead in the world
	eye    vec     // the camera in the vehicle's coordinates
	or     uint64  // class and depth
}

func (s *Scene) carFrame(t *thing) carFrame {
	c := carFrame{s: s, x: t.x, z: t.z, rx: t.heading, fz: t.heading}
	if t.heading == 0 {
		c.rx, c.fz = 0, 0
		c.fx, c.rz = t.length, -t.length
	}
	dx, dz := s.view.x-t.x, s.view.z-t.z
	c.eye = vec{dx*c.rx + dz*c.rz, s.view.h, dx*c.fx + dz*c.fz}
	c.or = uint64(ClassCar)<<classShift | depthBits(max(t.z-s.view.z-1.5, 1))
	return c
}

func (c *carFrame) camera(p vec) vec {
	return c.s.view.toCamera(vec{
		c.x + float64(p.x*c.rx) + float64(p.z*c.fx), p.y, c.z + float64(p.x*c.rz) + float64(p.z*c.fz),
	})
}

// face paints a polygon; nx, nz is its normal in the vehicle's coordinates and upward
// tells the sky's share.
func (c *carFrame) face(col rgb, nx, nz, upward float64, emit float64, p ...vec) {
	var cam [10]vec
	for i, q := range p {
		cam[i] = c.camera(q)
	}
	wx, wz := nx*c.rx+nz*c.fx, nx*c.rz+nz*c.fz
	l := &c.s.look
	daylight := int(float64(l.facing(wx, wz))*(1-upward) + float64(l.base)*upward)
	at := lightBits(c.s.receives(c.x, 0.8, c.z, daylight))
	if emit > 0 {
		at = emission(emit)
	}
	c.s.fillPoly(cam[:len(p)], col.pack()|c.or|at)
}

// quad paints a rectangle on the rear (dir -1) or front (dir 1) end at depth z.
func (c *carFrame) quad(col rgb, dir, z, x0, x1, y0, y1, emit float64) {
	c.face(col, 0, dir, 0.1, emit, vec{x0, y0, z}, vec{x0, y1, z}, vec{x1, y1, z}, vec{x1, y0, z})
}

// side paints a rectangle on the side dir.
func (c *carFrame) side(col rgb, dir, x, z0, z1, y0, y1 float64) {
	c.face(col, dir, 0, 0.1, 0, vec{x, y0, z0}, vec{x, y1, z0}, vec{x, y1, z1}, vec{x, y0, z1})
}

// drawCar draws a vehicle.
func (s *Scene) drawCar(t *thing) {
	r := rng(t.seed)
	b := bodies[t.variant%numCars]
	if b.roof < 2 { // no two the same
		b.length *= r.in(0.94, 1.06)
		b.roof *= r.in(0.97, 1.04)
	}
	col := carColours[r.intn(len(carColours))].scale(r.in(0.85, 1.1))
	c := s.carFrame(t)
	c.underside(&b)
	c.wheels(&b)
	c.lower(&b, col)
	c.cabin(&b, col)
	if c.eye.z < -b.length/2 {
		c.rear(&b, t, &r)
	}
	if c.eye.z > b.length/2 {
		c.front(&b, t, &r)
	}
}

var tyreColour = rgb{26, 26, 28}

func (c *carFrame) underside(b *body) {
	h, w := b.length/2, b.width/2
	dir := 1.0
	if c.eye.z < 0 {
		dir = -1
	}
	c.quad(rgb{16, 16, 18}, dir, dir*(h-0.4), -w+0.1, w-0.1, 0.12, 0.4, 0)
	for x := -1.0; x <= 1; x += 2 {
		c.quad(tyreColour, dir, dir*(h-0.45), x*(w-0.02), x*(w-0.22), 0, 0.45, 0)
	}
}

// lower paints the box below the belt line.
func (c *carFrame) lower(b *body, col rgb) {
	h, w := b.length/2, b.width/2
	const sill = 0.24
	l := &c.s.look
	rear, bonnet := b.rearBelt*b.length-h, b.frontBelt*b.length-h
	if math.Abs(c.eye.x) > w {
		dir := math.Copysign(1, c.eye.x)
		x := dir * w
		c.face(col, dir, 0, 0.1, 0, vec{x, sill, -h}, vec{x, b.belt - b.boot(), -h}, vec{x, b.belt, rear}, vec{x, b.belt, bonnet}, vec{x, b.nose(), h}, vec{x, sill, h})
		c.side(col.scale(0.55), dir, x, -h, h, sill, sill+0.12)
		c.side(col.scale(1.2), dir, x, -h+0.1, bonnet, b.belt-0.16, b.belt-0.12)
		if b.roof < 2.5 {
			for _, z := range [3]float64{-0.16, 0.04, 0.25} { // the gaps of the doors
				c.side(col.scale(0.55), dir, dir*w, z*b.length, z*b.length+0.03, sill, b.belt)
			}
		}
		c.arches(b, dir)
	}
	if math.Abs(c.eye.z) > h {
		dir, high := math.Copysign(1, c.eye.z), b.belt-b.boot()
		if dir > 0 {
			high = b.nose()
		}
		c.quad(col.scale(0.95), dir, dir*h, -w, w, sill, high, 0)
	}
	top := l.whiten(col.mix(l.skyHorizon, 0.15).scale(1.05), 0.75)
	if c.eye.y > b.belt || c.eye.z > h {
		c.face(top, 0, 0.3, 0.9, 0, vec{-w, b.belt, bonnet}, vec{-w, b.nose(), h}, vec{w, b.nose(), h}, vec{w, b.belt, bonnet})
	}
	if c.eye.y > b.belt {
		c.face(top, 0, -0.3, 0.9, 0, vec{-w, b.belt - b.boot(), -h}, vec{-w, b.belt, rear}, vec{w, b.belt, rear}, vec{w, b.belt - b.boot(), -h})
	}
}

// arches paints the wheels on the visible side.
func (c *carFrame) arches(b *body, dir float64) {
	for _, share := range [2]float64{-0.31, 0.31} {
		c.disc(rgb{12, 12, 14}, dir, dir*b.width/2, share*b.length, b.wheel, b.wheel*1.16)
		c.disc(tyreColour, dir, dir*(b.width/2+0.005), share*b.length, b.wheel, b.wheel)
		c.disc(rgb{140, 142, 146}, dir, dir*(b.width/2+0.01), share*b.length, b.wheel, b.wheel*0.6)
	}
}

// wheels paints what of the tyres reaches below the body on the visible side.
func (c *carFrame) wheels(b *body) {
	if math.Abs(c.eye.x) <= b.width/2 {
		return
	}
	dir := math.Copysign(1, c.eye.x)
	for _, share := range [2]float64{-0.31, 0.31} {
		c.disc(tyreColour, dir, dir*(b.width/2-0.05), share*b.length, b.wheel, b.wheel)
	}
}

// disc paints a circle on a side.
func (c *carFrame) disc(col rgb, dir, x, z, y, radius float64) {
	var p [10]vec
	for i := range p {
		a := float64(i) / 10 * 2 * math.Pi
		p[i] = vec{x, max(y+float64(radius*math.Cos(a)), 0), z + float64(radius*math.Sin(a))}
	}
	c.face(col, dir, 0, 0.1, 0, p[:]...)
}

// cabin paints glass, pillars and roof.
func (c *carFrame) cabin(b *body, col rgb) {
	h, w := b.length/2, b.width/2
	l := &c.s.look
	rb, rr := b.rearBelt*b.length-h, b.rearRoof*b.length-h
	fr, fb := b.frontRoof*b.length-h, b.frontBelt*b.length-h
	tw := w - b.taper
	glass := rgb{38, 44, 52}
	if !l.lamps {
		glass = glass.mix(l.skyHorizon, 0.16)
	}
	shell := l.whiten(col.scale(0.97), 0.08)
	if c.eye.y > b.roof {
		c.face(l.whiten(col, 0.8), 0, 0, 1, 0, vec{-tw, b.roof, rr}, vec{-tw, b.roof, fr}, vec{tw, b.roof, fr}, vec{tw, b.roof, rr})
	}
	if math.Abs(c.eye.x) > w {
		d := math.Copysign(1, c.eye.x)
		c.face(shell, d, 0, 0.2, 0, vec{d * w, b.belt, rb}, vec{d * tw, b.roof, rr}, vec{d * tw, b.roof, fr}, vec{d * w, b.belt, fb})
		at := func(along, up float64) vec {
			z0, z1 := rb+(rr-rb)*up, fb+(fr-fb)*up
			return vec{d * (w + (tw-w)*up + 0.005), b.belt + (b.roof-b.belt)*up, z0 + (z1-z0)*along}
		}
		from := 1 - b.glazed
		for _, p := range [2][2]float64{{max(from, 0.06), 0.47}, {max(from, 0.52), 0.94}} {
			if p[1] > p[0] {
				c.face(glass, d, 0, 0.1, 0, at(p[0], 0.08), at(p[0], 0.86), at(p[1], 0.86), at(p[1], 0.08))
			}
		}
	}
	lo, hi := 0.10, 0.86
	ends := func(d, zb, zr, slope float64) {
		c.face(shell, 0, d, slope, 0, vec{-w, b.belt, zb}, vec{-tw, b.roof, zr}, vec{tw, b.roof, zr}, vec{w, b.belt, zb})
		if d < 0 && b.glazed < 0.5 {
			return // no rear window
		}
		y := func(t float64) float64 { return b.belt + (b.roof-b.belt)*t }
		z := func(t float64) float64 { return zb + (zr-zb)*t + d*0.005 }
		wl, wh := (w+(tw-w)*lo)*0.9, (w+(tw-w)*hi)*0.9
		c.face(glass, 0, d, slope, 0, vec{-wl, y(lo), z(lo)}, vec{-wh, y(hi), z(hi)}, vec{wh, y(hi), z(hi)}, vec{wl, y(lo), z(lo)})
	}
	if c.eye.z < rb {
		ends(-1, rb, rr, 0.25)
	}
	if c.eye.z > fb {
		ends(1, fb, fr, 0.4)
	}
}

// rear paints lamps, plate and bumper.
func (c *carFrame) rear(b *body, t *thing, r *rng) {
	h, w := b.length/2+0.01, b.width/2
	c.quad(rgb{40, 40, 44}, -1, -h, -w, w, 0.26, 0.42, 0)
	c.quad(rgb{226, 222, 190}, -1, -h, -0.26, 0.26, b.belt-0.34, b.belt-0.23, 0)
	col, emit := rgb{170, 22, 24}, 0.0
	driving := t.heading != 0 && c.s.street.onLanes(t.x)
	if driving && (c.s.look.lamps || c.s.look.hazeDensity > 0.005) {
		col, emit = rgb{220, 24, 22}, 0.9
	}
	if t.braking {
		col, emit = rgb{255, 36, 28}, 1.3
	}
	lampW, lampH := r.in(0.2, 0.42), r.in(0.1, 0.22)
	for x := -1.0; x <= 1; x += 2 {
		c.quad(col, -1, -h, x*(w-0.05), x*(w-0.05-lampW), b.belt-0.08-lampH, b.belt-0.08, emit)
		if emit > 0 && c.s.look.lamps {
			c.glowAt(vec{x * (w - 0.2), b.belt - 0.16, -h}, rgb{255, 30, 20}, 0.55+0.3*emit)
		}
	}
}

// front paints lamps, grille and plate.
func (c *carFrame) front(b *body, t *thing, r *rng) {
	h, w, nose := b.length/2+0.01, b.width/2, b.nose()
	c.quad(rgb{34, 34, 38}, 1, h, -w*0.6, w*0.6, nose-0.3, nose-0.12, 0)
	c.quad(rgb{46, 46, 50}, 1, h, -w, w, 0.26, 0.40, 0)
	c.quad(rgb{230, 230, 226}, 1, h, -0.26, 0.26, 0.42, 0.53, 0)
	col, emit := rgb{214, 218, 222}, 0.0
	driving := t.heading != 0 && c.s.street.onLanes(t.x)
	if driving && (c.s.look.lamps || c.s.look.hazeDensity > 0.005) {
		col, emit = rgb{255, 250, 230}, 1.7
	}
	lampW := r.in(0.25, 0.42)
	for x := -1.0; x <= 1; x += 2 {
		c.quad(col, 1, h, x*(w-0.08), x*(w-0.08-lampW), nose-0.22, nose-0.06, emit)
		if emit > 0 && c.s.look.lamps {
			c.glowAt(vec{x * (w - 0.25), nose - 0.14, h}, rgb{255, 244, 214}, 1.3)
		}
	}
}

func (c *carFrame) glowAt(p vec, col rgb, radius float64) {
	at := vec{c.x + p.x*c.rx + p.z*c.fx, p.y, c.z + p.x*c.rz + p.z*c.fz}
	c.s.shine(bulb{at, col, radius})
}
