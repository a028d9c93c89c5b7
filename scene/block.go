package scene

// blockCache is how many blocks are kept; more than are ever in view.
const blockCache = 16

const (
	maxBuildings = 40
	maxThings    = 220
)

// kind says what an item is.
type kind uint8

const (
	kindBuilding kind = iota
	kindTree
	kindLamp
	kindSign
	kindSignal
	kindBollard
	kindFence
	kindHedge
	kindCar
	kindPerson
	kindRider
)

// thing is an object of the street, at rest or, when put together for a frame, moving.
type thing struct {
	kind    kind
	variant uint8
	heading float64 // 1 along the street, -1 against it, 0 across to the right
	x, z    float64
	length  float64 // fences and hedges: along the street, or across when heading is 0
	height  float64
	phase   int // of the gait
	braking bool
	before  float64 // how far back it must move in the drawing order to come after the facade behind it
	seed    uint64
}

// building is a block of masonry with an upright front along the street.
type building struct {
	side         float64 // -1 left, 1 right of the street
	front        float64 // distance of the facade from the street's middle
	z0, z1       float64
	depth        float64
	floors       int
	floorHeight  float64
	bay          float64
	gable        float64 // height of the roof; 0 flat
	roof, corner rgb
	facade       facade
}

func (b *building) height() float64 { return float64(float64(b.floors) * b.floorHeight) }

// plot is a rectangle of lawn.
type plot struct{ x0, x1, z0, z1 float64 }

// block is one stretch of the street with its content.
type block struct {
	index     int
	z0, z1    float64
	junction  bool
	start     float64 // where the pavements begin: z0, or the end of the junction
	buildings [maxBuildings]building
	nb        int
	things    [maxThings]thing
	nt        int
	lawns     [16]plot
	nl        int
}

func (b *block) add(t thing) {
	if b.nt < len(b.things) {
		b.things[b.nt] = t
		b.nt++
	}
}

func (b *block) addLawn(p plot) {
	if b.nl < len(b.lawns) {
		b.lawns[b.nl] = p
		b.nl++
	}
}

func (b *block) addBuilding() *building {
	if b.nb == len(b.buildings) {
		return nil
	}
	b.nb++
	return &b.buildings[b.nb-1]
}

// blockOf returns block i, filling it if it is not at hand.
func (s *Scene) blockOf(i int) *block {
	b := &s.blocks[uint(i)%blockCache]
	if b.index != i {
		s.layOut(b, i)
	}
	return b
}

// layOut fills a block.
func (s *Scene) layOut(b *block, i int) {
	st := &s.street
	*b = block{index: i, z0: float64(i) * st.blockLen}
	b.z1 = b.z0 + st.blockLen
	b.start = b.z0
	if b.junction = st.junction(i); b.junction {
		b.start += st.junctionLength()
	}
	for side := -1.0; side <= 1; side += 2 {
		r := seeded(st.seed, seedBlock, 2*i+int(side+1)/2)
		switch k := r.unit(); {
		case k < 0.12+0.12*st.green:
			s.layPark(b, side, &r)
		case r.chance(st.urban):
			s.layTerrace(b, side, &r)
		default:
			s.layHouses(b, side, &r)
		}
		s.layPavement(b, side, &r)
		s.layParking(b, side, &r)
	}
	if b.junction {
		r := seeded(st.seed, seedCrossing, i)
		r.next()
		s.layJunction(b, &r)
	}
	b.orderThings()
}

// orderThings notes which facade each thing stands before.
func (b *block) orderThings() {
	for i := range b.things[:b.nt] {
		t := &b.things[i]
		t.before = b.before(t.x, t.z)
	}
}

// before is how far a thing must move back in the drawing order because of the facade
// behind it. Buildings are sorted by their near end, so whatever stands before the facade
// further along must come right after it.
func (b *block) before(x, z float64) float64 {
	for i := range b.buildings[:b.nb] {
		h := &b.buildings[i]
		if h.side*x > 0 && h.side*x <= h.front && z >= h.z0 && z <= h.z1 {
			return z - h.z0 + 0.01
		}
	}
	return 0
}

