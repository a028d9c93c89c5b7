package scene

import "math"

// art is everything that is painted once, when the scene is made.
type art struct {
	asphalt, paving, lawn, paint pyramid
	clouds                       []uint8     // 256×256, 0..31
	tiles                        []uint8     // facade tiles of 64×64 texels
	glow, pool, beam             [4096]uint8 // what is added to light
	blob, speckle                [4096]uint8 // what is taken off it
	even                         [4096]uint8
	trees                        [numTrees]sprite
	people                       [numPeople][2][gaitSteps]sprite // from the front, from the side
	riders                       [numRiders][2][gaitSteps]sprite
}

func newArt(seed uint64) art {
	a := art{}
	r := seeded(seed, seedTexture, 0)
	a.asphalt = newPyramid(asphaltTexture(&r))
	a.paving = newPyramid(pavingTexture(&r))
	a.lawn = newPyramid(lawnTexture(&r))
	a.paint = newPyramid(paintTexture(&r))
	a.clouds = cloudTexture(&r)
	a.tiles = newTiles(&r)
	a.lightTextures(&r)
	for i := range a.trees {
		a.trees[i] = newTree(&r, i)
	}
	for i := range a.people {
		for step := range gaitSteps {
			a.people[i][0][step] = newPerson(i, step, false)
			a.people[i][1][step] = newPerson(i, step, true)
		}
	}
	for i := range a.riders {
		for step := range gaitSteps {
			a.riders[i][0][step] = newRider(i, step, false)
			a.riders[i][1][step] = newRider(i, step, true)
		}
	}
	return a
}

// groundBits is the binary logarithm of a ground texture's side in texels, and
// texelsPerMetre its scale: a texture repeats after 5.12 m.
const (
	groundBits     = 9
	groundSide     = 1 << groundBits
	texelsPerMetre = 100.0
	pyramidLevels  = 6
)

// pyramid holds a texture of shades 0..31 and its successively halved versions.
type pyramid [pyramidLevels][]uint8

func newPyramid(base []uint8) pyramid {
	p := pyramid{base}
	for l := 1; l < pyramidLevels; l++ {
		side := groundSide >> l
		from, to := p[l-1], make([]uint8, side*side)
		for y := range side {
			for x := range side {
				i := 2*y*2*side + 2*x
				sum := int(from[i]) + int(from[i+1]) + int(from[i+2*side]) + int(from[i+2*side+1])
				to[y*side+x] = uint8((sum + 2) / 4)
			}
		}
		p[l] = to
	}
	return p
}

// noise is tileable value noise of the given number of octaves, around 0, within about ±1.
func noise(r *rng, side, cells, octaves int) []float64 {
	out := make([]float64, side*side)
	amplitude := 0.55
	for range octaves {
		grid := make([]float64, cells*cells)
		for i := range grid {
			grid[i] = r.in(-1, 1)
		}
		step := float64(cells) / float64(side)
		for y := range side {
			gy := float64(y) * step
			y0 := int(gy)
			fy := smooth(gy - float64(y0))
			row0, row1 := y0%cells*cells, (y0+1)%cells*cells
			for x := range side {
				gx := float64(x) * step
				x0 := int(gx)
				fx := smooth(gx - float64(x0))
				c0, c1 := x0%cells, (x0+1)%cells
				top := grid[row0+c0]*(1-fx) + grid[row0+c1]*fx
				bottom := grid[row1+c0]*(1-fx) + grid[row1+c1]*fx
				out[y*side+x] += amplitude * (top*(1-fy) + bottom*fy)
			}
		}
		amplitude *= 0.6
		cells = min(cells*2, side)
	}
	return out
}

func smooth(t float64) float64 { return t * t * (3 - 2*t) }

func shade(x float64) uint8 { return uint8(min(max(x+0.5, 0), 31)) }

func asphaltTexture(r *rng) []uint8 {
	coarse, fine := noise(r, groundSide, 4, 4), noise(r, groundSide, 128, 2)
	grit := r.in(3, 8)
	out := make([]uint8, groundSide*groundSide)
	for i := range out {
		out[i] = shade(16 + 5*coarse[i] + grit*fine[i] + r.in(-2, 2))
	}
	return out
}

// pavingTexture lays slabs, bricks or plain asphalt.
func pavingTexture(r *rng) []uint8 {
	coarse, fine := noise(r, groundSide, 4, 4), noise(r, groundSide, 128, 2)
	w, h := 64<<r.intn(2), 32<<r.intn(2)
	joint, tint := 3, r.in(2, 4)
	if r.chance(0.3) {
		w, h, joint = 32, 16, 2
	}
	plain := r.chance(0.2)
	out := make([]uint8, groundSide*groundSide)
	for y := range groundSide {
		for x := range groundSide {
			i := y*groundSide + x
			c := 16 + 3*coarse[i] + 3*fine[i]
			if !plain {
				xs := (x + y/h%2*w/2) % groundSide
				slab := rng(mix(uint64(xs/w*977 + y/h)))
				c += slab.in(-tint, tint)
				if xs%w < joint || y%h < joint {
					c -= 8
				}
			}
			out[i] = shade(c)
		}
	}
	return out
}

func lawnTexture(r *rng) []uint8 {
	coarse, fine := noise(r, groundSide, 8, 5), noise(r, groundSide, 256, 1)
	out := make([]uint8, groundSide*groundSide)
	for i := range out {
		out[i] = shade(15 + 9*coarse[i] + 8*fine[i])
	}
	return out
}

// paintTexture is road paint, worn in places.
func paintTexture(r *rng) []uint8 {
	coarse, fine := noise(r, groundSide, 16, 4), noise(r, groundSide, 128, 2)
	wear := r.in(0.5, 0.95)
	out := make([]uint8, groundSide*groundSide)
	for i := range out {
		c := 25 + 3*fine[i]
		if coarse[i]+0.4*fine[i] > wear-0.25 {
			c = 10 + 4*fine[i]
		}
		out[i] = shade(c)
	}
	return out
}

func cloudTexture(r *rng) []uint8 {
	n := noise(r, groundSide, 4, 6)
	out := make([]uint8, len(n))
	for i, c := range n {
		out[i] = shade(15.5 + 17*c)
	}
	return out
}

// lightTextures paints what is laid over the ground to brighten or darken it.
func (a *art) lightTextures(r *rng) {
	leaves := noise(r, 64, 8, 4)
	for y := range 64 {
		for x := range 64 {
			i := y*64 + x
			dx, dy := (float64(x)-31.5)/31.5, (float64(y)-31.5)/31.5
			d := math.Sqrt(dx*dx + dy*dy)
			fall := max(1-d, 0)
			a.glow[i] = uint8(255 * fall * fall * (1 - 0.5*fall))
			a.pool[i] = uint8(235 * smooth(fall) / (1 + 5*d*d))
			// v runs away from the car, u across the beam.
			along := float64(y) / 63
			width := 0.22 + 0.75*along
			edge := max(1-(dx/width)*(dx/width), 0)
			a.beam[i] = uint8(255 * edge * min(along*7, 1) * (1 - along) * (1 - along) * 0.9)
			box := max(math.Abs(dx), math.Abs(dy))
			a.blob[i] = uint8(225 * smooth(min(max((1-max(box, d*0.8))*4, 0), 1)))
			dapple := min(max((1-d)*3+1.6*leaves[i], 0), 1)
			a.speckle[i] = uint8(200 * dapple * min(max((1-d)*8, 0), 1))
			a.even[i] = 205
		}
	}
}
