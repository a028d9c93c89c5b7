package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
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

// Hash returns the SHA-256, in hexadecimal, of all keys and values in the order of the keys:
// states are equal to the last bit if it is.
func (s State) Hash() string {
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(hash, "%s %v\n", key, s[key].Shape)
		for chunk := range slices.Chunk(s[key].Data, 1<<12) {
			_ = binary.Write(hash, binary.LittleEndian, chunk) // a hash takes everything
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// KeyError lists the keys by which a state does not fit a network.
type KeyError struct {
	// Missing and Misshapen are in the network's order, Unknown are sorted. Misshapen keys are
	// followed by both shapes.
	Missing, Misshapen, Unknown []string
}

// Error lists all keys.
func (e *KeyError) Error() string {
	return "weights do not fit the network:\n" + e.List(math.MaxInt)
}

// List names at most limit keys of each kind, and counts the others.
func (e *KeyError) List(limit int) string {
	var lines []string
	for _, kind := range []struct {
		what string
		keys []string
	}{{"missing", e.Missing}, {"of another shape", e.Misshapen}, {"unknown", e.Unknown}} {
		if len(kind.keys) == 0 {
			continue
		}
		shown := kind.keys[:min(len(kind.keys), limit)]
		lines = append(lines, fmt.Sprintf("%d keys %s:\n  %s", len(kind.keys), kind.what, strings.Join(shown, "\n  ")))
		if more := len(kind.keys) - len(shown); more > 0 {
			lines = append(lines, fmt.Sprintf("  … and %d more", more))
		}
	}
	return strings.Join(lines, "\n")
}

// Check compares the state with what the network needs. The error is a [KeyError] with every
// key that is missing, has another shape, or belongs to no layer.
func (n *Network) Check(s State) error {
	var e KeyError
	known := map[string]bool{}
	for _, p := range n.Params() {
		known[p.Key] = true
		a, ok := s[p.Key]
		switch {
		case !ok:
			e.Missing = append(e.Missing, p.Key)
		case !slices.Equal(a.Shape, p.Shape) || len(a.Data) != p.Count():
			e.Misshapen = append(e.Misshapen, fmt.Sprintf("%s %v, not %v", p.Key, a.Shape, p.Shape))
		}
	}
	for key := range s {
		if !known[key] {
			e.Unknown = append(e.Unknown, key)
		}
	}
	if e.Missing == nil && e.Misshapen == nil && e.Unknown == nil {
		return nil
	}
	slices.Sort(e.Unknown)
	return &e
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
