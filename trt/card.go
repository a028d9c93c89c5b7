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

// CardVersion is the newest version of the card that this package understands.
const CardVersion = 1

// Opset is the version of the ONNX operator set that model files use.
const Opset = 17

// ErrContract is wrapped by every error about a model file that can be read but breaks the
// model-file contract (docs/model-file.md).
var ErrContract = errors.New("the model file breaks the contract of docs/model-file.md")

// Card is a model's own description, stored as JSON in the model file.
type Card struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	// Method is how the model was made robust: base, isw, …
	Method string `json:"method"`
	Trunk  string `json:"trunk"`
	// Classes are in the order of the mask's class ids.
	Classes []Class `json:"classes"`
	// Ignore is the label id that counts for nothing in evaluations.
	Ignore int       `json:"ignore"`
	Input  CardInput `json:"input"`
	Mask   CardSize  `json:"mask"`
	Style  CardStyle `json:"style"`
	// Accuracy is what was measured when the model was exported, by data set or domain.
	Accuracy map[string]Accuracy `json:"accuracy"`
	// Training says where the weights come from; empty when the exporter did not say.
	Training string `json:"training,omitempty"`
}

// Class is one label.
type Class struct {
	Name string `json:"name"`
	// Color is red, green, blue.
	Color [3]uint8 `json:"color"`
}

// CardSize is a size in pixels.
type CardSize struct {
	Height int `json:"height"`
	Width  int `json:"width"`
}

// CardInput describes the model's input tensor.
type CardInput struct {
	CardSize
	Layout string `json:"layout"`
	Dtype  string `json:"dtype"`
	Color  string `json:"color"`
}

// CardStyle describes the style vector and its distribution over the source domain.
type CardStyle struct {
	// Layers are the whitened layers that the vector describes, in order: for each, the
	// channel means, then the channel standard deviations.
	Layers []string `json:"layers"`
	Order  string   `json:"order"`
	// Mean and Std are taken over Images pictures of the source domain.
	Mean   []float32 `json:"mean"`
	Std    []float32 `json:"std"`
	Images int       `json:"images"`
}

// Accuracy is a result on one data set, in points (0..100).
type Accuracy struct {
	MIoU     float64   `json:"miou"`
	PerClass []float64 `json:"per_class"`
}

// ReadCard checks that a model keeps the contract, and returns its card. Errors wrap
// [onnx.ErrCorrupt] or [ErrContract] and say what is wrong in one sentence.
func ReadCard(model []byte) (*Card, error) {
	h, err := onnx.ReadHeader(model)
	if err != nil {
		return nil, err
	}
	if h.Opset != Opset {
		return nil, fmt.Errorf("it uses ONNX opset %d, not %d; export it again with opset %d: %w", h.Opset, Opset, Opset, ErrContract)
	}
	text, ok := h.Metadata[CardKey]
	if !ok {
		return nil, fmt.Errorf("it carries no card (metadata key %s), so its classes are unknown; export it with one: %w", CardKey, ErrContract)
	}
	card := new(Card)
	if err := json.Unmarshal([]byte(text), card); err != nil {
		return nil, fmt.Errorf("its card is not the JSON expected (%w): %w", err, ErrContract)
	}
	if err := card.check(h); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrContract)
	}
	return card, nil
}

// check holds the card and the graph against the contract and against each other.
func (c *Card) check(h onnx.Header) error {
	if c.Version < 0 || c.Version > CardVersion {
		return fmt.Errorf("its card has version %d, and this program understands 0 to %d; update the program", c.Version, CardVersion)
	}
	if len(c.Classes) == 0 || len(c.Classes) > 255 {
		return fmt.Errorf("its card names %d classes; 1 to 255 fit a mask", len(c.Classes))
	}
	if len(h.Inputs) != 1 {
		return fmt.Errorf("it has %d inputs; one, named image, is expected", len(h.Inputs))
	}
	if n := len(c.Style.Mean); n == 0 || n != len(c.Style.Std) {
		return fmt.Errorf("its card gives %d style means and %d standard deviations", n, len(c.Style.Std))
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
		return fmt.Errorf("its %s %s is %v, not %v", kind, name, v.Elem, elem)
	}
	if slices.Min(shape) <= 0 || !slices.Equal(v.Shape, shape) {
		return fmt.Errorf("its %s %s has shape %v, but its card says %v", kind, name, v.Shape, shape)
	}
	return nil
}
