package scene

// A pixel of the picture being drawn packs all that the photometric pass needs, so that
// colour, label, depth and light are always written together:
//
//	bits  0..23  albedo: blue, green, red from the lowest byte up
//	bits 24..31  class id
//	bits 32..47  inverse depth, 65535 at one metre, 0 at infinity
//	bits 48..56  light: 0..255 direct light received, 256..511 own emission (384 = as is)
const (
	classShift = 24
	depthShift = 32
	lightShift = 48
	lightMask  = uint64(0x1ff) << lightShift
	emitAsIs   = uint64(384) << lightShift
)

// depthBits encodes a distance in metres.
func depthBits(z float64) uint64 {
	return uint64(65535/max(z, 1)) << depthShift
}

func lightBits(direct int) uint64 { return uint64(min(max(direct, 0), 255)) << lightShift }

// emission is the light field of a surface that shines with strength times its albedo.
func emission(strength float64) uint64 {
	return uint64(256+min(max(int(strength*128), 0), 255)) << lightShift
}

// point is a place on the picture in sixteenths of a pixel. Rounding to sixteenths keeps
// the last bits of floating point, which differ between processors, out of the outlines.
type point struct{ x, y int32 }

// raster is the picture being drawn and the span table of the polygon in hand.
type raster struct {
	w, h   int
	pix    []uint64
	lo, hi []int32 // first pixel and one past the last, per row
	// Per-column tables of the wall in hand.
	colU       []int32
	colC, colK []int64
	colBits    []uint64
	colLOD     []int32
}

func newRaster(w, h int) raster {
	return raster{
		w: w, h: h, pix: make([]uint64, w*h),
		lo: make([]int32, h), hi: make([]int32, h),
		colU: make([]int32, w), colC: make([]int64, w), colK: make([]int64, w),
		colBits: make([]uint64, w), colLOD: make([]int32, w),
	}
}

// scan fills the span table for a convex polygon given in either winding and returns the
// rows [y0,y1) that it touches. A pixel belongs to the polygon that holds its centre, so
// polygons with a common edge neither overlap nor leave a gap.
func (r *raster) scan(p []point) (y0, y1 int) {
	top, bottom := p[0].y, p[0].y
	for _, q := range p[1:] {
		top, bottom = min(top, q.y), max(bottom, q.y)
	}
	y0, y1 = max(int(top+7)>>4, 0), min(int(bottom+7)>>4, r.h)
	if y0 >= y1 {
		return 0, 0
	}
	lo, hi := r.lo[y0:y1], r.hi[y0:y1]
	for i := range lo {
		lo[i], hi[i] = int32(r.w), 0
	}
	prev := p[len(p)-1]
	for _, q := range p {
		r.edge(prev, q)
		prev = q
	}
	return y0, y1
}

// edge widens the spans of the rows that the edge from a to b crosses.
func (r *raster) edge(a, b point) {
	if a.y > b.y {
		a, b = b, a
	}
	y0, y1 := max(int(a.y+7)>>4, 0), min(int(b.y+7)>>4, r.h)
	if y0 >= y1 {
		return
	}
	step := (int64(b.x-a.x) << 20) / int64(b.y-a.y) // 2^-16 of a sixteenth of a pixel per row
	x := int64(a.x)<<16 + step*int64(y0*16+8-int(a.y))>>4
	width := int32(r.w)
	lo, hi := r.lo[y0:y1], r.hi[y0:y1]
	for i := range lo {
		c := int32(min(max((x+7<<16+0xffff)>>20, 0), int64(width)))
		if c < lo[i] {
			lo[i] = c
		}
		if c > hi[i] {
			hi[i] = c
		}
		x += step
	}
}

// fill paints a convex polygon in one colour.
func (r *raster) fill(p []point, px uint64) {
	y0, y1 := r.scan(p)
	for y := y0; y < y1; y++ {
		if r.lo[y] >= r.hi[y] {
			continue
		}
		span := r.pix[y*r.w+int(r.lo[y]) : y*r.w+int(r.hi[y])]
		for i := range span {
			span[i] = px
		}
	}
}

