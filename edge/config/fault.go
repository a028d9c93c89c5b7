package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Layer is a source of settings. A later layer overrides an earlier one.
type Layer int

// The layers, weakest first.
const (
	LayerDefault Layer = iota
	LayerFile
	LayerEnvironment
	LayerFlag
)

// Origin is where a setting came from. The zero Origin is the default.
type Origin struct {
	Layer Layer
	// Where is the place in the form "edge.yaml:7:12" (line and column, from 1),
	// "ROBUSTNET_OVERLAY_ALPHA" or "--alpha"; empty for defaults.
	Where string
}

// String is Where, or "default".
func (o Origin) String() string {
	if o.Layer == LayerDefault {
		return "default"
	}
	return o.Where
}

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Origin Origin
	// Key is the setting, e.g. "overlay.alpha"; empty when the fault is not about one.
	Key string
	// Problem is a sentence that says what is wrong and what is allowed.
	Problem string
}

// Error is the place and the problem.
func (f Fault) Error() string {
	if f.Origin.Layer == LayerDefault {
		return f.Problem
	}
	return f.Origin.Where + ": " + f.Problem
}

// Faults is everything that is wrong with a configuration, in the order of the layers.
type Faults []Fault

// Error is one line for one fault, and a heading with a line each for several.
func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d faults:", len(f))
	for _, fault := range f {
		b.WriteString("\n  " + fault.Error())
	}
	return b.String()
}

// Usage tells whether a fault lies in the flags, so that the caller may exit as for any
// other mistake on the command line.
func (f Faults) Usage() bool {
	return slices.ContainsFunc(f, func(fault Fault) bool { return fault.Origin.Layer == LayerFlag })
}

func (f Faults) touch(key string) bool {
	return slices.ContainsFunc(f, func(fault Fault) bool { return fault.Key == key })
}

// orNil avoids the error that is not nil though nothing is wrong.
func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Nearest returns the known word that is most likely meant by a mistyped or cut one, or
// "" when none is near.
func Nearest(word string, known []string) string { return nearest.Word(word, known) }
