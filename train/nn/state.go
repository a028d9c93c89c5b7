package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Array is a parameter's values, row-major.
type Array struct {
	Shape []int
	Data  []float32
}

// State holds the parameters and buffers of a network by their keys.
type State map[string]Array

// Check compares the state with what the network needs. The error lists every key that is
// missing, has another shape, or belongs to no layer.
func (n *Network) Check(s State) error {
	var missing, misshapen, unknown []string
	known := map[string]bool{}
	for _, p := range n.Params() {
		known[p.Key] = true
		a, ok := s[p.Key]
		switch {
		case !ok:
			missing = append(missing, p.Key)
		case !slices.Equal(a.Shape, p.Shape) || len(a.Data) != p.Count():
			misshapen = append(misshapen, fmt.Sprintf("%s %v, not %v", p.Key, a.Shape, p.Shape))
		}
	}
	for key := range s {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return keyErrors(missing, misshapen, unknown)
}

// keyErrors returns nil when all lists are empty.
func keyErrors(missing, misshapen, unknown []string) error {
	var lines []string
	for _, list := range []struct {
		what string
		keys []string
	}{{"missing", missing}, {"of another shape", misshapen}, {"unknown", unknown}} {
		if len(list.keys) > 0 {
			lines = append(lines, fmt.Sprintf("%d keys %s:\n  %s", len(list.keys), list.what, strings.Join(list.keys, "\n  ")))
		}
	}
	if lines == nil {
		return nil
	}
	return fmt.Errorf("weights do not fit the network:\n%s", strings.Join(lines, "\n"))
}

// Init returns fresh parameters: He et al.'s normal distribution for convolutions (fan-in,
// gain √2), norms that change nothing, biases of 0. The same seed gives the same values.
func (n *Network) Init(seed uint64) State {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	s := State{}
	for _, p := range n.Params() {
		s[p.Key] = p.initial(rng)
	}
	return s
}

func (p Param) initial(rng *rand.Rand) Array {
	a := Array{Shape: p.Shape, Data: make([]float32, p.Count())}
	switch p.Role {
	case Kernel:
		std := math.Sqrt(2 / float64(p.Shape[1]*p.Shape[2]*p.Shape[3]))
		for i := range a.Data {
			a.Data[i] = float32(rng.NormFloat64() * std)
		}
	case Scale, RunningVar, MixWeight:
		for i := range a.Data {
			a.Data[i] = 1
		}
	case RunningCov, RunningWhitener:
		c := p.Shape[2]
		for i := range a.Data {
			if i%(c*c)%(c+1) == 0 {
				a.Data[i] = 1
			}
		}
	}
	return a
}
