// Package quantize makes 8-bit and half-precision models of a float one that keep its accuracy
// on domains that it never saw.
//
// [Open] reads a model. A [Recorder] watches its tensors on pictures and gives a [Table] of how
// their values are spread, in light and weather of its own making if asked. From this one table
// come two placements of QuantizeLinear and DequantizeLinear: [Placer.CPU] for ONNX Runtime on
// CPUs and [Placer.TensorRT] for NVIDIA's. Both keep instance norms and the layer that scores
// the classes in float.
package quantize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// Options say which layers of a model become integers, and how.
type Options struct {
	// Keep names layers that stay in float.
	Keep []string
	// Only, unless empty, names the layers that alone are quantised.
	Only []string
	// CorrectBias takes the mean of what rounding the weights changes out of the biases.
	CorrectBias bool
	// Adapt rounds weights with regard to what their layers read; nil rounds them to nearest.
	Adapt Grams
	// PerTensorWeights gives all output channels of a layer one scale. It is for comparison.
	PerTensorWeights bool
}

// quantised tells whether a layer is to run in integers.
func (o Options) quantised(l *layer) bool {
	if l.head || slices.Contains(o.Keep, l.name()) {
		return false
	}
	return len(o.Only) == 0 || slices.Contains(o.Only, l.name())
}

// Check refuses names of layers that the network does not have.
func (net *Network) Check(o Options) error {
	for _, name := range slices.Concat(o.Keep, o.Only) {
		names := net.Layers()
		if slices.Contains(names, name) {
			continue
		}
		hint := "its layers are " + strings.Join(names, ", ")
		if near := nearest.Word(name, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		return fmt.Errorf("the model has no layer %q that could be quantised; %s", name, hint)
	}
	return nil
}

// Layers names the layers that can be quantised, in the graph's order.
func (net *Network) Layers() []string {
	var names []string
	for _, l := range net.layers {
		if !l.head {
			names = append(names, l.name())
		}
	}
	return names
}
