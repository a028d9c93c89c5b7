// Package export writes networks of package nn as ONNX models that keep the model-file
// contract (docs/model-file.md), and measures what their cards state. Writing needs no
// native library.
package export

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
)

// Output is an output of a model.
type Output string

// The outputs. The contract needs the first two.
const (
	// Mask is uint8 [1, h, w]: the class of each pixel.
	Mask Output = "mask"
	// Style is float32 [1, S]: for each of the network's taps the channel means, then the
	// channel standard deviations (of the population), of the feature that the norm reads.
	Style Output = "style"
	// Logits is float32 [1, classes, h, w]: the class scores of which Mask is the greatest.
	Logits Output = "logits"
)

// Outputs lists the outputs.
func Outputs() []Output { return []Output{Mask, Style, Logits} }

// ParseOutputs reads names separated by commas, as in "mask,style,logits".
func ParseOutputs(text string) ([]Output, error) {
	var outputs []Output
	for name := range strings.SplitSeq(text, ",") {
		outputs = append(outputs, Output(strings.TrimSpace(name)))
	}
	return outputs, checkOutputs(outputs)
}

func checkOutputs(outputs []Output) error {
	const all = "use mask,style or mask,style,logits"
	for i, o := range outputs {
		if !slices.Contains(Outputs(), o) {
			return fmt.Errorf("output %q is unknown; %s", o, all)
		}
		if slices.Contains(outputs[:i], o) {
			return fmt.Errorf("output %s is named twice; %s", o, all)
		}
	}
	for _, o := range []Output{Mask, Style} {
		if !slices.Contains(outputs, o) {
			return fmt.Errorf("output %s is missing, without which no program takes the model; %s", o, all)
		}
	}
	return nil
}

// StyleOrder describes the layout of the style vector in cards.
const StyleOrder = "per layer: channel means, then channel standard deviations"

// Options say how a network becomes a model.
type Options struct {
	// Size is that of the input. Mask and logits have half of it, rounded down.
	Size nn.Size
	// Outputs are mask and style if empty.
	Outputs []Output
	// Card describes the model. Version, trunk, input, mask and style are filled in; the
	// style's mean and deviation are 0 until [SetCard] replaces them by measured ones.
	Card trt.Card
}

// maskSize is the size of mask and logits.
func (o Options) maskSize() nn.Size {
	return nn.Size{Height: o.Size.Height / 2, Width: o.Size.Width / 2}
}

// Model writes the network with its weights as an ONNX model.
//
// Batch norms, and scales and shifts that follow a norm, are folded into the layer before
// them; what only training needs is left out. Nodes have the names of the checkpoint's
// layers. Errors name weights that do not fit, are not finite or overflow, and sizes that
// the network cannot take.
func Model(net *nn.Network, state nn.State, o Options) (*onnx.Model, error) {
	if len(o.Outputs) == 0 {
		o.Outputs = []Output{Mask, Style}
	}
	err := cmp.Or(checkOutputs(o.Outputs), o.checkSize(net.Spec.OutputStride), net.Check(state), checkValues(net, state))
	if err != nil {
		return nil, fmt.Errorf("export network: %w", err)
	}
	if got, want := len(o.Card.Classes), net.Spec.Classes; got != want {
		return nil, fmt.Errorf("export network: its card names %d classes, but it has %d", got, want)
	}
	l := newLowering(net, state, o)
	l.network()
	l.outputs(o)
	if err := errors.Join(l.errs...); err != nil {
		return nil, fmt.Errorf("export network: %w", err)
	}
	if err := SetCard(l.model, l.card(o)); err != nil {
		return nil, err
	}
	return l.model, nil
}

// checkSize refuses inputs whose deepest feature would be smaller than 2×2.
func (o Options) checkSize(stride int) error {
	h, w := o.Size.Height, o.Size.Width
	if min(h, w) < 2*stride || max(h, w) > trt.MaxSide {
		return fmt.Errorf("size %dx%d: with an output stride of %d, height and width are %d to %d pixels", h, w, stride, 2*stride, trt.MaxSide)
	}
	return nil
}

// checkValues refuses weights that cannot have come out of a training that worked.
func checkValues(net *nn.Network, state nn.State) error {
	for _, p := range net.Params() {
		for i, v := range state[p.Key].Data {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("weights %s: value %d is %v; the training diverged or the file is damaged", p.Key, i, v)
			}
			if p.Role == nn.RunningVar && v < 0 {
				return fmt.Errorf("weights %s: the variance of channel %d is %v; the file is damaged", p.Key, i, v)
			}
		}
	}
	return nil
}

// card completes the caller's card.
func (l *lowering) card(o Options) trt.Card {
	card, mask := o.Card, o.maskSize()
	card.Version = trt.CardVersion
	card.Trunk = string(l.net.Spec.Trunk)
	card.Input = trt.CardInput{
		CardSize: trt.CardSize{Height: o.Size.Height, Width: o.Size.Width},
		Layout:   "NHWC", Dtype: "uint8", Color: "RGB",
	}
	card.Mask = trt.CardSize{Height: mask.Height, Width: mask.Width}
	n := l.styleLen()
	card.Style = trt.CardStyle{Order: StyleOrder, Mean: make([]float32, n), Std: make([]float32, n)}
	for _, t := range l.net.Taps {
		card.Style.Layers = append(card.Style.Layers, t.Name)
	}
	if card.Accuracy == nil {
		card.Accuracy = map[string]trt.Accuracy{}
	}
	return card
}

// SetCard stores the card in the model, in place of one that it may hold.
func SetCard(m *onnx.Model, card trt.Card) error {
	text, err := json.Marshal(card)
	if err != nil {
		return fmt.Errorf("write the model's card: %w", err)
	}
	m.SetMetadata(trt.CardKey, string(text))
	return nil
}
