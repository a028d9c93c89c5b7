package scene

import "math"

// sprite is an upright picture of palette indices, 0 being transparent, with its
// successively halved versions. Row 0 is at the top.
type sprite struct {
	w, h   int
	levels [4][]uint8
}

// halve derives the smaller versions, keeping a texel when half of its four are there.
func (p *sprite) halve() {
	for l := 1; l < len(p.levels); l++ {
		w, h, from := p.w>>l, p.h>>l, p.levels[l-1]
		to := make([]uint8, w*h)
		for y := range h {
			for x := range w {
				var seen, last uint8
				for _, t := range [4]uint8{
					from[2*y*2*w+2*x], from[2*y*2*w+2*x+1], from[(2*y+1)*2*w+2*x], from[(2*y+1)*2*w+2*x+1],
				} {
					if t != 0 {
						seen++
						last = t
					}
				}
				if seen >= 2 {
					to[y*w+x] = last
				}
			}
		}
		p.levels[l] = to
	}
}

// newSprite returns an empty sprite whose first level is to be drawn.
func newSprite(w, h int) sprite {
	return sprite{w: w, h: h, levels: [4][]uint8{make([]uint8, w*h)}}
}

// limb draws a straight thick line in sprite coordinates scaled so that the height is 1,
// x counted from the middle and y up from the feet. colour is the first of three shades:
// lit, middle, dark.
func (p *sprite) limb(x0, y0, r0, x1, y1, r1 float64, colour uint8) {
	k := float64(p.h)
	ax, ay, bx, by := float64(p.w)/2+x0*k, k-y0*k, float64(p.w)/2+x1*k, k-y1*k
	r0, r1 = r0*k, r1*k
	length := (bx-ax)*(bx-ax) + (by-ay)*(by-ay)
	reach := max(r0, r1) + 1
	for y := int(max(min(ay, by)-reach, 0)); y < int(min(max(ay, by)+reach+1, k)); y++ {
		for x := int(max(min(ax, bx)-reach, 0)); x < int(min(max(ax, bx)+reach+1, float64(p.w))); x++ {
			px, py := float64(x)+0.5, float64(y)+0.5
			t := 0.0
			if length > 0 {
				t = min(max(((px-ax)*(bx-ax)+(py-ay)*(by-ay))/length, 0), 1)
			}
			dx, dy := px-ax-t*(bx-ax), py-ay-t*(by-ay)
			r := r0 + t*(r1-r0)
			if dx*dx+dy*dy > r*r {
				continue
			}
			c := colour + 1
			if side := (dx + dy*0.5) / r; side < -0.35 {
				c = colour
			} else if side > 0.4 {
				c = colour + 2
			}
			p.levels[0][y*p.w+x] = c
		}
	}
}

// ring draws a wheel's rim.
func (p *sprite) ring(x, y, radius, thickness float64, colour uint8) {
	const steps = 28
	for i := range steps {
		a, b := float64(i)/steps*2*math.Pi, float64(i+1)/steps*2*math.Pi
		p.limb(x+radius*math.Cos(a), y+radius*math.Sin(a), thickness,
			x+radius*math.Cos(b), y+radius*math.Sin(b), thickness, colour)
	}
}

// First palette indices of what people wear and ride, three shades each.
const (
	skin     uint8 = 1
	hair     uint8 = 4
	top      uint8 = 7
	trousers uint8 = 10
	shoes    uint8 = 13
	bag      uint8 = 16
	frame    uint8 = 19
	tyre     uint8 = 22
)

const (
	numPeople = 4
	numRiders = 2
	gaitSteps = 8
)

