package scene

import "math"

const numSigns = 6

// drawItems paints what collect found, far to near.
func (s *Scene) drawItems() {
	for i := range s.items {
		it := &s.items[i]
		if it.house != nil {
			s.drawBuilding(it.house)
			continue
		}
		t := &it.thing
		switch t.kind {
		case kindTree:
			s.drawTree(t)
		case kindLamp:
			s.drawLamp(t)
		case kindSign:
			s.drawSign(t)
		case kindSignal:
			s.drawSignal(t)
		case kindBollard:
			s.drawPole(t.x, t.z, s.onKerb(t.x), t.height, 0.12, rgb{60, 60, 64})
		case kindFence, kindHedge:
			s.drawFence(t)
		case kindCar:
			s.drawCar(t)
		case kindPerson, kindRider:
			s.drawPerson(t)
		}
	}
}

// bits are the class, depth and light of something small.
func (s *Scene) bits(class byte, x, y, z float64, daylight int) uint64 {
	return uint64(class)<<classShift | depthBits(z-s.view.z) | lightBits(s.receives(x, y, z, daylight))
}

func (s *Scene) drawTree(t *thing) {
	r := rng(t.seed)
	l := &s.look
	leaf := rgb{88, 122, 50}.mix(rgb{116, 128, 56}, r.unit()).scale(r.in(0.75, 1.1))
	if r.chance(0.12) {
		leaf = rgb{172, 118, 48}.scale(r.in(0.7, 1))
	}
	if t.variant == numTrees-1 {
		leaf = rgb{58, 92, 58}
	}
	bark := rgb{92, 76, 60}.scale(r.in(0.7, 1.1))
	var pal [32]uint64
	for i := range 12 {
		c := leaf.scale(0.38 + 0.085*float64(i))
		pal[leafFirst+i] = l.whiten(c, float64(i)*0.055).pack()
	}
	for i := range 3 {
		pal[barkFirst+i] = l.whiten(bark.scale(1.15-0.3*float64(i)), 0.3).pack()
	}
	daylight := l.base * 4 / 5
	or := s.bits(ClassTree, t.x, 4, t.z, daylight)
	s.drawSprite(&s.art.trees[t.variant], t.x, s.onKerb(t.x)-0.05, t.z, t.height, r.chance(0.5), &pal, or)
}

// drawPole draws an upright post, lit from one side.
func (s *Scene) drawPole(x, z, y0, y1, width float64, c rgb) {
	cam := s.view.toCamera(vec{x, 0, z})
	if cam.z < near {
		return
	}
	or := s.bits(ClassPole, x, 2.5, z, s.look.base*3/4)
	a, b := s.view.project(vec{cam.x, y0, cam.z}), s.view.project(vec{cam.x, y1, cam.z})
	half := max(int32(width*s.view.f/cam.z*8), 5)
	s.fillBox(a.x-half, b.y, a.x+half, a.y, c.pack()|or)
	s.fillBox(a.x+half/3, b.y, a.x+half, a.y, c.scale(0.65).pack()|or)
}

// fillBox fills a rectangle of the picture.
func (s *Scene) fillBox(x0, y0, x1, y1 int32, px uint64) {
	s.fill([]point{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}, px)
}

// drawDisc fills a regular polygon of n corners that faces the camera, the first corner
// turned by the given angle.
func (s *Scene) drawDisc(at vec, radius float64, n int, turn float64, px uint64) {
	cam := s.view.toCamera(at)
	if cam.z < near {
		return
	}
	var p [12]point
	for i := range n {
		a := turn + float64(i)/float64(n)*2*math.Pi
		p[i] = s.view.project(vec{cam.x + float64(radius*math.Sin(a)), at.y + float64(radius*math.Cos(a)), cam.z})
	}
	s.fill(p[:n], px)
}

func (s *Scene) drawLamp(t *thing) {
	r := rng(t.seed)
	grey := rgb{98, 102, 100}.scale(r.in(0.6, 1.2))
	inward := -math.Copysign(1, t.x)
	s.drawPole(t.x, t.z, s.onKerb(t.x), t.height, 0.16, grey)
	arm := s.street.lampArm
	head := t.x + inward*arm
	s.drawPlate(t.x, head, t.height-0.08, t.height+0.04, t.z, grey, ClassPole, 0)
	cover, emit := s.look.whiten(grey.scale(0.8), 0.6), 0.0
	if s.look.lamps {
		cover, emit = rgb{255, 214, 150}, 1.6
		s.shine(bulb{vec{head, t.height - 0.06, t.z}, rgb{255, 190, 110}, 1.6})
	}
	s.drawPlate(head-0.3, head+0.3, t.height-0.16, t.height+0.04, t.z, cover, ClassPole, emit)
}

