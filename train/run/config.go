package run

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/nearest"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// Config says what is trained, and where it came from.
type Config struct {
	Network nn.Spec `yaml:"network"`
	// Method is the training method; it fits the network's placement.
	Method nn.Method `yaml:"method"`
	// Whitening is nil where it is unknown or there is no whitening loss.
	Whitening *whiten.Settings `yaml:"whitening,omitempty"`
	// Training is nil in runs that were imported.
	Training *Training `yaml:"training,omitempty"`
	// Rounding is nil unless the training computes as the INT8 model does that is to be made of
	// the network.
	Rounding *Rounding `yaml:"rounding,omitempty"`
	// Labels are the network's classes. Their maps hold for its predictions.
	Labels labels.Set `yaml:"labels"`
	// Origin says in words where the weights came from.
	Origin string `yaml:"origin"`
	// Adapted, unless empty, says which pictures of a target domain the network has seen
	// without labels, so that its results there are not those of domain generalisation.
	Adapted string `yaml:"adapted,omitempty"`
}

// Rounding says to which grids of int8 a training rounds.
type Rounding struct {
	// Calibration is the SHA-256 of the pictures that the grids were chosen by.
	Calibration string `yaml:"calibration"`
	// Inputs are the greatest magnitudes of what convolutions read, by their keys.
	Inputs map[string]float64 `yaml:"inputs"`
}

// Validate reports everything that is wrong, joined.
func (c Config) Validate() error {
	errs := []error{c.Network.Validate(), CheckMethod(c.Method, c.Network.Placement), c.Labels.Validate()}
	if names, scores := len(c.Labels.Classes), c.Network.Classes; names != scores {
		errs = append(errs, fmt.Errorf("set %q has %d classes, but the network tells %d apart", c.Labels.Name, names, scores))
	}
	if w := c.Whitening; w != nil {
		errs = append(errs, w.Validate(), checkLoss(c.Method, *w))
	}
	if t := c.Training; t != nil {
		errs = append(errs, t.Validate())
		if c.Method == nn.ISW {
			errs = append(errs, t.Masks.validate(t.Iterations))
		}
	}
	return errors.Join(errs...)
}

// checkLoss refuses settings with which the loss would be another method's.
func checkLoss(m nn.Method, w whiten.Settings) error {
	switch {
	case m == nn.GIW && w.Groups < 2:
		return fmt.Errorf("whitening.groups is %d; method giw needs 2 or more", w.Groups)
	case m != nn.GIW && w.Groups > 1:
		return fmt.Errorf("whitening.groups is %d; groups are for method giw, not %s", w.Groups, m)
	case m != nn.IRW && m != nn.ISW && w.RelaxDenom > 0:
		return fmt.Errorf("whitening.relax_denom is %v; it is for methods irw and isw, not %s", w.RelaxDenom, m)
	case m == nn.ISW && w.Clusters < 2 && w.RelaxDenom <= 1:
		return fmt.Errorf("whitening.clusters is %d; method isw needs 2 or more, or a relax_denom above 1", w.Clusters)
	}
	return nil
}

// CheckMethod says whether a network with this placement can be trained by the method: the
// method's norm stands somewhere, and no whitening loss but the method's has a place.
func CheckMethod(m nn.Method, p nn.Placement) error {
	published, err := m.Placement()
	if err != nil {
		known := make([]string, 0, len(nn.Methods()))
		for _, k := range nn.Methods() {
			known = append(known, string(k))
		}
		if near := nearest.Word(string(m), known); near != "" {
			return fmt.Errorf("unknown method %q; did you mean %s?", m, near)
		}
		return err
	}
	norm := published[2]
	foreign := slices.ContainsFunc(p[:], func(n nn.Norm) bool {
		return n != norm && (n.Collected() || norm == nn.NoNorm)
	})
	if foreign || !p.Has(norm) {
		return fmt.Errorf("method %s does not fit the placement %s; its own is %s", m, p, published)
	}
	return nil
}
