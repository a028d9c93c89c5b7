package onnx

import (
	"errors"
	"fmt"
	"math"

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
