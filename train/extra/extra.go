// Package extra has additions to a training that cost nothing afterwards: the network that
// comes out has the same layers. They go together with every method. All random numbers come
// from the caller's seed, so that a training can be resumed exactly.
package extra

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Name is the name of an extra.
type Name string

// The extras.
const (
	// PASTA augments the amplitude spectra of pictures (Chattopadhyay et al., "PASTA:
	// Proportional Amplitude Spectrum Training Augmentation for Syn-to-Real Domain
	// Generalization", ICCV 2023). Package augment has it.
	PASTA Name = "pasta"
	// ConsistentViews asks for the same prediction for two photometric views of a crop, see
	// [Consistency].
	ConsistentViews Name = "consistency"
	// MixedStyles exchanges the styles of the pictures in a batch, see [MixStyle].
	MixedStyles Name = "mixstyle"
)

// Names returns all extras.
func Names() []Name { return []Name{PASTA, ConsistentViews, MixedStyles} }

// Parse reads names separated by commas, in any order; none of them twice. An empty text is
// no name.
func Parse(list string) ([]Name, error) {
	if list == "" {
		return nil, nil
	}
	var names []Name
	for _, text := range strings.Split(list, ",") {
		name := Name(strings.TrimSpace(text))
		switch {
		case !slices.Contains(Names(), name):
			return nil, unknown(name)
		case slices.Contains(names, name):
			return nil, fmt.Errorf("extra %s is named twice", name)
		}
		names = append(names, name)
	}
	return names, nil
}

func unknown(name Name) error {
	var known []string
	for _, n := range Names() {
		known = append(known, string(n))
	}
	if near := nearest.Word(string(name), known); near != "" {
		return fmt.Errorf("unknown extra %q; did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown extra %q; choose among %s", name, strings.Join(known, ", "))
}

// Settings say how strong the extras are that the network is subject to. The zero value has
// none of them.
type Settings struct {
	// Consistency weighs the divergence of the predictions for two photometric views of each
	// crop; 0 trains on one view.
	Consistency float64 `yaml:"consistency,omitempty"`
	// MixStyle is the probability with which a batch exchanges the styles of its pictures.
	MixStyle float64 `yaml:"mixstyle,omitempty"`
}

// Published returns the settings of the extras' authors: a weight of 10 for consistency, and
// a probability of ½ for MixStyle.
func Published(names []Name) Settings {
	var s Settings
	if slices.Contains(names, ConsistentViews) {
		s.Consistency = 10
	}
	if slices.Contains(names, MixedStyles) {
		s.MixStyle = 0.5
	}
	return s
}

// Validate reports everything that is wrong with the settings, joined.
func (s Settings) Validate() error {
	var errs []error
	if !(s.Consistency >= 0 && s.Consistency <= 1e6) {
		errs = append(errs, fmt.Errorf("extras.consistency is %v; take 0 to 1000000", s.Consistency))
	}
	if !(s.MixStyle >= 0 && s.MixStyle <= 1) {
		errs = append(errs, fmt.Errorf("extras.mixstyle is %v; take 0 to 1", s.MixStyle))
	}
	return errors.Join(errs...)
}