// shine notes a light for the glow around it.
func (s *Scene) shine(b bulb) {
	if len(s.bulbs) < cap(s.bulbs) {
		s.bulbs = append(s.bulbs, b)
	}
}

// drawPlate draws an upright rectangle across the street; emit above 0 makes it shine.
func (s *Scene) drawPlate(x0, x1, y0, y1, z float64, c rgb, class byte, emit float64) {
	cam := [4]vec{{x0, y0, z}, {x0, y1, z}, {x1, y1, z}, {x1, y0, z}}
	for i := range cam {
		cam[i] = s.view.toCamera(cam[i])
	}
	or := s.bits(class, x0, y0, z, s.look.base*3/4)
	if emit > 0 {
		or = or&^lightMask | emission(emit)
	}
	s.fillPoly(cam[:], c.pack()|or)
}

// drawSign draws a post with a board; heading -1 faces the camera.
func (s *Scene) drawSign(t *thing) {
	r := rng(t.seed)
	s.drawPole(t.x, t.z, s.onKerb(t.x), t.height+0.25, 0.08, rgb{150, 152, 154})
	or := s.bits(ClassSign, t.x, 2, t.z, s.look.base*9/10)
	if s.look.lamps { // boards throw headlights back
		or = or&^lightMask | lightBits(min(int(or>>lightShift)*2, 255))
	}
	at := vec{t.x, t.height, t.z - 0.06}
	disc := func(dy, radius float64, n int, turn float64, c rgb) {
		s.drawDisc(vec{at.x, at.y + dy, at.z}, radius, n, turn, c.pack()|or)
	}
	red, white, blue := rgb{196, 32, 36}, rgb{236, 236, 232}, rgb{30, 74, 160}
	if t.heading > 0 { // seen from behind
		disc(0, 0.36, 12, 0, rgb{132, 134, 138})
		return
	}
	switch t.variant {
	case 0: // warning
		disc(0, 0.5, 3, 0, red)
		disc(-0.02, 0.31, 3, 0, white)
		disc(-0.03, 0.1, 8, 0, rgb{30, 30, 30})
	case 1: // prohibition or speed limit
		disc(0, 0.37, 12, 0, red)
		disc(0, 0.27, 12, 0, white)
		s.drawPlate(t.x-0.13, t.x-0.02, t.height-0.12, t.height+0.12, at.z, rgb{24, 24, 24}, ClassSign, 0)
		s.drawPlate(t.x+0.03, t.x+0.14, t.height-0.12, t.height+0.12, at.z, rgb{24, 24, 24}, ClassSign, 0)
	case 2: // mandatory
		disc(0, 0.36, 12, 0, white)
		disc(0, 0.33, 12, 0, blue)
		s.drawPlate(t.x-0.04, t.x+0.04, t.height-0.2, t.height+0.2, at.z, white, ClassSign, 0)
	case 3: // stop
		disc(0, 0.42, 8, math.Pi/8, white)
		disc(0, 0.38, 8, math.Pi/8, red)
		s.drawPlate(t.x-0.24, t.x+0.24, t.height-0.06, t.height+0.08, at.z, white, ClassSign, 0)
	case 4: // parking, crossing
		disc(0, 0.46, 4, math.Pi/4, blue)
		disc(0, 0.2, 3, 0, white)
	default: // directions
		c := rgb{28, 100, 66}
		if r.chance(0.5) {
			c = blue
		}
		w := r.in(0.5, 0.9)
		s.drawPlate(t.x-w, t.x+w, t.height-0.35, t.height+0.3, at.z, white, ClassSign, 0)
		s.drawPlate(t.x-w+0.05, t.x+w-0.05, t.height-0.3, t.height+0.25, at.z, c, ClassSign, 0)
		s.drawPlate(t.x-w+0.15, t.x+w-0.3, t.height+0.03, t.height+0.13, at.z, white, ClassSign, 0)
		s.drawPlate(t.x-w+0.15, t.x+w-0.2, t.height-0.19, t.height-0.09, at.z, white, ClassSign, 0)
	}
}

