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
	Labels    labels.Set       `yaml:"labels"`
	// Origin says in words where the weights came from.
	Origin string `yaml:"origin"`
}

// Validate reports everything that is wrong, joined.
func (c Config) Validate() error {
	errs := []error{c.Network.Validate(), CheckMethod(c.Method, c.Network.Placement), c.Labels.Validate()}
	if names, scores := len(c.Labels.Classes), c.Network.Classes; names != scores {
		errs = append(errs, fmt.Errorf("set %q has %d classes, but the network tells %d apart", c.Labels.Name, names, scores))
	}
	if w := c.Whitening; w != nil {
		errs = append(errs, w.Validate())
	}
	return errors.Join(errs...)
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
