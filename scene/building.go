package scene

import "math"

// wallColours are what facades are painted or built in.
var wallColours = []rgb{
	{164, 92, 70}, {150, 78, 60}, {178, 120, 92}, {206, 186, 150}, {222, 208, 178}, {196, 172, 128},
	{190, 188, 184}, {160, 162, 166}, {228, 224, 216}, {214, 170, 120}, {176, 186, 170}, {150, 170, 186},
	{206, 150, 140}, {120, 96, 84}, {232, 216, 160}, {134, 138, 146}, {198, 110, 80}, {170, 150, 130},
}

var roofColours = []rgb{{132, 70, 54}, {92, 84, 82}, {74, 78, 88}, {150, 92, 66}, {110, 98, 90}}

// dress chooses a building's facade.
func (s *Scene) dress(b *building, r *rng, shop bool) {
	f := &b.facade
	f.seed = r.next()
	family := r.intn(4)
	if b.floors > 4 && r.chance(0.5) {
		family = r.intn(facadeFamilies)
	}
	b.bay = r.in(2.4, 3.8)
	// A whole number of bays, so that no window is cut at the corner.
	b.bay = (b.z1 - b.z0) / math.Max(math.Floor((b.z1-b.z0)/b.bay), 1)
	first := uint8(family * tilesPerFamily)
	lit, shade := r.in(0.15, 0.5), r.in(0.1, 0.4)
	balconies, blank := r.chance(0.2) && family < 4, r.in(0, 0.12)
	for i := range f.kinds {
		k := uint8(tileWindow)
		switch c := r.unit(); {
		case c < lit:
			k = tileWindowLit
		case c < lit+shade:
			k = tileWindowCurtain
		}
		if r.chance(blank) {
			k = tilePlain
		}
		if i >= 16 && balconies && i%3 == 0 {
			k = tileBalcony
		}
		if i < 16 {
			switch {
			case shop:
				k = uint8(tileShop + r.intn(2))
				if r.chance(0.2) {
					k = tileDoor
				}
			case r.chance(0.25):
				k = tileDoor
			}
		}
		f.kinds[i] = first + k
	}
	s.paintFacade(b, r)
}

// paintFacade mixes a facade's colours.
func (s *Scene) paintFacade(b *building, r *rng) {
	l := &s.look
	base := wallColours[r.intn(len(wallColours))].scale(r.in(0.78, 1.08))
	trims := base.mix(rgb{240, 238, 230}, r.in(0.3, 1))
	if r.chance(0.2) {
		trims = rgb{70, 66, 64}
	}
	glass := rgb{52, 62, 74}.scale(r.in(0.7, 1.3))
	sky := l.skyTop.mix(l.skyHorizon, 0.5)
	if !l.lamps {
		glass = glass.mix(sky, 0.12)
	}
	accent := rgb{r.in(30, 220), r.in(30, 190), r.in(30, 200)}
	door := rgb{r.in(30, 150), r.in(30, 110), r.in(30, 120)}
	warm := rgb{255, 206, 132}.mix(rgb{240, 236, 214}, r.unit())
	c := [32]rgb{
		wallA: base.scale(0.9), wallB: base.scale(0.97), wallC: base.scale(1.02), wallD: base.scale(1.1), joint: base.scale(0.74),
		trim: trims, trimShade: trims.scale(0.75), sill: l.whiten(trims.scale(0.92), 0.75),
		glassDark: glass, glassMid: glass.scale(1.35), glassBright: glass.mix(sky, 0.45),
		curtain: rgb{196, 192, 180}, glassLit: glass, curtainLit: rgb{196, 192, 180},
		doorLight: door, doorShade: door.scale(0.7), shopBoard: accent, shopGlass: glass.scale(1.1), shopLit: glass.scale(1.3),
		awningA: l.whiten(accent.scale(1.1), 0.5), awningB: l.whiten(rgb{230, 226, 216}, 0.5), plinth: base.scale(0.6),
		balcony: rgb{150, 150, 150}, rail: rgb{88, 90, 94},
	}
	if l.lit > 0 {
		c[glassLit], c[curtainLit], c[shopLit] = warm, warm.scale(0.72), rgb{255, 240, 212}.scale(l.lit)
	}
	mean := base.scale(0.8).mix(glass, 0.2)
	class := uint64(ClassBuilding) << classShift
	f := &b.facade
	for i, col := range c {
		f.pal[i] = col.pack() | class
	}
	if l.lit > 0 {
		for _, i := range []uint8{glassLit, curtainLit, shopLit} {
			f.pal[i] |= litPane
		}
	}
	f.fade(&c, mean)
	b.roof = l.whiten(roofColours[r.intn(len(roofColours))].scale(r.in(0.8, 1.2)), 0.9)
	b.corner = base.scale(0.95)
}