// newPerson draws a walker at one of the steps of the gait; kind varies the figure.
func newPerson(kind, step int, side bool) sprite {
	p := newSprite(96, 192)
	swing := math.Sin(float64(step) / gaitSteps * 2 * math.Pi)
	lift := math.Abs(swing) * 0.008
	hip, shoulder := 0.49, 0.79-lift
	width := []float64{0.095, 0.085, 0.11, 0.09}[kind]
	if side {
		width *= 0.72
	}
	stride := 0.13 * swing
	spread, arms := 0.035, 0.0
	if !side {
		stride *= 0.16
		spread, arms = 0.045, 0.035
	}
	leg := func(d, s float64) {
		bend := 0.0
		if s < 0 {
			bend = 0.03
		}
		p.limb(d, hip, 0.045, d+s*0.55+bend, 0.26, 0.036, trousers)
		p.limb(d+s*0.55+bend, 0.26, 0.036, d+s, 0.05, 0.026, trousers)
		p.limb(d+s, 0.022, 0.022, d+s+0.03, 0.018, 0.018, shoes)
	}
	arm := func(d, s float64) {
		p.limb(d, shoulder-0.01, 0.028, d+s*0.5, 0.62, 0.024, top)
		p.limb(d+s*0.5, 0.62, 0.024, d+s, 0.49, 0.02, top)
		p.limb(d+s, 0.475, 0.02, d+s, 0.465, 0.02, skin)
	}
	arm(-width-arms/2, -stride)
	leg(-spread, stride)
	leg(spread, -stride)
	if kind == 1 { // a skirt or long coat
		p.limb(0, 0.52, 0.075, 0, 0.33, 0.09, top)
	}
	p.limb(0, shoulder-0.02, width*0.85, 0, 0.53, width*0.75, top)
	arm(width+arms/2, stride)
	if kind == 2 {
		p.limb(-width*0.9, 0.72, 0.05, -width*0.9, 0.6, 0.05, bag)
	}
	p.limb(0, 0.83, 0.028, 0, 0.86, 0.028, skin)
	p.limb(0, 0.92, 0.055, 0, 0.935, 0.055, skin)
	p.limb(0, 0.955, 0.052, 0, 0.945, 0.05, hair)
	if kind == 1 {
		p.limb(-0.035, 0.93, 0.03, -0.04, 0.85, 0.025, hair)
	}
	if !side && kind != 2 {
		p.limb(0, 0.915, 0.033, 0, 0.91, 0.033, skin)
	}
	p.halve()
	return p
}

// newRider draws a cyclist, seen along the street or from the side.
func newRider(kind, step int, side bool) sprite {
	phase := float64(step) / gaitSteps * 2 * math.Pi
	lean := []float64{0.10, 0.16}[kind]
	if !side {
		p := newSprite(112, 192)
		up := 0.06 * math.Sin(phase)
		p.limb(0, 0.0, 0.016, 0, 0.36, 0.016, tyre)
		p.limb(0, 0.3, 0.018, 0, 0.52, 0.02, frame)
		p.limb(-0.055, 0.5, 0.048, -0.07, 0.33+up, 0.036, trousers)
		p.limb(-0.07, 0.33+up, 0.034, -0.06, 0.16+up, 0.026, trousers)
		p.limb(-0.06, 0.13+up, 0.026, -0.06, 0.12+up, 0.026, shoes)
		p.limb(0.055, 0.5, 0.048, 0.07, 0.33-up, 0.036, trousers)
		p.limb(0.07, 0.33-up, 0.034, 0.06, 0.16-up, 0.026, trousers)
		p.limb(0.06, 0.13-up, 0.026, 0.06, 0.12-up, 0.026, shoes)
		p.limb(-0.17, 0.55, 0.012, 0.17, 0.55, 0.012, frame)
		p.limb(-0.1, 0.76, 0.03, -0.16, 0.57, 0.022, top)
		p.limb(0.1, 0.76, 0.03, 0.16, 0.57, 0.022, top)
		p.limb(0, 0.75, 0.095, 0, 0.54, 0.075, top)
		if kind == 1 {
			p.limb(0, 0.74, 0.07, 0, 0.62, 0.07, bag)
		}
		p.limb(0, 0.9, 0.052, 0, 0.92, 0.052, skin)
		p.limb(0, 0.935, 0.056, 0, 0.945, 0.054, hair)
		p.halve()
		return p
	}
	p := newSprite(208, 192)
	p.ring(-0.31, 0.19, 0.18, 0.011, tyre)
	p.ring(0.31, 0.19, 0.18, 0.011, tyre)
	for _, b := range [][4]float64{
		{-0.31, 0.19, -0.02, 0.17}, {-0.31, 0.19, -0.1, 0.43}, {-0.02, 0.17, -0.12, 0.5},
		{-0.1, 0.43, 0.22, 0.46}, {-0.02, 0.17, 0.22, 0.46}, {0.31, 0.19, 0.2, 0.56}, {0.2, 0.56, 0.27, 0.57},
	} {
		p.limb(b[0], b[1], 0.011, b[2], b[3], 0.011, frame)
	}
	leg := func(a float64) {
		fx, fy := -0.02+0.09*math.Cos(a), 0.17+0.09*math.Sin(a)
		kx, ky := (fx-0.12)/2+0.12, (fy+0.52)/2+0.02
		p.limb(-0.12, 0.52, 0.045, kx, ky, 0.036, trousers)
		p.limb(kx, ky, 0.034, fx, fy+0.03, 0.025, trousers)
		p.limb(fx-0.02, fy+0.01, 0.018, fx+0.04, fy, 0.016, shoes)
	}
	leg(phase + math.Pi)
	p.limb(-0.1, 0.54, 0.06, lean, 0.78, 0.07, top)
	leg(phase)
	p.limb(lean, 0.78, 0.03, 0.24, 0.58, 0.022, top)
	p.limb(lean+0.03, 0.88, 0.048, lean+0.03, 0.91, 0.05, skin)
	p.limb(lean+0.02, 0.935, 0.055, lean+0.02, 0.94, 0.05, hair)
	p.halve()
	return p
}

