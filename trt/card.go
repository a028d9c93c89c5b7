package trt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// CardKey is the metadata key under which a model file carries its card.
const CardKey = "robustnet.card"

// CardVersion is the newest version of the card that this package understands. Version 0,
// which cards without a version have, holds the same fields.
const CardVersion = 1

// MaxSide is the greatest height and width, in pixels, of a model's input and mask.
const MaxSide = 8192

// Opset is the version of the ONNX operator set that model files use, and MaxOpset the newest
// one that is taken: float16 models need 19.
const (
	Opset    = 17
	MaxOpset = 19
)

// ErrContract is wrapped by every error about a model file that can be read but breaks the
// model-file contract (docs/model-file.md).
var ErrContract = errors.New("it breaks the model-file contract of docs/model-file.md")

// Card is a model's own description, stored as JSON in the model file.
type Card struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	// Method is how the model was made robust: base, isw, …
	Method string `json:"method"`
	Trunk  string `json:"trunk"`
	// Classes are in the order of the mask's class ids.
	Classes []Class `json:"classes"`
	// Ignore is the label id that counts for nothing in evaluations: 255 or lower, and no
	// class's id.
	Ignore int       `json:"ignore"`
	Input  CardInput `json:"input"`
	Mask   CardSize  `json:"mask"`
	Style  CardStyle `json:"style"`
	// Accuracy is what was measured when the model was exported, by data set or domain. It
	// may be empty.
	Accuracy map[string]Accuracy `json:"accuracy"`
	// Training says where the weights come from; empty when the exporter did not say.
	Training string `json:"training,omitempty"`
}

// Class is one label.
type Class struct {
	// Name is not empty and differs from those of the other classes.
	Name string `json:"name"`
	// Color is how the class is drawn: red, green, blue.
	Color [3]uint8 `json:"color"`
}

// CardSize is a size in pixels, 1 to [MaxSide] each.
type CardSize struct {
	Height int `json:"height"`
	Width  int `json:"width"`
}

// CardInput describes the model's input tensor. Layout, element type and colour order are
// fixed by the contract; the card repeats them for people and other programs.
type CardInput struct {
	CardSize
	Layout string `json:"layout"` // NHWC
	Dtype  string `json:"dtype"`  // uint8
	Color  string `json:"color"`  // RGB
}

// CardStyle describes the style vector and its distribution over the source domain.
type CardStyle struct {
	// Layers are the whitened layers that the vector describes, in order: for each, the
	// channel means, then the channel standard deviations.
	Layers []string `json:"layers"`
	// Order says in words how the vector is laid out.
	Order string `json:"order"`
	// Mean and Std are taken over Images pictures of the source domain.
	Mean   []float32 `json:"mean"`
	Std    []float32 `json:"std"`
	Images int       `json:"images"`
}

// Accuracy is a result on one data set, in points (0..100).
type Accuracy struct {
	// MIoU is the mean intersection over union of the classes.
	MIoU float64 `json:"miou"`
	// PerClass holds each class's intersection over union; it may be empty.
	PerClass []float64 `json:"per_class"`
}

// ReadCard checks that a model keeps the contract, and returns its card. Errors wrap
// [onnx.ErrCorrupt] or [ErrContract] and say in one line what is wrong and, where it is not
// plain, what to do.
func ReadCard(model []byte) (*Card, error) {
	h, err := onnx.ReadHeader(model)
	if err != nil {
		return nil, err
	}
	card, err := cardOf(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContract, err)
	}
	return card, nil
}

func cardOf(h onnx.Header) (*Card, error) {
	if h.Opset < Opset || h.Opset > MaxOpset {
		return nil, fmt.Errorf("it uses ONNX opset %d; export it again with opset %d", h.Opset, Opset)
	}
	if h.External {
		return nil, errors.New("its weights are in other files; save it as a single file")
	}
	text, ok := h.Metadata[CardKey]
	if !ok {
		return nil, fmt.Errorf("it carries no card, so its classes are unknown; write it with `robustnet-train export`, or add one as metadata %s", CardKey)
	}
	card, err := ParseCard([]byte(text))
	if err != nil {
		return nil, err
	}
	return card, card.checkGraph(h)
}

