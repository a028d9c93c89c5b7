package conformance

import (
	"hash/fnv"
	"math"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// uniform returns n numbers in [−1, 1) from a splitmix64 stream that is seeded with the
// FNV-1a hash of the name, so that a reference needs no file of weights.
func uniform(name string, n int) []float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	seed := h.Sum64()
	values := make([]float64, n)
	for i := range values {
		seed += 0x9E3779B97F4A7C15
		z := seed
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		values[i] = float64(z>>11)/(1<<53)*2 - 1
	}
	return values
}

// Weights returns the network's weights by the reference's formulas.
func Weights(net *nn.Network) nn.State {
	state := nn.State{}
	for _, p := range net.Params() {
		a := nn.Array{Shape: p.Shape, Data: make([]float32, p.Count())}
		for i, u := range uniform(p.Key, p.Count()) {
			a.Data[i] = float32(weight(p, u))
		}
		state[p.Key] = a
	}
	return state
}

func weight(p nn.Param, u float64) float64 {
	switch p.Role {
	case nn.Kernel:
		return u * math.Sqrt(6/float64(p.Shape[1]*p.Shape[2]*p.Shape[3]))
	case nn.Scale:
		return 1 + 0.2*u
	case nn.RunningVar:
		return 1 + 0.5*u
	default:
		return 0.1 * u
	}
}

// pictures returns a batch of normalised pictures.
func (r *Reference) pictures() []float32 {
	u := uniform("input", r.Input[0]*3*r.Input[2]*r.Input[3])
	values := make([]float32, len(u))
	for i := range u {
		values[i] = float32(2 * u[i])
	}
	return values
}

// labels returns the batch's labels: blocks of 8×8 pixels that run through the numbers below
// the period. Those that are no class are ignored.
func (r *Reference) labels(period int) []int64 {
	b, h, w := r.Input[0], r.Input[2], r.Input[3]
	labels := make([]int64, 0, b*h*w)
	for image := range b {
		for y := range h {
			for x := range w {
				v := (y/8*7 + x/8*3 + image) % period
				if v >= r.Classes {
					v = model.IgnoredLabel
				}
				labels = append(labels, int64(v))
			}
		}
	}
	return labels
}

// views returns a picture and its photometric variant.
func (r *Reference) views(original, change string) (plain, styled []float32) {
	n := 3 * r.Input[2] * r.Input[3]
	u, v := uniform(original, n), uniform(change, n)
	plain, styled = make([]float32, n), make([]float32, n)
	for i := range u {
		plain[i] = float32(2 * u[i])
		styled[i] = min(max(plain[i]+0.5*float32(2*v[i]), -2), 2)
	}
	return plain, styled
}
