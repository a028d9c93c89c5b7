package scene

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rng is a SplitMix64 sequence. Being a plain integer it can be started anywhere in the
// world from a hash of the place, which is what makes frames independent of each other.
type rng uint64

// seeded starts the sequence that belongs to (seed, what, i).
func seeded(seed, what uint64, i int) rng {
	return rng(mix(mix(seed^mix(what)) + uint64(int64(i))))
}

func (r *rng) next() uint64 {
	*r++
	return mix(uint64(*r))
}

// unit returns a number in [0,1).
func (r *rng) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

// in returns a number in [lo,hi).
func (r *rng) in(lo, hi float64) float64 { return lo + float64(r.unit()*(hi-lo)) }

// intn returns an integer in [0,n).
func (r *rng) intn(n int) int { return int(r.next() >> 33 % uint64(n)) }

func (r *rng) chance(p float64) bool { return r.unit() < p }

// sign returns -1 or 1.
func (r *rng) sign() float64 { return float64(int(r.next()>>63)*2 - 1) }

// Places that sequences are started for.
const (
	seedStreet uint64 = iota + 1
	seedBlock
	seedStream
	seedLead
	seedTexture
	seedSprite
	seedNoise
	seedParticle
	seedLook
	seedCrossing
)
