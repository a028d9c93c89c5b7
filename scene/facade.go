package scene

import "math"

// Texel values of facade tiles.
const (
	wallA uint8 = iota
	wallB
	wallC
	wallD
	joint
	trim
	trimShade
	sill
	glassDark
	glassMid
	glassBright
	curtain
	glassLit
	curtainLit
	doorLight
	doorShade
	shopBoard
	shopGlass
	shopLit
	awningA
	awningB
	plinth
	balcony
	rail
)

// Tiles of a facade family, in the order in which they are stored.
const (
	tilePlain = iota
	tileWindow
	tileWindowCurtain
	tileWindowLit
	tileDoor
	tileShop
	tileShopLit
	tileBalcony
	tilesPerFamily
)

const (
	facadeFamilies = 6
	tileRailing    = facadeFamilies*tilesPerFamily + iota
	tilePlanks
	tileMesh
	tileHedge
	numTiles
)

// facade is how a wall is papered: a tile per bay and storey, and its colours at four
// levels of detail. The first half of kinds is for the ground floor.
type facade struct {
	pal   [4 * 32]uint64
	kinds [32]uint8
	seed  uint64
}

// fade fills the coarser levels of detail by moving the colours towards their mean.
func (f *facade) fade(colours *[32]rgb, mean rgb) {
	for level, t := range [4]float64{0, 0.3, 0.6, 0.85} {
		for i, c := range colours {
			if f.pal[i]&lightMask != 0 { // lit panes stay visible from afar
				f.pal[level*32+i] = f.pal[i]
				continue
			}
			f.pal[level*32+i] = f.pal[i]&^0xffffff | c.mix(mean, t).pack()
		}
	}
}

// tile is a 64×64 drawing; row 0 is at the bottom.
type tile []uint8

func (t tile) box(x0, y0, x1, y1 int, c uint8) {
	for y := max(y0, 0); y < min(y1, 64); y++ {
		for x := max(x0, 0); x < min(x1, 64); x++ {
			t[y<<6|x] = c
		}
	}
}

// newTiles draws all wall tiles.
func newTiles(r *rng) []uint8 {
	tiles := make([]uint8, numTiles*4096)
	at := func(i int) tile { return tiles[i<<12 : (i+1)<<12] }
	for f := range facadeFamilies {
		drawFamily(r, f, func(kind int) tile { return at(f*tilesPerFamily + kind) })
	}
	for y := range 64 {
		for x := range 64 {
			i := y<<6 | x
			at(tileRailing)[i], at(tileMesh)[i] = clear, clear
			at(tilePlanks)[i] = uint8(2 + x/8*5%3)
			if x%8 == 0 {
				at(tilePlanks)[i] = joint
			}
			if x%8 < 4 || y > 58 || y < 6 {
				at(tileRailing)[i] = uint8(x % 8 / 3)
			}
			if (x+y)%8 < 3 || (x-y+64)%8 < 3 || y > 60 || x < 3 {
				at(tileMesh)[i] = uint8(1 + (x+y)%2)
			}
		}
	}
	leaves := noise(r, 64, 8, 4)
	for i := range 4096 {
		c := 4 + 6*leaves[i] + float64(i>>6)/24
		at(tileHedge)[i] = uint8(min(max(c, 0), 7))
	}
	return tiles
}

// drawFamily draws the tiles of one kind of building.
func drawFamily(r *rng, family int, at func(kind int) tile) {
	x0, y0 := 12+r.intn(8), 14+r.intn(8)
	x1, y1 := 64-x0, 50+r.intn(6)
	if family == 4 { // ribbon windows
		x0, x1, y0, y1 = 2, 62, 20, 54
	}
	if family == 5 { // curtain wall
		x0, x1, y0, y1 = 2, 62, 4, 61
	}
	brick := family%2 == 0
	grain := noise(r, 64, 16, 2)
	for kind := range tilesPerFamily {
		t := at(kind)
		for i := range t {
			x, y := i&63, i>>6
			t[i] = uint8(min(max(1.5+2*grain[i], 0), 3))
			if brick && y%4 == 0 || brick && (x+y/4%2*4)%8 == 0 {
				t[i] = min(t[i]+1, joint)
			}
		}
		if family == 1 || family == 3 {
			t.box(0, 61, 64, 64, sill)
		}
	}
	for _, w := range [][3]uint8{
		{tileWindow, glassDark, glassMid}, {tileWindowCurtain, glassMid, curtain},
		{tileWindowLit, glassLit, curtainLit}, {tileBalcony, glassDark, glassMid},
	} {
		drawWindow(at(int(w[0])), x0, y0, x1, y1, family, w[1], w[2])
	}
	b := at(tileBalcony)
	b.box(4, 2, 60, 5, balcony)
	for x := 5; x < 60; x += 4 {
		b.box(x, 5, x+2, 22, rail)
	}
	b.box(4, 21, 60, 24, balcony)
	drawGroundFloor(r, at)
}

// drawWindow draws a window with frame, mullions and sill.
func drawWindow(t tile, x0, y0, x1, y1, family int, lower, upper uint8) {
	t.box(x0-2, y0-2, x1+2, y1+2, trim)
	t.box(x0, y0, x1, y1, lower)
	t.box(x0, (y0+y1)/2+3, x1, y1, upper)
	if lower != glassLit {
		for i := range 14 { // a slanted reflection
			t.box(x0+4+i/2, y0+2+i, x0+10+i/2, y0+3+i, glassBright)
		}
	}
	if upper == curtain || upper == curtainLit {
		t.box(x0, y0, x0+4, y1, upper)
		t.box(x1-4, y0, x1, y1, upper)
	}
	t.box((x0+x1)/2-1, y0, (x0+x1)/2+1, y1, trim)
	if family != 5 {
		t.box(x0, (y0+y1)/2, x1, (y0+y1)/2+2, trimShade)
		t.box(x0-4, y0-5, x1+4, y0-2, sill)
	}
	t.box(x0, y1-2, x1, y1, trimShade)
}