// layTerrace sets buildings wall to wall along the pavement.
func (s *Scene) layTerrace(b *block, side float64, r *rng) {
	st := &s.street
	storeys := 2 + r.intn(3)
	for z := b.start + 0.3; z < b.z1-4; {
		width := r.in(7, 22)
		if b.z1-z-width < 7 {
			width = b.z1 - z - 0.3
		}
		if r.chance(0.1) && width < 14 { // a gap, fenced
			s.layFence(b, side, st.line+0.2, z, z+width, r)
			b.add(thing{kind: kindTree, x: side * (st.line + r.in(4, 7)), z: z + width/2, height: r.in(6, 11), variant: uint8(r.intn(numTrees)), seed: r.next()})
			b.addLawn(plot{side * (st.line + 0.3), side * (st.line + 40), z, z + width})
			z += width
			continue
		}
		bl := b.addBuilding()
		if bl == nil {
			return
		}
		*bl = building{
			side: side, front: st.line + r.in(0, 0.6), z0: z, z1: z + width, depth: 60,
			floors: max(storeys+r.intn(4)-1, 1) + int(st.urban*2.4), floorHeight: r.in(2.8, 3.7),
		}
		if r.chance(0.45) {
			bl.gable = r.in(1.5, 3.5)
		}
		s.dress(bl, r, r.chance(0.3+0.4*st.urban))
		z += width
	}
}

// layHouses sets detached houses behind front gardens.
func (s *Scene) layHouses(b *block, side float64, r *rng) {
	st := &s.street
	setback := r.in(2, 7)
	b.addLawn(plot{side * (st.line + 0.3), side * (st.line + 80), b.start, b.z1})
	fenced, hedged := r.chance(0.6), r.chance(0.5)
	gap := r.in(2, 6)
	for z := b.start + r.in(1, 3); z+8 < b.z1; {
		width := min(r.in(8, 14), b.z1-z-0.5)
		bl := b.addBuilding()
		if bl == nil {
			return
		}
		*bl = building{
			side: side, front: st.line + setback + r.in(0, 1.5), z0: z, z1: z + width, depth: r.in(8, 12),
			floors: 1 + r.intn(3), floorHeight: r.in(2.6, 3.1), gable: r.in(2, 4),
		}
		s.dress(bl, r, false)
		end := z + width + gap
		inGap := func(share float64) float64 { return min(z+width+gap*share, b.z1-0.1) }
		if r.chance(0.75) {
			b.add(thing{kind: kindTree, x: side * (st.line + r.in(1.5, setback+1)), z: inGap(0.5), height: r.in(3.5, 9), variant: uint8(r.intn(numTrees)), seed: r.next()})
		}
		if r.chance(0.7) { // what closes the view between two houses
			b.add(thing{kind: kindHedge, heading: 0, x: side * bl.front, z: inGap(0.8), length: side * 30, height: r.in(1.5, 4), seed: r.next()})
		}
		b.add(thing{kind: kindTree, x: side * (bl.front + 14 + r.in(0, 8)), z: inGap(0.6), height: r.in(8, 13), variant: uint8(r.intn(numTrees)), seed: r.next()})
		switch {
		case hedged && r.chance(0.8):
			b.add(thing{kind: kindHedge, heading: 1, x: side * (st.line + 0.4), z: z - 1, length: width - 1, height: r.in(0.8, 2), seed: r.next()})
		case fenced:
			s.layFence(b, side, st.line+0.2, z-1, min(end-1.2, b.z1), r)
		}
		z = end
	}
}

// layPark sets lawn and trees behind a fence.
func (s *Scene) layPark(b *block, side float64, r *rng) {
	st := &s.street
	b.addLawn(plot{side * (st.line + 0.2), side * (st.line + 90), b.start, b.z1})
	if r.chance(0.8) {
		s.layFence(b, side, st.line+0.15, b.start+0.5, b.z1, r)
	}
	for z := b.start + 3; z < b.z1; z += r.in(3, 7) {
		b.add(thing{kind: kindTree, x: side * (st.line + r.in(2.5, 28)), z: z, height: r.in(6, 14), variant: uint8(r.intn(numTrees)), seed: r.next()})
	}
	for range 5 { // the far side of the park
		b.add(thing{kind: kindHedge, heading: 1, x: side * (st.line + r.in(34, 46)), z: b.start, length: b.z1 - b.start, height: r.in(5, 9), seed: r.next()})
	}
}

// layFence sets a fence in panels, short enough that each can be sorted by one depth.
func (s *Scene) layFence(b *block, side, x, z0, z1 float64, r *rng) {
	panel := 12.0
	if x < s.street.line {
		panel = 3
	}
	variant, height, seed := uint8(r.intn(3)), r.in(0.9, 1.9), r.next()
	for z := z0; z < z1; z += panel {
		b.add(thing{kind: kindFence, heading: 1, variant: variant, x: side * x, z: z, length: min(panel, z1-z), height: height, seed: seed})
	}
}

