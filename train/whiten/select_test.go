package whiten

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// referenceFolder is a network's numbers computed with the published code.
type referenceFolder struct {
	Clusters   int     `json:"clusters"`
	RelaxDenom float64 `json:"relax_denom"`
	MaskOnes   []int   `json:"mask_ones"`
	Tensors    map[string]struct {
		Shape  []int `json:"shape"`
		Offset int   `json:"offset"`
	} `json:"tensors"`
	data []byte
}

func openReference(t *testing.T, name string) referenceFolder {
	t.Helper()
	folder := filepath.Join(cmp.Or(os.Getenv("ROBUSTNET_SHARED"), "../../../shared"), "reference", name)
	manifest, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		t.Skipf("no reference numbers: %v", err)
	}
	var r referenceFolder
	if err := json.Unmarshal(manifest, &r); err != nil {
		t.Fatal(err)
	}
	if r.data, err = os.ReadFile(filepath.Join(folder, "tensors.f32")); err != nil {
		t.Fatal(err)
	}
	return r
}

// matrix returns a square tensor and its number of rows.
func (r referenceFolder) matrix(t *testing.T, name string) ([]float64, int) {
	t.Helper()
	tensor, ok := r.Tensors[name]
	if !ok {
		t.Fatalf("the reference has no %s", name)
	}
	values := make([]float64, tensor.Shape[0]*tensor.Shape[1])
	for i := range values {
		values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(r.data[tensor.Offset+4*i:])))
	}
	return values, tensor.Shape[0]
}

func TestSelectReference(t *testing.T) {
	for _, name := range []string{"mobilenetv2_isw", "resnet50_isw"} {
		r := openReference(t, name)
		for layer := range r.MaskOnes {
			t.Run(fmt.Sprintf("%s layer %d", name, layer), func(t *testing.T) {
				variance, channels := r.matrix(t, fmt.Sprintf("trial0_layer%d_mean_variance", layer))
				want, _ := r.matrix(t, fmt.Sprintf("mask_after_trial0_layer%d", layer))
				selector := Selector{Layer: t.Name(), Channels: channels, Clusters: r.Clusters, RelaxDenom: r.RelaxDenom}
				mask, err := selector.Select(variance)
				if err != nil {
					t.Fatal(err)
				}
				compareMask(t, mask, want)

				want, _ = r.matrix(t, fmt.Sprintf("mask_after_trial1_layer%d", layer))
				second, err := ParseMask(channels, toUint8(want))
				if err != nil {
					t.Fatal(err)
				}
				both, err := selector.Intersect(mask, second)
				if err != nil {
					t.Fatal(err)
				}
				compareMask(t, both, want)
				if both.Ones() != r.MaskOnes[layer] {
					t.Errorf("%d ones, want %d", both.Ones(), r.MaskOnes[layer])
				}
			})
		}
	}
}

func compareMask(t *testing.T, got Mask, want []float64) {
	t.Helper()
	differ, ones := 0, 0
	for i, v := range got.Uint8() {
		ones += int(v)
		if float64(v) != want[i] {
			differ++
		}
	}
	if differ != 0 || ones != got.Ones() {
		t.Errorf("%d of %d entries differ; %d ones are set, %d said", differ, len(want), ones, got.Ones())
	}
}

func toUint8(values []float64) []uint8 {
	bytes := make([]uint8, len(values))
	for i, v := range values {
		bytes[i] = uint8(v)
	}
	return bytes
}

// The pairs of four channels, by row: 01 02 03 12 13 23.
func fourChannels[T any](pairs [6]T) []T {
	m := make([]T, 16)
	for i, at := range []int{1, 2, 3, 6, 7, 11} {
		m[at] = pairs[i]
	}
	return m
}

func TestSelect(t *testing.T) {
	cases := map[string]struct {
		selector Selector
		variance [6]float64
		want     [6]uint8
	}{
		// The masks of clusters are the labels that kmeans1d 0.3.1 gives the matrix.
		"two clusters":             {Selector{Clusters: 2}, [6]float64{1e-9, 2e-9, 3e-9, 8e-6, 9e-6, 7e-6}, [6]uint8{0, 0, 0, 1, 1, 1}},
		"zeros hold 4e-6 down":     {Selector{Clusters: 2}, [6]float64{1e-6, 2e-6, 3e-6, 4e-6, 9e-6, 1e-6}, [6]uint8{0, 0, 0, 0, 1, 0}},
		"fewer values":             {Selector{Clusters: 20}, [6]float64{0, 5e-7, 0, 0, 0, 0}, [6]uint8{0, 1, 0, 0, 0, 0}},
		"relaxed, a third out":     {Selector{RelaxDenom: 3}, [6]float64{6, 5, 4, 3, 2, 1}, [6]uint8{1, 1, 1, 1, 0, 0}},
		"relaxed, rounded down":    {Selector{RelaxDenom: 4}, [6]float64{1, 2, 3, 4, 5, 6}, [6]uint8{0, 1, 1, 1, 1, 1}},
		"relaxed, ties by row":     {Selector{RelaxDenom: 2}, [6]float64{1, 1, 1, 1, 1, 1}, [6]uint8{1, 1, 1, 0, 0, 0}},
		"relaxed, all the same":    {Selector{RelaxDenom: 2}, [6]float64{}, [6]uint8{1, 1, 1, 0, 0, 0}},
		"relaxed by less than one": {Selector{RelaxDenom: 7, Clusters: 2}, [6]float64{0, 0, 0, 0, 0, 1}, [6]uint8{0, 0, 0, 0, 0, 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.selector.Channels = 4
			mask, err := c.selector.Select(fourChannels(c.variance))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := mask.Uint8(), fourChannels(c.want); !slices.Equal(got, want) {
				t.Errorf("mask = %v, want %v", got, want)
			}
		})
	}
}