// drawSignal draws a traffic light. Those for the camera's street show red just after it
// has passed, so that it never drives through one.
func (s *Scene) drawSignal(t *thing) {
	s.drawPole(t.x, t.z, s.onKerb(t.x), t.height+0.5, 0.11, rgb{70, 74, 72})
	y, z := t.height, t.z-0.15
	s.drawPlate(t.x-0.19, t.x+0.19, y-0.5, y+0.55, z, rgb{26, 28, 28}, ClassSign, 0)
	if t.heading > 0 {
		return
	}
	due := s.street.arrival(t.z) - s.t
	on := 2 // green
	if due > 9 {
		on = 0
	} else if due > 8 {
		on = 1
	}
	or := s.bits(ClassSign, t.x, y, z, s.look.base/2)
	for i, c := range [3]rgb{{255, 50, 40}, {255, 176, 40}, {60, 255, 150}} {
		at := vec{t.x, y + 0.36 - 0.34*float64(i), z}
		px := c.scale(0.25).pack() | or
		if i == on {
			px = c.pack() | or&^lightMask | emission(1.1)
			if s.look.lamps {
				s.shine(bulb{at, c, 0.5})
			}
		}
		s.drawDisc(at, 0.13, 8, 0, px)
	}
}

var fenceColours = []rgb{{70, 74, 78}, {142, 106, 72}, {126, 130, 132}, {216, 214, 206}, {56, 84, 62}, {104, 80, 62}}

// drawFence draws a fence or a hedge, along or across the street.
func (s *Scene) drawFence(t *thing) {
	r := rng(t.seed)
	f := &s.scratch
	f.seed = 0
	class, k := uint64(ClassFence)<<classShift, uint8(tileRailing)+t.variant
	base := fenceColours[r.intn(len(fenceColours))].scale(r.in(0.8, 1.1))
	perMetre := 64 / t.height
	columns := 64 / 1.1
	if t.kind == kindHedge {
		class, k = uint64(ClassTree)<<classShift, tileHedge
		base = rgb{70, 98, 44}.mix(rgb{96, 104, 52}, r.unit())
		columns, perMetre = 64/1.5, 64/max(t.height, 1.5)
	}
	for i := range f.kinds {
		f.kinds[i] = k
	}
	var c [32]rgb
	for i := range 8 {
		c[i] = s.look.whiten(base.scale(0.72+0.09*float64(i)), 0.1+0.04*float64(i))
		f.pal[i] = c[i].pack() | class
	}
	f.fade(&c, base)
	y := s.onKerb(t.x)
	w := wall{
		a: vec{t.x, 0, t.z}, b: vec{t.x, 0, t.z + t.length}, y0: y, y1: y + t.height, base: y,
		u1: t.length * columns, perMetre: perMetre, f: f,
	}
	w.daylight = s.look.facing(-math.Copysign(1, t.x), 0)
	if t.heading == 0 {
		w.b, w.u0 = vec{t.x + t.length, 0, t.z}, 4096
		w.u1 = w.u0 + math.Abs(t.length)*columns
		w.daylight = s.look.facing(0, -1)
	}
	s.drawWall(&w)
}

// drawPerson draws a pedestrian or a cyclist.
func (s *Scene) drawPerson(t *thing) {
	r := rng(t.seed)
	l := &s.look
	var pal [32]uint64
	cloth := func() rgb {
		switch r.intn(4) {
		case 0:
			return rgb{44, 46, 56}.scale(r.in(0.6, 1.5))
		case 1:
			return rgb{r.in(40, 230), r.in(30, 220), r.in(30, 220)}
		case 2:
			return rgb{70, 84, 120}.scale(r.in(0.6, 1.3))
		}
		return rgb{150, 140, 124}.scale(r.in(0.5, 1.5))
	}
	face := rgb{228, 180, 150}.mix(rgb{104, 70, 50}, r.unit())
	hairs := rgb{50, 38, 30}.mix(rgb{190, 160, 110}, r.unit()*r.unit())
	if t.kind == kindRider && r.chance(0.6) {
		hairs = rgb{r.in(60, 240), r.in(60, 230), r.in(60, 230)} // a helmet
	}
	for i, c := range [8]rgb{face, hairs, cloth(), cloth().scale(0.8), rgb{50, 46, 44}, cloth(), cloth(), rgb{34, 34, 36}} {
		for k := range 3 {
			pal[1+3*i+k] = c.scale(1.12 - 0.26*float64(k)).pack()
		}
	}
	class, tall := ClassPedestrian, t.height
	set := &s.art.people[t.variant%numPeople]
	if t.kind == kindRider {
		class, tall = ClassBicyclist, t.height*1.02
		set = &s.art.riders[t.variant%numRiders]
	}
	aspect, mirror := 0, false
	if t.heading == 0 {
		aspect, mirror = 1, t.length < 0
	}
	pose := t.phase & (gaitSteps - 1)
	or := s.bits(class, t.x, 1, t.z, l.base*4/5)
	s.drawSprite(&set[aspect][pose], t.x, s.onKerb(t.x), t.z, tall, mirror, &pal, or)
}