// layPavement sets lamps, trees, signs, bollards and idlers on the pavement.
func (s *Scene) layPavement(b *block, side float64, r *rng) {
	st := &s.street
	kerbX := st.half + 0.5
	if st.lampSides&(int(side+3)/2) != 0 {
		for k := int(b.z0/st.lampEvery) - 1; ; k++ {
			z := float64(k) * st.lampEvery
			if z >= b.z1 {
				break
			}
			if z >= b.start {
				b.add(thing{kind: kindLamp, x: side * kerbX, z: z, height: st.lampHeight, seed: st.seed})
			}
		}
	}
	if r.chance(0.25 + 0.5*st.green) {
		every, variant, tall := r.in(8, 16), r.intn(numTrees), r.in(5, 10)
		for z := b.start + r.in(3, 8); z < b.z1-3; z += every {
			if r.chance(0.85) {
				b.add(thing{kind: kindTree, x: side * (kerbX + 0.4), z: z, height: tall * r.in(0.8, 1.2), variant: uint8(variant), seed: r.next()})
			}
		}
	}
	for range 1 + r.intn(4) {
		b.add(thing{kind: kindSign, x: side * kerbX, z: r.in(b.start+2, b.z1-2), height: r.in(2.1, 2.8), heading: -side * st.keep, variant: uint8(r.intn(numSigns)), seed: r.next()})
	}
	if r.chance(0.25) {
		for z, end := b.start+r.in(2, 20), b.z1-r.in(2, 30); z < end; z += 1.8 {
			b.add(thing{kind: kindBollard, x: side * (st.half + 0.35), z: z, height: 0.95, seed: r.next()})
		}
	} else if r.chance(0.2) {
		s.layFence(b, side, st.half+0.25, b.start+2, b.start+2+r.in(10, 30), r)
	}
	for range int(st.crowd * r.in(0, 5)) {
		b.add(thing{kind: kindPerson, x: side * r.in(st.half+0.9, st.line-0.4), z: r.in(b.start, b.z1), height: r.in(1.55, 1.9), variant: uint8(r.intn(numPeople)), heading: r.sign(), seed: r.next()})
	}
}

// layParking fills the parking strip, if there is one.
func (s *Scene) layParking(b *block, side float64, r *rng) {
	st := &s.street
	if st.parking == 0 {
		return
	}
	x := side * (st.half - 0.2 - st.parking/2)
	for z := b.start + 7; z < b.z1-5; z += r.in(5.6, 7) {
		if !r.chance(st.parked) {
			continue
		}
		heading := side * st.keep
		if r.chance(0.15) {
			heading = -heading
		}
		b.add(thing{kind: kindCar, x: x, z: z, heading: heading, variant: uint8(parkedVariants[r.intn(len(parkedVariants))]), seed: r.next()})
	}
}

// layJunction sets signals or signs and the traffic that waits in the side street.
func (s *Scene) layJunction(b *block, r *rng) {
	st := &s.street
	signals := r.chance(0.6)
	kerbX := st.half + 0.6
	for side := -1.0; side <= 1; side += 2 {
		if signals {
			b.add(thing{kind: kindSignal, x: side * kerbX, z: b.z0 - 0.8, height: 3.2, heading: -1, seed: mix(st.seed)})
			b.add(thing{kind: kindSignal, x: side * kerbX, z: b.start + 0.8, height: 3.2, heading: 1, seed: mix(st.seed)})
		} else {
			b.add(thing{kind: kindSign, x: side * kerbX, z: b.z0 - 0.8, height: 2.4, heading: -1, variant: uint8(r.intn(numSigns)), seed: r.next()})
		}
		mid := b.z0 + st.pavement + st.crossWidth/2
		for x := st.half + 5; x < 55; x += r.in(6, 14) {
			if r.chance(0.6 * st.traffic) {
				lane := side * st.keep * st.crossWidth / 4
				b.add(thing{kind: kindCar, x: side * x, z: mid + lane, heading: 0, length: -side, variant: uint8(r.intn(numCars)), seed: r.next()})
			}
		}
		for range int(st.crowd * r.in(0, 3)) {
			b.add(thing{kind: kindPerson, x: side * r.in(st.half+1, st.half+12), z: b.start + r.in(-st.pavement+0.4, -0.3), height: r.in(1.55, 1.9), variant: uint8(r.intn(numPeople)), heading: 0, seed: r.next()})
		}
		for x := st.line + r.in(3, 9); x < 60; x += r.in(7, 14) {
			b.add(thing{kind: kindTree, x: side * x, z: b.start - 0.8, height: r.in(5, 9), variant: uint8(r.intn(numTrees)), seed: r.next()})
		}
	}
}