func drawGroundFloor(r *rng, at func(kind int) tile) {
	for kind := range tilesPerFamily {
		if kind == tileDoor || kind == tileShop || kind == tileShopLit {
			at(kind).box(0, 0, 64, 4, plinth)
		}
	}
	d := at(tileDoor)
	d.box(16, 0, 48, 53, trim)
	d.box(19, 0, 45, 50, doorLight)
	d.box(31, 0, 33, 40, doorShade)
	for _, y := range []int{6, 24} {
		d.box(22, y, 29, y+13, doorShade)
		d.box(35, y, 42, y+13, doorShade)
	}
	d.box(19, 42, 45, 50, glassMid)
	d.box(10, 0, 54, 2, sill)
	awning := r.chance(0.5)
	for i, glass := range []uint8{shopGlass, shopLit} {
		t := at(tileShop + i)
		t.box(2, 5, 62, 48, trim)
		t.box(4, 8, 60, 46, glass)
		t.box(40, 0, 42, 46, trim)
		t.box(44, 4, 58, 44, glass)
		for j := 0; glass == shopGlass && j < 20; j++ {
			t.box(8+j, 10+j, 13+j, 11+j, glassMid)
		}
		t.box(0, 48, 64, 60, shopBoard)
		for x := 10; x < 54; x += 6 { // what could be letters
			t.box(x, 51, x+3+r.intn(2), 57, sill)
		}
		if awning {
			for x := 0; x < 64; x += 8 {
				t.box(x, 40, x+4, 49, awningA)
				t.box(x+4, 40, x+8, 49, awningB)
			}
		}
	}
}

// wall papers an upright rectangle over the segment from a to b (world; y ignored),
// between the heights y0 and y1. u0 and u1 are texture columns at a and b; perMetre is
// the number of texels per metre of height.
type wall struct {
	a, b     vec
	y0, y1   float64
	u0, u1   float64
	perMetre float64
	base     float64 // height of texture row 0
	daylight int
	f        *facade
}

// drawWall projects and paints a wall.
func (s *Scene) drawWall(w *wall) {
	a, b := s.view.toCamera(w.a), s.view.toCamera(w.b)
	u0, u1 := w.u0, w.u1
	if a.z < near && b.z < near {
		return
	}
	if a.z < near {
		t := (near - a.z) / (b.z - a.z)
		a.x, a.z, u0 = a.x+float64(t*(b.x-a.x)), near, u0+float64(t*(u1-u0))
	}
	if b.z < near {
		t := (near - b.z) / (a.z - b.z)
		b.x, b.z, u1 = b.x+float64(t*(a.x-b.x)), near, u1+float64(t*(u0-u1))
	}
	var quad [4]point
	for i, c := range [4]vec{{a.x, w.y0, a.z}, {a.x, w.y1, a.z}, {b.x, w.y1, b.z}, {b.x, w.y0, b.z}} {
		quad[i] = s.view.project(c)
	}
	x0, x1 := max(min(int(quad[0].x), int(quad[2].x))>>4, 0), min(max(int(quad[0].x), int(quad[2].x))>>4+1, s.w)
	if x0 >= x1 {
		return
	}
	y0, y1 := s.scan(quad[:])
	if y0 >= y1 {
		return
	}
	s.wallColumns(w, a, b, u0, u1, x0, x1)
	s.raster.fillWall(y0, y1, w.f, s.art.tiles)
}

// wallColumns fills the column tables for [x0,x1).
func (s *Scene) wallColumns(w *wall, a, b vec, u0, u1 float64, x0, x1 int) {
	v := &s.view
	xa, xb := v.cx+float64(v.f*a.x/a.z), v.cx+float64(v.f*b.x/b.z)
	if math.Abs(xb-xa) < 1e-3 {
		return
	}
	ia, ib := 1/a.z, 1/b.z
	top := float64((v.h-w.base)*w.perMetre) * 65536
	bayPixels := v.f * 64 / max(math.Abs(u1-u0), 1) * math.Hypot(b.x-a.x, b.z-a.z)
	const stripe = 8 // columns that share their light
	var light uint64
	for x := x0; x < x1; x++ {
		t := min(max((float64(x)+0.5-xa)/(xb-xa), 0), 1)
		iz := ia + float64(t*(ib-ia))
		z := 1 / iz
		u := (float64(u0*ia) + float64(t*(float64(u1*ib)-float64(u0*ia)))) * z
		k := z / v.f * w.perMetre * 65536
		s.colU[x] = int32(math.Floor(u))
		s.colK[x] = int64(k)
		s.colC[x] = int64(top + float64(k*(v.horizon-0.5)))
		if (x-x0)%stripe == 0 {
			wx := v.x + (float64(x)+0.5-v.cx)*z/v.f
			light = lightBits(s.receives(wx, 2, v.z+z, w.daylight))
		}
		s.colBits[x] = depthBits(z) | light
		level := int32(0)
		for px := bayPixels * iz; px < 40 && level < 3; px *= 2 {
			level++
		}
		s.colLOD[x] = level << 5
	}
}
