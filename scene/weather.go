package scene

import "math"

// precipitate adds to the developed picture what hangs or falls in the air: the glow
// around lamps, reflections on wet ground, rain streaks, snow flakes.
func (s *Scene) precipitate(n int, bgr []byte) {
	l := &s.look
	if l.wet > 0 {
		s.reflect(bgr)
	}
	for i := range s.bulbs {
		s.halo(&s.bulbs[i], bgr)
	}
	area := float64(s.w*s.h) / (640 * 360)
	r := seeded(s.opt.Seed, seedParticle, n)
	for range int(float64(l.streaks) * math.Sqrt(area)) {
		s.streak(&r, bgr)
	}
	s.snowfall(bgr)
}

// reflect mirrors the picture above the horizon in the wet road.
func (s *Scene) reflect(bgr []byte) {
	h := int(s.view.horizon)
	dry := int(s.ground.road.pal[16] & 0xff)
	for y := max(h+1, 1); y < s.h; y++ {
		// Seen ever more steeply, the road mirrors less.
		share := int(200 / (1 + 5*float64(y-h)/float64(s.h)))
		mirror := min(max(h-(y-h), 0), s.h-1)
		row := s.pix[y*s.w : (y+1)*s.w]
		out := bgr[y*s.w*3 : (y+1)*s.w*3]
		from := bgr[mirror*s.w*3 : (mirror+1)*s.w*3]
		for i, p := range row {
			if byte(p>>classShift) != ClassRoad {
				continue
			}
			// Rough places, which are brighter in the texture, mirror less.
			k := share - 4*max(int(p&0xff)-dry+8, 0)
			if k <= 0 {
				continue
			}
			o, f := out[3*i:3*i+3:3*i+3], from[3*i:3*i+3:3*i+3]
			o[0] = uint8((int(o[0])*(256-k) + int(f[0])*k) >> 8)
			o[1] = uint8((int(o[1])*(256-k) + int(f[1])*k) >> 8)
			o[2] = uint8((int(o[2])*(256-k) + int(f[2])*k) >> 8)
		}
	}
}

// halo adds the glow of a lamp that is not hidden.
func (s *Scene) halo(b *bulb, bgr []byte) {
	cam := s.view.toCamera(b.at)
	if cam.z < 2 || cam.z > 160 {
		return
	}
	p := s.view.project(cam)
	x, y := int(p.x>>4), int(p.y>>4)
	if x < 0 || x >= s.w || y < 0 || y >= s.h || s.pix[y*s.w+x]>>lightShift&256 == 0 {
		return
	}
	if byte(s.pix[y*s.w+x]>>classShift) == ClassSky {
		return
	}
	radius := min(b.radius*s.view.f/cam.z+float64(s.w)/160, float64(s.w)/9)
	ri := int(radius)
	strength := 0.75
	if s.look.style == Dusk {
		strength = 0.5
	}
	cb, cg, cr := int(b.colour.b*strength), int(b.colour.g*strength), int(b.colour.r*strength)
	step := 31.5 / radius
	for yy := max(y-ri, 0); yy < min(y+ri, s.h); yy++ {
		ty := int(31.5+float64(yy-y)*step) & 63
		for xx := max(x-ri, 0); xx < min(x+ri, s.w); xx++ {
			g := int(s.art.glow[ty<<6|int(31.5+float64(xx-x)*step)&63])
			g = g * g >> 8
			o := bgr[(yy*s.w+xx)*3 : (yy*s.w+xx)*3+3 : (yy*s.w+xx)*3+3]
			o[0] = uint8(min(int(o[0])+cb*g>>8, 255))
			o[1] = uint8(min(int(o[1])+cg*g>>8, 255))
			o[2] = uint8(min(int(o[2])+cr*g>>8, 255))
		}
	}
}

// streak draws one drop of rain, blurred by the exposure.
func (s *Scene) streak(r *rng, bgr []byte) {
	nearness := r.unit()
	length := int((0.02 + 0.07*nearness*nearness) * float64(s.h))
	x, y := r.intn(s.w), r.intn(s.h+length)-length
	slant := r.in(-0.12, 0.12) + float64(x-s.w/2)/float64(s.w)*0.25
	k := 20 + int(nearness*34)
	width := 1 + s.w/900
	for i := range length {
		yy, xx := y+i, x+int(float64(i)*slant)
		if yy < 0 || yy >= s.h || xx < 0 || xx+width > s.w {
			continue
		}
		o := bgr[(yy*s.w+xx)*3 : (yy*s.w+xx+width)*3]
		for j, c := range o {
			o[j] = uint8(int(c) + (205-int(c))*k>>8)
		}
	}
}

// snowfall draws flakes that drift through the air before the camera, so that they come
// nearer from frame to frame.
func (s *Scene) snowfall(bgr []byte) {
	const deep = 9.0
	v := &s.view
	r := seeded(s.opt.Seed, seedParticle, 0)
	for range s.look.flakes {
		x, y, z := r.in(-1, 1), r.unit(), r.unit()
		fall, drift := r.in(0.9, 1.6), r.in(-0.5, 0.5)
		size := r.in(0.008, 0.02)
		ahead := 0.9 + deep*frac(z-s.view.z/deep)
		side := (frac(x/2+0.5+drift*s.t/12) - 0.5) * 1.5 * ahead
		up := (frac(y-fall*s.t/7) - 0.42) * 1.6 * ahead
		px, py := int(v.cx+v.f*side/ahead), int(v.horizon-v.f*up/ahead)
		s.flake(bgr, px, py, min(max(size*v.f/ahead, 0.7), float64(s.w)/120))
	}
}

func frac(x float64) float64 { return x - math.Floor(x) }

// flake blends a soft white disc.
func (s *Scene) flake(bgr []byte, x, y int, radius float64) {
	ri := int(radius + 1)
	for yy := max(y-ri, 0); yy <= min(y+ri, s.h-1); yy++ {
		for xx := max(x-ri, 0); xx <= min(x+ri, s.w-1); xx++ {
			d := float64((xx-x)*(xx-x)+(yy-y)*(yy-y)) / (radius * radius)
			k := int(215 * (1 - d))
			if k <= 0 {
				continue
			}
			o := bgr[(yy*s.w+xx)*3 : (yy*s.w+xx)*3+3 : (yy*s.w+xx)*3+3]
			for j, c := range o {
				o[j] = uint8(int(c) + (246-int(c))*k>>8)
			}
		}
	}
}
