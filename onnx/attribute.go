package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// kind is AttributeProto.AttributeType of the schema.
type kind int64

const (
	kindNone    kind = 0
	kindFloat   kind = 1
	kindInt     kind = 2
	kindString  kind = 3
	kindTensor  kind = 4
	kindFloats  kind = 6
	kindInts    kind = 7
	kindStrings kind = 8
	kindTensors kind = 9
)

func (a Attribute) encode() (e encoder, err error) {
	if a.Name == "" {
		return nil, errors.New("it has no name")
	}
	e.text(attributeName, a.Name)
	k := kindNone
	switch v := a.Value.(type) {
	case float32:
		k = kindFloat
		e.float(attributeFloat, v)
	case int64:
		k = kindInt
		e.number(attributeInt, v)
	case string:
		k = kindString
		e.bytes(attributeString, []byte(v))
	case *Tensor:
		k = kindTensor
		err = e.tensor(attributeTensor, v)
	case []float32:
		k = kindFloats
		for _, x := range v {
			e.float(attributeFloats, x)
		}
	case []int64:
		k = kindInts
		for _, x := range v {
			e.number(attributeInts, x)
		}
	case []string:
		k = kindStrings
		for _, x := range v {
			e.bytes(attributeStrings, []byte(x))
		}
	case []*Tensor:
		k = kindTensors
		for _, x := range v {
			err = errors.Join(err, e.tensor(attributeTensors, x))
		}
	default:
		err = fmt.Errorf("a value of type %T cannot be stored", v)
	}
	e.number(attributeKind, int64(k))
	return append(e, a.rest...), err
}

func (e *encoder) float(num protowire.Number, v float32) {
	*e = protowire.AppendFixed32(protowire.AppendTag(*e, num, protowire.Fixed32Type), math.Float32bits(v))
}

func (e *encoder) tensor(num protowire.Number, t *Tensor) error {
	if t == nil {
		return errors.New("a tensor is missing")
	}
	if err := t.check(); err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	fields := t.encode()
	e.length(num, len(fields)+len(t.Raw))
	*e = append(append(*e, fields...), t.Raw...)
	return nil
}

var attributeMessage = message{
	decoded: map[protowire.Number]wires{
		attributeName: delimited, attributeKind: varint,
		attributeFloat: fixed32, attributeInt: varint, attributeString: delimited, attributeTensor: delimited,
		attributeFloats: fixed32s, attributeInts: varints, attributeStrings: delimited, attributeTensors: delimited,
	},
	refused: map[protowire.Number]string{
		attributeGraph: "a subgraph", attributeGraphs: "subgraphs",
		attributeSparseTensor: "a sparse tensor", attributeSparseTensors: "sparse tensors",
		attributeType: "a type", attributeTypes: "types", attributeReference: "a reference to a function",
	},
}

// attributeValues are the values of attributes that are given by their kind alone, as
// writers leave out empty lists and zeros.
var attributeValues = map[kind]any{
	kindFloat: float32(0), kindInt: int64(0), kindString: "",
	kindFloats: []float32(nil), kindInts: []int64(nil), kindStrings: []string(nil), kindTensors: []*Tensor(nil),
}

func (a *Attribute) read(b []byte) error {
	stated, found := kindNone, kindNone
	err := attributeMessage.fields(b, &a.rest, func(num protowire.Number, f field) error {
		switch num {
		case attributeName:
			a.Name = f.string()
			return nil
		case attributeKind:
			stated = kind(f.number)
			return nil
		}
		k, err := a.add(num, f)
		if found != kindNone && (k != found || k < kindFloats) {
			return errors.New("it has more than one value")
		}
		found = k
		return err
	})
	switch {
	case err != nil:
		return err
	case a.Name == "":
		return errors.New("it has no name")
	case found == kindNone && attributeValues[stated] != nil:
		a.Value = attributeValues[stated]
	case found == kindNone:
		return errors.New("it has no value")
	case stated != kindNone && stated != found:
		return fmt.Errorf("it is said to be of kind %d but its value is of kind %d", stated, found)
	}
	return nil
}

// add stores a value or appends it to the list, and returns its kind.
func (a *Attribute) add(num protowire.Number, f field) (kind, error) {
	switch num {
	case attributeFloat:
		a.Value = math.Float32frombits(uint32(f.number))
		return kindFloat, nil
	case attributeInt:
		a.Value = f.int64()
		return kindInt, nil
	case attributeString:
		a.Value = f.string()
		return kindString, nil
	case attributeTensor:
		t := &Tensor{}
		a.Value = t
		return kindTensor, t.read(f.bytes)
	case attributeStrings:
		list, _ := a.Value.([]string)
		a.Value = append(list, f.string())
		return kindStrings, nil
	case attributeTensors:
		list, _ := a.Value.([]*Tensor)
		t := &Tensor{}
		a.Value = append(list, t)
		return kindTensors, t.read(f.bytes)
	case attributeFloats:
		list, _ := a.Value.([]float32)
		list = slices.Grow(list, f.numbers(protowire.Fixed32Type))
		err := f.each(protowire.Fixed32Type, func(v uint64) error {
			list = append(list, math.Float32frombits(uint32(v)))
			return nil
		})
		a.Value = list
		return kindFloats, err
	default:
		list, _ := a.Value.([]int64)
		list = slices.Grow(list, f.numbers(protowire.VarintType))
		err := f.each(protowire.VarintType, func(v uint64) error {
			list = append(list, int64(v))
			return nil
		})
		a.Value = list
		return kindInts, err
	}
}
