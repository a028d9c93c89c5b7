package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Value describes a tensor of the graph: an input, an output or one in between.
type Value struct {
	Name string
	Elem ElemType
	// Shape holds the dimensions; -1 stands for one that is not a fixed number. It is empty
	// for scalars and nil where the file gives no shape.
	Shape []int64
	// DimNames are the names of the dimensions that are not fixed, by position, empty where
	// there is none. It is nil if no dimension is named.
	DimNames []string

	rest []byte // fields that are not decoded
}

// Elements is the number of elements, 0 where the shape is not known, holds nothing or is beyond
// all memory.
func (v Value) Elements() int64 {
	if v.Shape == nil {
		return 0
	}
	const most = 1 << 48
	elements := int64(1)
	for _, d := range v.Shape {
		if d < 1 || d > most/elements {
			return 0
		}
		elements *= d
	}
	return elements
}

// Limits on what a file may list, so that a small hostile one cannot ask for much
// memory. Real models stay far below.
const (
	maxValues = 1 << 16
	maxRank   = 64
)

var (
	valueMessage      = message{decoded: map[protowire.Number]wires{valueName: delimited, valueType: delimited}}
	typeMessage       = message{decoded: map[protowire.Number]wires{typeTensor: delimited}}
	tensorTypeMessage = message{decoded: map[protowire.Number]wires{tensorTypeElem: varint, tensorTypeShape: delimited}}
	shapeMessage      = message{decoded: map[protowire.Number]wires{shapeDim: delimited}}
	dimMessage        = message{decoded: map[protowire.Number]wires{dimValue: varint, dimParam: delimited}}
)

// readValue decodes one more value of a list. It tells whether it knows all fields of the
// value's type.
func readValue(b []byte, listed int) (v Value, whole bool, err error) {
	if listed == maxValues {
		return v, false, fmt.Errorf("%w: its graph lists more than %d inputs or outputs", ErrCorrupt, maxValues)
	}
	r := valueReader{}
	err = valueMessage.fields(b, &r.rest, func(num protowire.Number, f field) error {
		if num == valueName {
			r.Name = f.string()
			return nil
		}
		return typeMessage.fields(f.bytes, &r.unknown, func(_ protowire.Number, f field) error {
			return r.readTensorType(f.bytes)
		})
	})
	return r.Value, len(r.unknown) == 0, err
}

type valueReader struct {
	Value
	unknown []byte // fields of the type
}

func (r *valueReader) readTensorType(b []byte) error {
	return tensorTypeMessage.fields(b, &r.unknown, func(num protowire.Number, f field) error {
		if num == tensorTypeElem {
			r.Elem = ElemType(f.number)
			return nil
		}
		if r.Shape == nil {
			r.Shape = []int64{}
		}
		return shapeMessage.fields(f.bytes, &r.unknown, func(_ protowire.Number, f field) error {
			return r.readDim(f.bytes)
		})
	})
}

func (r *valueReader) readDim(b []byte) error {
	if len(r.Shape) == maxRank {
		return fmt.Errorf("%w: a tensor has more than %d dimensions", ErrCorrupt, maxRank)
	}
	dim, name := int64(-1), ""
	err := dimMessage.fields(b, &r.unknown, func(num protowire.Number, f field) error {
		if num == dimValue {
			dim, name = f.int64(), ""
		} else {
			dim, name = -1, f.string()
		}
		return nil
	})
	if name != "" && r.DimNames == nil {
		r.DimNames = make([]string, len(r.Shape))
	}
	r.Shape = append(r.Shape, dim)
	if r.DimNames != nil {
		r.DimNames = append(r.DimNames, name)
	}
	return err
}