// groundRow is the affine map from a pixel column to texture coordinates in one row.
type groundRow struct {
	u, v   uint32 // at the span's first pixel, 16.16
	du, dv uint32
}

// fillTexels paints the span of row y from a square texture of 1<<bits texels a side
// through the palette; or adds depth and light. Like all textures on the ground it is
// dithered by half a texel, in place of interpolation.
func (r *raster) fillTexels(y int, g groundRow, texels []uint8, bits uint, pal *[32]uint64, or uint64) {
	span := r.pix[y*r.w+int(r.lo[y]) : y*r.w+int(r.hi[y])]
	u, v := g.u-1<<15, g.v-1<<15
	mask := uint32(1)<<bits - 1
	dither := u ^ v
	for i := range span {
		dither = dither*1664525 + 1013904223
		t := texels[((v+dither&0xffff)>>16&mask)<<bits|(u+dither>>16)>>16&mask]
		span[i] = pal[t&31] | or
		u += g.du
		v += g.dv
	}
}

// brighten adds a 64×64 texture to the direct light of the span of row y.
func (r *raster) brighten(y int, g groundRow, texels *[4096]uint8) {
	span := r.pix[y*r.w+int(r.lo[y]) : y*r.w+int(r.hi[y])]
	u, v := g.u-1<<15, g.v-1<<15
	dither := u ^ v
	for i, p := range span {
		dither = dither*1664525 + 1013904223
		add := uint64(texels[(v+dither&0xffff)>>16&63<<6|(u+dither>>16)>>16&63])
		light := min(p>>lightShift+add, 255)
		span[i] = p&^lightMask | light<<lightShift
		u += g.du
		v += g.dv
	}
}

// darken takes a 64×64 texture's share, in 1/256, off the direct light of the span of row y.
func (r *raster) darken(y int, g groundRow, texels *[4096]uint8) {
	span := r.pix[y*r.w+int(r.lo[y]) : y*r.w+int(r.hi[y])]
	u, v := g.u-1<<15, g.v-1<<15
	dither := u ^ v
	for i, p := range span {
		dither = dither*1664525 + 1013904223
		keep := 256 - uint64(texels[(v+dither&0xffff)>>16&63<<6|(u+dither>>16)>>16&63])
		light := p >> lightShift * keep >> 8
		span[i] = p&^lightMask | light<<lightShift
		u += g.du
		v += g.dv
	}
}

// clear marks a texel through which the background shows.
const clear = 0xff

// fillWall paints the scanned rows [y0,y1) from the column tables. Texture coordinates
// count 64 texels to a tile; kinds names the tile by storey and bay.
func (r *raster) fillWall(y0, y1 int, f *facade, tiles []uint8) {
	seed := uint32(f.seed)
	for y := y0; y < y1; y++ {
		lo, hi := int(r.lo[y]), int(r.hi[y])
		if lo >= hi {
			continue
		}
		span := r.pix[y*r.w+lo : y*r.w+hi]
		cu, cc, ck, cb, cl := r.colU[lo:hi], r.colC[lo:hi], r.colK[lo:hi], r.colBits[lo:hi], r.colLOD[lo:hi]
		cu, cc, ck, cb, cl = cu[:len(span)], cc[:len(span)], ck[:len(span)], cb[:len(span)], cl[:len(span)]
		for i := range span {
			u := uint32(cu[i])
			v := uint32(max((cc[i]-int64(y)*ck[i])>>16, 0))
			tile := min(v>>6, 1)<<4 | (u>>6*0x9e3779b1^(v>>6)*0x85ebca6b^seed)*0xc2b2ae35>>28
			t := tiles[uint32(f.kinds[tile])<<12|v&63<<6|u&63]
			if t != clear {
				span[i] = f.pal[cl[i]|int32(t&31)] | cb[i]
			}
		}
	}
}
