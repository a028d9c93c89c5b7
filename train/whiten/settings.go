package whiten

import (
	"errors"
	"fmt"
	"math"
)

// MaxClusters bounds the time that the selection of masks takes.
const MaxClusters = 1024

// Settings are those of the whitening loss, by the names of the published code.
type Settings struct {
	// Lambda weighs the loss against the others.
	Lambda float64 `yaml:"lambda"`
	// RelaxDenom divides the number of covariances to give IRW's margin; 0 means none.
	RelaxDenom float64 `yaml:"relax_denom"`
	// Clusters is the number of clusters from which ISW's mask is chosen.
	Clusters int `yaml:"clusters"`
	// Groups is the number of groups of channels that GIW whitens by themselves; 0 and 1
	// whiten all channels together.
	Groups int `yaml:"groups,omitempty"`
}

// Validate reports everything that is wrong with the settings, joined.
func (s Settings) Validate() error {
	var errs []error
	if !(s.Lambda >= 0) || math.IsInf(s.Lambda, 1) {
		errs = append(errs, fmt.Errorf("whitening.lambda is %v; it must be 0 or more", s.Lambda))
	}
	if !(s.RelaxDenom >= 0) || math.IsInf(s.RelaxDenom, 1) {
		errs = append(errs, fmt.Errorf("whitening.relax_denom is %v; it must be 0 or more", s.RelaxDenom))
	}
	if s.Clusters < 0 || s.Clusters > MaxClusters {
		errs = append(errs, fmt.Errorf("whitening.clusters is %d; it must be 0 to %d", s.Clusters, MaxClusters))
	}
	if s.Groups < 0 {
		errs = append(errs, fmt.Errorf("whitening.groups is %d; it must be 0 or more", s.Groups))
	}
	return errors.Join(errs...)
}
