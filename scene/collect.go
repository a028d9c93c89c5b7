package scene

import (
	"cmp"
	"math"
	"slices"
)

// item is one thing to draw. What stands beyond the plot boundaries (outer) is drawn
// before what stands between them, which it can never hide; each group is sorted by key,
// then by distance.
type item struct {
	outer      bool
	key, ahead float64 // metres along the street
	thing      thing
	house      *building
}

// order puts first what must be drawn first.
func order(a, b item) int {
	if a.outer != b.outer {
		if a.outer {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(b.key, a.key); c != 0 {
		return c
	}
	return cmp.Compare(b.ahead, a.ahead)
}

// bulb is a light that shines into the lens at night.
type bulb struct {
	at     vec
	colour rgb
	radius float64 // of its glow in metres
}

// collect gathers what may be in view, at rest and moving, and sorts it far to near.
func (s *Scene) collect() {
	s.items = s.items[:0]
	s.bulbs = s.bulbs[:0]
	z := s.view.z
	st := &s.street
	for i := st.blockAt(z - 12); i <= st.blockAt(z+farClip); i++ {
		b := s.blockOf(i)
		for j := range b.buildings[:b.nb] {
			h := &b.buildings[j]
			if h.z1 > z && h.z0 < z+farClip {
				s.push(item{outer: true, key: h.z0 - z, ahead: h.z0 - z, house: h})
			}
		}
		for j := range b.things[:b.nt] {
			s.consider(&b.things[j])
		}
		if b.junction {
			s.crossers(b)
		}
	}
	s.traffic()
	s.walkers()
	slices.SortFunc(s.items, order)
}

// push adds an item unless the list, which never grows, is full.
func (s *Scene) push(it item) {
	if len(s.items) < cap(s.items) {
		s.items = append(s.items, it)
	}
}

// consider adds a thing if it may be in view.
func (s *Scene) consider(t *thing) {
	ahead := t.z - s.view.z
	reach := smallClip
	switch t.kind {
	case kindTree, kindHedge, kindFence:
		reach = 320
	}
	end := ahead
	if t.heading != 0 {
		end += t.length
	}
	if ahead > reach || max(end, ahead+3) < 0 {
		return
	}
	it := item{ahead: ahead, key: ahead, thing: *t}
	switch {
	case math.Abs(t.x) >= s.street.line:
		it.outer = true
		it.key -= t.before
	case t.kind == kindFence: // along the kerb, so hidden by what drives past
		it.key += t.length
	case t.kind == kindCar:
		it.key -= bodies[t.variant%numCars].length / 2 * math.Abs(t.heading)
	}
	s.push(it)
}

// stream is a file of travellers that all move at one pace, one per slot at most.
type stream struct {
	id       uint64
	kind     kind
	x        float64
	pace     float64 // m/s along the street
	gap      float64 // metres between slots
	density  float64
	spread   float64 // sideways
	heading  float64
	variants int
}

// march adds a stream's travellers.
func (s *Scene) march(m *stream) {
	st := &s.street
	offset := float64(m.pace * s.t)
	first := int(math.Floor((s.view.z - 10 - offset) / m.gap))
	last := int(math.Floor((s.view.z + smallClip - offset) / m.gap))
	for i := first; i <= last; i++ {
		r := seeded(st.seed, seedStream+m.id<<8, i)
		if !r.chance(m.density) {
			continue
		}
		z := float64((float64(i)+r.in(0, 0.45))*m.gap) + offset
		step := int(math.Floor(float64(s.t*1.75*gaitSteps))) + r.intn(gaitSteps)
		s.consider(&thing{
			kind: m.kind, x: m.x + r.in(-m.spread, m.spread), z: z, heading: m.heading,
			variant: uint8(r.intn(m.variants)), height: r.in(1.5, 1.92), phase: step, seed: r.next(),
		})
	}
}

// traffic adds what drives and rides along the street.
func (s *Scene) traffic() {
	st := &s.street
	for i := range st.lanes {
		s.march(&stream{
			id: uint64(1 + i), kind: kindCar, x: st.laneX(-1, i), pace: -st.speed * (0.8 + 0.25*float64(i)),
			gap: 26, density: st.traffic * 0.75, spread: 0.2, heading: -1, variants: numCars,
		})
		if x := st.laneX(1, i); math.Abs(x-st.egoX) > 1 {
			pace := 1.25
			if math.Abs(x) > math.Abs(st.egoX) {
				pace = 0.85
			}
			s.march(&stream{
				id: uint64(8 + i), kind: kindCar, x: x, pace: st.speed * pace,
				gap: 30, density: st.traffic * 0.7, spread: 0.2, heading: 1, variants: numCars,
			})
		}
	}
	s.lead()
	edge := float64(st.lanes)*st.laneWidth + max(st.cycleLane/2, 0.25)
	if st.cycleLane == 0 && st.parking == 0 {
		edge -= 0.35
	}
	for dir := -1.0; dir <= 1; dir += 2 {
		s.march(&stream{
			id: uint64(16 + int(dir)), kind: kindRider, x: st.keep * dir * edge, pace: dir * 4.6,
			gap: 19, density: 0.25 + 0.35*st.crowd, spread: 0.15, heading: dir, variants: numRiders,
		})
	}
}

// lead adds the car ahead in the same lane: it is caught up with and then drives off, and
// after each such period another takes its place, far away.
func (s *Scene) lead() {
	st := &s.street
	const period = 34.0
	epoch := math.Floor(s.t / period)
	r := seeded(st.seed, seedLead, int(epoch))
	if !r.chance(0.35 + 0.6*st.traffic) {
		return
	}
	phase := float64((s.t/period-epoch)*2) - 1
	ahead := r.in(11, 24) + float64(230*phase*phase)
	s.consider(&thing{
		kind: kindCar, x: st.egoX + r.in(-0.15, 0.15), z: s.view.z + ahead, heading: 1,
		variant: uint8(r.intn(numCars)), braking: phase > -0.35 && phase < 0, seed: r.next(),
	})
}

// walkers adds those who walk along the pavements.
func (s *Scene) walkers() {
	st := &s.street
	for side := -1.0; side <= 1; side += 2 {
		for dir := -1.0; dir <= 1; dir += 2 {
			s.march(&stream{
				id: uint64(32 + int(side)*3 + int(dir)), kind: kindPerson, x: side * (st.half + st.pavement*0.55), pace: dir * 1.3,
				gap: 9, density: 0.1 + 0.45*st.crowd, spread: max(st.pavement*0.35-0.3, 0.05), heading: dir, variants: numPeople,
			})
		}
	}
}

// crossers adds people who cross the street at a junction, and are across before the
// camera arrives.
func (s *Scene) crossers(b *block) {
	st := &s.street
	r := seeded(st.seed, seedCrossing, b.index)
	r.next()
	r.next()
	arrival := st.arrival(b.z0)
	for range int(st.crowd*3.5 + r.unit()) {
		dir, early := r.sign(), r.in(2.5, 9)
		it := thing{
			kind: kindPerson, z: b.z0 - r.in(0.8, 2.2), variant: uint8(r.intn(numPeople)),
			height: r.in(1.55, 1.9), seed: r.next(),
		}
		pace := r.in(1.2, 1.6)
		rides := r.chance(0.3)
		if rides {
			pace = 3.2
			it.kind, it.variant = kindRider, uint8(r.intn(numRiders))
		}
		// Metres left to go to the far kerb, dir from where it started.
		x := st.half - float64((arrival-early-s.t)*pace)
		it.x = dir * x
		it.length = dir // faces the way it goes
		if x < -st.half-6 || x > st.half+30 {
			continue
		}
		it.phase = int(math.Floor(float64(s.t * 1.75 * gaitSteps)))
		it.before = s.blockOf(st.blockAt(it.z)).before(it.x, it.z)
		s.consider(&it)
	}
}

// onKerb is the height of the ground at x outside junctions.
func (s *Scene) onKerb(x float64) float64 {
	if math.Abs(x) > s.street.half {
		return s.street.kerb
	}
	return 0
}
