package scene

import "math"

// farClip is how far in metres the street is drawn; smallClip how far small things are.
const (
	farClip   = 420.0
	smallClip = 190.0
)

// street is what stays the same along the whole way.
type street struct {
	seed uint64
	// keep is 1 where traffic keeps to the right and -1 where it keeps to the left.
	keep       float64
	lanes      int     // per direction
	laneWidth  float64 // metres, like all below
	cycleLane  float64 // width; 0 where there is none
	parking    float64 // width of the strip; 0 where nobody may park
	half       float64 // from the middle to the kerb
	pavement   float64 // width
	line       float64 // from the middle to the plot boundaries
	kerb       float64 // height
	blockLen   float64
	crossWidth float64
	junctions  float64 // share of blocks that begin with one

	lampEvery  float64
	lampHeight float64
	lampSides  int // 1 left, 2 right, 3 both
	lampArm    float64

	speed, surge   float64 // m/s and metres of back and forth
	surgeRate      float64
	egoX           float64
	cameraHeight   float64
	focal, horizon float64 // in widths and heights of the picture
	yaw            float64

	// Tendencies of the neighbourhood, 0..1.
	urban, green, parked, traffic, crowd float64
	markDash, markGap                    float64
	centreYellow, centreSolid, edgeLines bool
}

func newStreet(seed uint64) street {
	r := seeded(seed, seedStreet, 0)
	st := street{
		seed: seed, keep: r.sign(), lanes: 1, laneWidth: r.in(2.9, 3.7),
		pavement: r.in(1.9, 4.4), kerb: r.in(0.10, 0.16),
		blockLen: r.in(70, 115), crossWidth: r.in(6.5, 10), junctions: r.in(0.4, 0.9),
		lampEvery: r.in(22, 36), lampHeight: r.in(5.5, 8.5), lampSides: 1 + r.intn(3), lampArm: r.in(0.6, 2),
		speed: r.in(6, 12.5), surge: r.in(0, 6), surgeRate: r.in(0.08, 0.2),
		cameraHeight: r.in(1.15, 1.75), focal: r.in(0.72, 1.02), horizon: r.in(0.41, 0.53), yaw: r.in(-0.035, 0.035),
		urban: r.unit(), green: r.unit(), parked: r.in(0.15, 0.9), traffic: r.in(0.2, 0.9), crowd: r.in(0.2, 1),
		markDash: r.in(1.5, 4.5), markGap: r.in(2.5, 7), centreYellow: r.chance(0.25), centreSolid: r.chance(0.35),
		edgeLines: r.chance(0.5),
	}
	if r.chance(0.4) {
		st.lanes = 2
	}
	if r.chance(0.3) {
		st.cycleLane = r.in(1.3, 1.8)
	}
	if r.chance(0.75) {
		st.parking = r.in(2.0, 2.4)
	}
	margin := 0.35
	st.half = float64(float64(st.lanes)*st.laneWidth) + st.cycleLane + st.parking + margin
	st.line = st.half + st.pavement
	lane := 0.5
	if st.lanes == 2 && r.chance(0.5) {
		lane = 1.5
	}
	st.egoX = st.keep * float64(st.laneWidth*lane)
	return st
}

// egoZ is how far the camera has come after t seconds.
func (st *street) egoZ(t float64) float64 {
	return float64(st.speed*t) + float64(st.surge*math.Sin(float64(st.surgeRate*t)))
}

// arrival is when the camera comes to z, to within the surge.
func (st *street) arrival(z float64) float64 {
	t := z / st.speed
	for range 4 {
		t += (z - st.egoZ(t)) / st.speed
	}
	return t
}

// junction says whether block i begins with a side street.
func (st *street) junction(i int) bool {
	r := seeded(st.seed, seedCrossing, i)
	return r.chance(st.junctions)
}

// junctionLength is the part of a block, along the street, that a side street with its
// pavements takes.
func (st *street) junctionLength() float64 { return st.crossWidth + 2*st.pavement }

// lampWave is the share of lamp light, 0..1, that reaches a place.
func (st *street) lampWave(x, z float64) float64 {
	phase := math.Abs(z/st.lampEvery - math.Floor(z/st.lampEvery+0.5)) // 0 at a lamp, 0.5 between two
	along := phase * st.lampEvery
	wave := 0.0
	reach := st.lampHeight * 0.9
	lampX := st.half + 0.5 - st.lampArm
	for side := -1.0; side <= 1; side += 2 {
		if st.lampSides&(int(side+3)/2) == 0 {
			continue
		}
		dx := x - side*lampX
		wave += 1 / (1 + (along*along+dx*dx)/(reach*reach)*1.6)
	}
	return math.Min(wave*wave, 1)
}

// laneX is the middle of lane i of a direction, counted from the centre line.
func (st *street) laneX(dir float64, i int) float64 {
	return st.keep * dir * float64(st.laneWidth*(float64(i)+0.5))
}

// blockAt is the block that holds z.
func (st *street) blockAt(z float64) int { return int(math.Floor(z / st.blockLen)) }

// onLanes says whether x lies on a lane for moving traffic.
func (st *street) onLanes(x float64) bool {
	return math.Abs(x) < float64(float64(st.lanes)*st.laneWidth)
}