// numTrees counts the kinds of tree; the last two are bare and a conifer.
const (
	numTrees  = 8
	leafFirst = 1 // twelve shades of foliage, dark to light
	barkFirst = 13
)

func newTree(r *rng, kind int) sprite {
	p := newSprite(192, 256)
	trunk := r.in(0.012, 0.022)
	crown := r.in(0.28, 0.42)
	p.limb(0, 0, trunk*1.4, r.in(-0.02, 0.02), 0.55, trunk, barkFirst)
	if kind == numTrees-2 {
		p.branch(r, 0, 0.35, math.Pi/2, 0.2, trunk, 6)
		p.halve()
		return p
	}
	for range 5 {
		x := r.in(-0.16, 0.16)
		p.limb(0, r.in(0.3, 0.5), trunk*0.7, x, r.in(0.6, 0.8), trunk*0.3, barkFirst)
	}
	clumps := 90
	for i := range clumps {
		share := float64(i) / float64(clumps)
		a, d := r.in(0, 2*math.Pi), math.Sqrt(r.unit())
		y := 0.66 + 0.28*d*math.Sin(a)
		x := crown * 0.85 * d * math.Cos(a)
		size := r.in(0.045, 0.085)
		if kind == numTrees-1 {
			y = 0.12 + 0.84*r.unit()
			x = (1.02 - y) * 0.3 * r.in(-1, 1)
			size = r.in(0.03, 0.05)
		}
		p.clump(r, x, y, size, 3.5+3*share+(y-0.66)*9-x*4)
	}
	p.halve()
	return p
}

// branch draws a bare twig with its offshoots.
func (p *sprite) branch(r *rng, x, y, angle, length, radius float64, depth int) {
	ex, ey := x+length*math.Cos(angle), y+length*math.Sin(angle)
	p.limb(x, y, max(radius, 0.003), ex, ey, max(radius*0.6, 0.003), barkFirst)
	if depth == 0 {
		return
	}
	for range 2 + depth%2 {
		p.branch(r, ex, ey, angle+r.in(-0.75, 0.75), length*r.in(0.6, 0.8), radius*0.6, depth-1)
	}
}

// clump dabs leaves around a place; light is the shade, 0..11, of its middle.
func (p *sprite) clump(r *rng, x, y, radius, light float64) {
	k := float64(p.h)
	cx, cy, rad := float64(p.w)/2+x*k, k-y*k, radius*k
	for py := int(max(cy-rad, 0)); py < int(min(cy+rad, k)); py++ {
		for px := int(max(cx-rad, 0)); px < int(min(cx+rad, float64(p.w))); px++ {
			dx, dy := (float64(px)-cx)/rad, (float64(py)-cy)/rad
			d := dx*dx + dy*dy
			if d+r.in(-0.1, 0.45) > 0.9 {
				continue
			}
			c := light - 3*dy - 1.5*dx + r.in(-1.6, 1.6)
			p.levels[0][py*p.w+px] = leafFirst + uint8(min(max(c, 0), 11))
		}
	}
}

// drawSprite sets a sprite up at (x,z), its feet at height y, tall metres high.
func (s *Scene) drawSprite(p *sprite, x, y, z, tall float64, mirror bool, pal *[32]uint64, or uint64) {
	c := s.view.toCamera(vec{x, y, z})
	if c.z < near {
		return
	}
	foot := s.view.project(c)
	head := s.view.project(vec{c.x, y + tall, c.z})
	high := int(foot.y - head.y)
	if high < 8 {
		return
	}
	wide := high * p.w / p.h
	left := int(foot.x) - wide/2
	level := 0
	for level < len(p.levels)-1 && high>>4 < p.h>>(level+1) {
		level++
	}
	pw, ph, texels := p.w>>level, p.h>>level, p.levels[level]
	x0, x1 := max((left+7)>>4, 0), min((left+wide+7)>>4, s.w)
	y0, y1 := max(int(head.y+7)>>4, 0), min(int(foot.y+7)>>4, s.h)
	if x0 >= x1 {
		return
	}
	du := pw << 20 / max(wide, 1)
	u0 := (x0*16 + 8 - left) * (du >> 4)
	if mirror {
		u0, du = pw<<16-1-u0, -du
	}
	for row := y0; row < y1; row++ {
		ty := min((row*16+8-int(head.y))*ph/high, ph-1)
		line := texels[ty*pw : (ty+1)*pw]
		span := s.pix[row*s.w+x0 : row*s.w+x1]
		u := u0
		for i := range span {
			if k := u >> 16; uint(k) < uint(len(line)) {
				if t := line[k]; t != 0 {
					span[i] = pal[t&31] | or
				}
			}
			u += du
		}
	}
}