func TestSelectErrors(t *testing.T) {
	below := fourChannels([6]float64{})
	below[4] = 1
	cases := map[string]struct {
		selector Selector
		variance []float64
		want     []string
	}{
		"views do not differ": {Selector{"layer1.4", 4, 20, 0}, make([]float64, 16), []string{"layer1.4", "same covariances"}},
		"one cluster":         {Selector{"layer1.4", 4, 1, 0}, make([]float64, 16), []string{"layer1.4", "2 or more"}},
		"relaxed by all":      {Selector{"layer1.4", 4, 2, 1}, make([]float64, 16), []string{"layer1.4", "denominator"}},
		"negative relaxation": {Selector{"layer1.4", 4, 2, -3}, make([]float64, 16), []string{"layer1.4", "denominator"}},
		"no channels":         {Selector{"layer1.4", -1, 2, 0}, nil, []string{"layer1.4", "-1 channels"}},
		"another size":        {Selector{"layer1.4", 4, 2, 0}, make([]float64, 12), []string{"layer1.4", "12 entries"}},
		"NaN":                 {Selector{"layer1.4", 4, 2, 0}, fourChannels([6]float64{0, 0, 0, math.NaN()}), []string{"layer1.4", "(1, 2) is NaN"}},
		"infinite":            {Selector{"layer1.4", 4, 2, 0}, fourChannels([6]float64{math.Inf(1)}), []string{"layer1.4", "(0, 1) is +Inf"}},
		"negative":            {Selector{"layer1.4", 4, 2, 0}, fourChannels([6]float64{0, -1}), []string{"layer1.4", "(0, 2) is -1"}},
		"below the diagonal":  {Selector{"layer1.4", 4, 2, 0}, below, []string{"layer1.4", "(1, 0) is 1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.selector.Select(c.variance)
			demand(t, err, c.want...)
		})
	}
}

func demand(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestIntersect(t *testing.T) {
	selector := Selector{Layer: "layer2.3", Channels: 4}
	parse := func(pairs [6]uint8) Mask {
		m, err := ParseMask(4, fourChannels(pairs))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b, c := parse([6]uint8{1, 1, 1, 0, 0, 1}), parse([6]uint8{1, 0, 1, 1, 0, 1}), parse([6]uint8{0, 1, 1, 1, 1, 1})
	common, err := selector.Intersect(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := common.Uint8(), fourChannels([6]uint8{0, 0, 1, 0, 0, 1}); !slices.Equal(got, want) || common.Ones() != 2 {
		t.Errorf("intersection = %v with %d ones, want %v with 2", got, common.Ones(), want)
	}
	_, err = selector.Intersect(parse([6]uint8{1, 1}), parse([6]uint8{0, 0, 1}))
	demand(t, err, "layer2.3", "2 trials and sources", "more clusters")
	_, err = selector.Intersect()
	demand(t, err, "layer2.3", "at least one trial")
	_, err = selector.Intersect(a, AllPairs(5))
	demand(t, err, "layer2.3", "5 channels")
}

// A feature with the other sign is as good a feature: flipping channels flips the signs of
// their covariances in both views, and must select the same.
func TestSelectionIgnoresSigns(t *testing.T) {
	const channels, pictures = 24, 5
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		signs := make([]float32, channels)
		for i := range signs {
			signs[i] = float32(2*rng.IntN(2) - 1)
		}
		plain, flipped := NewSensitivity(channels), NewSensitivity(channels)
		for range pictures {
			a, b := covariances(rng, channels), covariances(rng, channels)
			if err := plain.Add(a, b); err != nil {
				t.Fatal(err)
			}
			if err := flipped.Add(withSigns(a, signs), withSigns(b, signs)); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := selected(t, flipped), selected(t, plain); !slices.Equal(got.Uint8(), want.Uint8()) {
			t.Fatalf("seed %d: flipping signs changes the mask from %d to %d ones", seed, want.Ones(), got.Ones())
		}
	}
}

func selected(t *testing.T, s *Sensitivity) Mask {
	t.Helper()
	mean, err := s.Mean()
	if err != nil {
		t.Fatal(err)
	}
	mask, err := Selector{Layer: "layer0.1", Channels: s.channels, Clusters: 3}.Select(mean)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

// covariances draws a symmetric matrix.
func covariances(rng *rand.Rand, channels int) []float32 {
	m := make([]float32, channels*channels)
	for i := range channels {
		for j := i; j < channels; j++ {
			v := float32(rng.NormFloat64())
			m[i*channels+j], m[j*channels+i] = v, v
		}
	}
	return m
}

func withSigns(cov, signs []float32) []float32 {
	out := slices.Clone(cov)
	for at := range out {
		out[at] *= signs[at/len(signs)] * signs[at%len(signs)]
	}
	return out
}
