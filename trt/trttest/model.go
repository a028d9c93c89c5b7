// Package trttest makes small models for tests: complete files that keep the model-file
// contract, run in a fraction of a millisecond and need no training.
//
// The network labels each pixel with the class whose colour is nearest. A frame painted in
// the colours of the classes must therefore come back as exactly the classes painted, which
// shows at once whether colour order, scaling and label order are right.
package trttest

import (
	"encoding/json"
	"fmt"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
)

// Options describe a model. The zero value is a valid one.
type Options struct {
	// Classes is the number of classes, at most 27; 0 means 11. Their colours are those of
	// [Classes].
	Classes int
	// InputWidth and InputHeight are in pixels; 0 means 48 and 36.
	InputWidth, InputHeight int
	// MaskWidth and MaskHeight divide the input's size; 0 means half of it.
	MaskWidth, MaskHeight int

	// What follows makes models that break the contract.

	// EditCard changes the card before it is stored, and leaves the graph as it is.
	EditCard func(*trt.Card)
	// CardText is stored in place of the card.
	CardText string
	// NoCard stores none.
	NoCard bool
	// Opset replaces [trt.Opset] when it is not 0.
	Opset int64
	// InputType replaces uint8 when it is not 0.
	InputType onnx.ElemType
	// NoStyle leaves the output style out.
	NoStyle bool
}

// StyleLen is the length of the style vector: mean red, green and blue, then their standard
// deviations, on a scale of 0 to 1.
const StyleLen = 6

// Classes returns the first n classes of every model, named a, b, … with colours at least
// 127 apart in one channel. It panics when n is not 1 to 27.
func Classes(n int) []trt.Class {
	if n < 1 || n > 27 {
		panic(fmt.Sprintf("trttest: %d classes; 1 to 27 have colours", n))
	}
	levels := [3]uint8{255, 0, 128}
	classes := make([]trt.Class, n)
	for i := range classes {
		classes[i] = trt.Class{
			Name:  string("abcdefghijklmnopqrstuvwxyz_"[i]),
			Color: [3]uint8{levels[i%3], levels[(i/3+1)%3], levels[(i/9+1)%3]},
		}
	}
	return classes
}

func (o *Options) setDefaults() {
	setDefault(&o.Classes, 11)
	setDefault(&o.InputWidth, 48)
	setDefault(&o.InputHeight, 36)
	setDefault(&o.MaskWidth, o.InputWidth/2)
	setDefault(&o.MaskHeight, o.InputHeight/2)
	setDefault(&o.Opset, trt.Opset)
	setDefault(&o.InputType, onnx.Uint8)
	if o.InputWidth%o.MaskWidth != 0 || o.InputHeight%o.MaskHeight != 0 {
		panic("trttest: the mask's size does not divide the input's")
	}
}

func setDefault[T int | int64 | onnx.ElemType](v *T, value T) {
	if *v == 0 {
		*v = value
	}
}

// Model returns the bytes of a model file. It panics on options that it cannot meet.
func Model(o Options) []byte {
	o.setDefaults()
	var m message
	m.varint(1, 8) // ir_version
	m.text(2, "trttest")
	m.nested(7, graph(o))
	var opset message
	opset.varint(2, uint64(o.Opset))
	m.nested(8, opset)
	if !o.NoCard {
		var entry message
		entry.text(1, trt.CardKey)
		entry.text(2, cardText(o))
		m.nested(14, entry)
	}
	return m
}

func cardText(o Options) string {
	if o.CardText != "" {
		return o.CardText
	}
	card := Card(o)
	if o.EditCard != nil {
		o.EditCard(card)
	}
	text, err := json.Marshal(card)
	if err != nil {
		panic("trttest: " + err.Error())
	}
	return string(text)
}

// Card returns the card of the model with these options, before EditCard.
func Card(o Options) *trt.Card {
	o.setDefaults()
	return &trt.Card{
		Version: trt.CardVersion,
		Name:    "nearest-colour",
		Method:  "base",
		Trunk:   "none",
		Classes: Classes(o.Classes),
		Ignore:  255,
		Input: trt.CardInput{
			CardSize: trt.CardSize{Height: o.InputHeight, Width: o.InputWidth},
			Layout:   "NHWC", Dtype: "uint8", Color: "RGB",
		},
		Mask: trt.CardSize{Height: o.MaskHeight, Width: o.MaskWidth},
		Style: trt.CardStyle{
			Layers: []string{"image"},
			Order:  "per layer: channel means, then channel standard deviations",
			Mean:   []float32{0.5, 0.5, 0.5, 0.25, 0.25, 0.25},
			Std:    []float32{0.1, 0.1, 0.1, 0.05, 0.05, 0.05},
			Images: 1,
		},
		Accuracy: map[string]trt.Accuracy{},
	}
}