// ParseCard reads a card from its JSON and holds it by itself against the contract; the graph
// that it belongs to is not looked at. It looks at the version first: a newer card may differ in
// anything else.
func ParseCard(text []byte) (*Card, error) {
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("its card cannot be read: %w", err)
	}
	if v.Version < 0 || v.Version > CardVersion {
		return nil, fmt.Errorf("its card has version %d and this program knows 0 to %d; update the program", v.Version, CardVersion)
	}
	card := new(Card)
	if err := json.Unmarshal(text, card); err != nil {
		return nil, fmt.Errorf("its card cannot be read: %w", err)
	}
	return card, card.check()
}

// check holds the card by itself against the contract.
func (c *Card) check() error {
	if err := c.checkClasses(); err != nil {
		return err
	}
	in := c.Input
	if in.Layout != "NHWC" || in.Dtype != "uint8" || in.Color != "RGB" {
		return fmt.Errorf("its card says that the input is %q %q %q; NHWC uint8 RGB is the only one known", in.Layout, in.Dtype, in.Color)
	}
	return cmp.Or(
		in.CardSize.check("input"),
		c.Mask.check("mask"),
		c.Style.check(),
	)
}

func (c *Card) checkClasses() error {
	n := len(c.Classes)
	if n == 0 || n > 255 {
		return fmt.Errorf("its card names %d classes; 1 to 255 are possible", n)
	}
	seen := map[string]bool{}
	for i, class := range c.Classes {
		if class.Name == "" {
			return fmt.Errorf("its card gives class %d no name", i)
		}
		if seen[class.Name] {
			return fmt.Errorf("its card names two classes %q", class.Name)
		}
		seen[class.Name] = true
	}
	if c.Ignore < n || c.Ignore > 255 {
		return fmt.Errorf("its card ignores label %d; a label from %d to 255, which is no class's, is possible", c.Ignore, n)
	}
	for domain, a := range c.Accuracy {
		if len(a.PerClass) != 0 && len(a.PerClass) != n {
			return fmt.Errorf("its card gives the accuracy of %d classes on %q but names %d", len(a.PerClass), domain, n)
		}
	}
	return nil
}

func (s CardSize) check(what string) error {
	if min(s.Height, s.Width) < 1 || max(s.Height, s.Width) > MaxSide {
		return fmt.Errorf("its card says that the %s is %d high and %d wide; 1 to %d are possible", what, s.Height, s.Width, MaxSide)
	}
	return nil
}

func (s CardStyle) check() error {
	if n := len(s.Mean); n == 0 || n != len(s.Std) {
		return fmt.Errorf("its card gives %d style means and %d standard deviations; equal numbers above 0 are possible", n, len(s.Std))
	}
	if slices.Min(s.Std) < 0 {
		return fmt.Errorf("its card gives a negative standard deviation of the style: %v", slices.Min(s.Std))
	}
	return nil
}

// checkGraph holds inputs and outputs against the contract and the card.
func (c *Card) checkGraph(h onnx.Header) error {
	if len(h.Inputs) != 1 {
		return fmt.Errorf("it has %d inputs; exactly one, named image, is possible", len(h.Inputs))
	}
	return cmp.Or(
		checkValue("input", h.Input, "image", onnx.Uint8, []int64{1, int64(c.Input.Height), int64(c.Input.Width), 3}),
		checkValue("output", h.Output, "mask", onnx.Uint8, []int64{1, int64(c.Mask.Height), int64(c.Mask.Width)}),
		checkValue("output", h.Output, "style", onnx.Float32, []int64{1, int64(len(c.Style.Mean))}),
	)
}

func checkValue(kind string, lookup func(string) (onnx.Value, bool), name string, elem onnx.ElemType, shape []int64) error {
	v, ok := lookup(name)
	if !ok {
		return fmt.Errorf("it has no %s named %s", kind, name)
	}
	if v.Elem != elem {
		return fmt.Errorf("its %s %s is %v; it must be %v", kind, name, v.Elem, elem)
	}
	if !slices.Equal(v.Shape, shape) {
		return fmt.Errorf("its %s %s has shape %v but by its card it is %v", kind, name, v.Shape, shape)
	}
	return nil
}
