// Package corrupt spoils pictures in the ways that cameras and weather do, at five
// severities, to measure how much of a model's accuracy withstands it.
//
// Kinds and strengths are those of ImageNet-C (Hendrycks & Dietterich, "Benchmarking Neural
// Network Robustness to Common Corruptions and Perturbations", ICLR 2019), whose numbers are
// for pictures of 224×224 pixels. As is usual for street scenes (Michaelis et al., 2019;
// Kamann & Rother, CVPR 2020), radii stay in pixels whatever the size of the picture. Rain,
// which ImageNet-C lacks, is our own and scales with the picture's height. Nothing moves: the
// labels of a picture stay valid.
package corrupt

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Kind is a way to spoil a picture.
type Kind string

// The kinds.
const (
	GaussianNoise Kind = "noise"
	DefocusBlur   Kind = "defocus"
	MotionBlur    Kind = "motion"
	Rain          Kind = "rain"
	Snow          Kind = "snow"
	Fog           Kind = "fog"
	Brightness    Kind = "brightness"
	Contrast      Kind = "contrast"
	JPEG          Kind = "jpeg"
)

// MaxSeverity is the strongest; 1 is the weakest.
const MaxSeverity = 5

// picture is what is spoilt: height rows of width pixels, red, green, blue.
type picture struct {
	rgb           []uint8
	width, height int
}

// kinds are in ImageNet-C's order: noise, blur, weather, digital.
var kinds = []struct {
	kind Kind
	// apply returns new pixels and leaves the picture's as they are. It draws the same random
	// numbers at every severity, where it can, so that severities differ in strength alone.
	apply func(p picture, severity int, random *rand.Rand) ([]uint8, error)
}{
	{GaussianNoise, noise},
	{DefocusBlur, defocus},
	{MotionBlur, motion},
	{Rain, rain},
	{Snow, snow},
	{Fog, fog},
	{Brightness, brightness},
	{Contrast, contrast},
	{JPEG, compress},
}

// Kinds lists all kinds.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

// Parse returns the kind of a name.
func Parse(name string) (Kind, error) {
	var names []string
	for _, k := range kinds {
		if string(k.kind) == name {
			return k.kind, nil
		}
		names = append(names, string(k.kind))
	}
	hint := "choose of " + strings.Join(names, ", ")
	if near := nearest.Word(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return "", fmt.Errorf("corruption %q is unknown; %s", name, hint)
}

// Apply returns a spoilt copy of rgb, height rows of width pixels of three bytes: red, green,
// blue. Severity is 1 to [MaxSeverity]. The same arguments give the same pixels; give each
// picture of a set a seed of its own.
func Apply(kind Kind, severity int, seed uint64, rgb []uint8, width, height int) ([]uint8, error) {
	at := slices.Index(Kinds(), kind)
	if at < 0 {
		_, err := Parse(string(kind))
		return nil, err
	}
	if severity < 1 || severity > MaxSeverity {
		return nil, fmt.Errorf("corrupt a picture by %s: severity %d, want 1 to %d", kind, severity, MaxSeverity)
	}
	if width < 1 || height < 1 || len(rgb)%3 != 0 || len(rgb)/3%width != 0 || len(rgb)/3/width != height {
		return nil, fmt.Errorf("corrupt a picture by %s: %d bytes are not %d×%d pixels of three", kind, len(rgb), width, height)
	}
	random := rand.New(rand.NewPCG(seed, uint64(at)))
	out, err := kinds[at].apply(picture{rgb, width, height}, severity, random)
	if err != nil {
		return nil, fmt.Errorf("corrupt a picture by %s: %w", kind, err)
	}
	return out, nil
}

// level rounds a brightness of 0 to 1 to a byte; others are cut off.
func level(v float64) uint8 { return uint8(min(max(v, 0), 1)*255 + 0.5) }