// litPane makes a pane shine. The wall's own light is or-ed in per column, so this leaves
// only low bits free for it.
const litPane = uint64(256+112) << lightShift

// roofDepth is how far behind the facade a deep building has its ridge, in metres.
const roofDepth = 6.0

// drawBuilding draws the two or three sides that the camera can see.
func (s *Scene) drawBuilding(b *building) {
	x := b.side * b.front
	back := b.side * (b.front + b.depth)
	high := b.height()
	f := &b.facade
	perMetre := 64 / b.floorHeight
	if s.view.z < b.z0 { // the end that faces the camera
		bays := math.Max(math.Round(b.depth/b.bay), 1)
		w := wall{
			a: vec{x, 0, b.z0}, b: vec{back, 0, b.z0}, y1: high, u0: 64 * 64, u1: 64 * (64 + bays), perMetre: perMetre,
			daylight: s.look.facing(0, -1), f: f,
		}
		s.drawWall(&w)
		if b.gable > 0 {
			// A deep building's roof falls again out of sight; the wall goes up to the ridge.
			end, over := (x+back)/2, 0.0
			if b.depth > 30 {
				end, over = x+b.side*roofDepth, b.gable
			}
			s.drawFlat([]vec{{x, high, b.z0}, {end, high + b.gable, b.z0}, {back, high + over, b.z0}, {back, high, b.z0}},
				b.corner.scale(0.9), s.look.facing(0, -1), ClassBuilding)
		}
	}
	if b.gable > 0 {
		ridge := b.side * (b.front + min(b.depth/2, roofDepth))
		s.drawFlat([]vec{{x - b.side*0.3, high - 0.15, b.z0 - 0.2}, {x - b.side*0.3, high - 0.15, b.z1 + 0.2}, {ridge, high + b.gable, b.z1 + 0.2}, {ridge, high + b.gable, b.z0 - 0.2}},
			b.roof, s.look.facing(-b.side*0.8, 0)+s.look.base/4, ClassBuilding)
	}
	bays := math.Round((b.z1 - b.z0) / b.bay)
	w := wall{
		a: vec{x, 0, b.z0}, b: vec{x, 0, b.z1}, y1: high, u1: 64 * bays, perMetre: perMetre,
		daylight: s.look.facing(-b.side, 0), f: f,
	}
	s.drawWall(&w)
	if b.gable == 0 { // a cornice
		s.drawFlat([]vec{{x - b.side*0.15, high - 0.35, b.z0}, {x - b.side*0.15, high - 0.35, b.z1}, {x - b.side*0.15, high + 0.2, b.z1}, {x - b.side*0.15, high + 0.2, b.z0}},
			s.look.whiten(b.corner.scale(0.8), 0.4), s.look.facing(-b.side, 0), ClassBuilding)
	}
}

// drawFlat paints a convex polygon in world coordinates in one colour; depth and light
// are those of the corner nearest to the camera.
func (s *Scene) drawFlat(corners []vec, c rgb, daylight int, class byte) {
	var cam [8]vec
	nearest := math.Inf(1)
	for i, p := range corners {
		cam[i] = s.view.toCamera(p)
		nearest = min(nearest, cam[i].z)
	}
	nearest = max(nearest, 1)
	p := corners[0]
	light := lightBits(s.receives(p.x, p.y, s.view.z+nearest, daylight))
	s.fillPoly(cam[:len(corners)], c.pack()|uint64(class)<<classShift|depthBits(nearest)|light)
}
