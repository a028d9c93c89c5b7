package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

var tensorMessage = message{
	decoded: map[protowire.Number]wires{
		tensorDims: varints, tensorElem: varint, tensorName: delimited, tensorRaw: delimited, tensorLocation: varint,
		tensorFloat32s: fixed32s, tensorInt32s: varints, tensorInt64s: varints, tensorFloat64s: fixed64s, tensorUint64s: varints,
	},
	refused: map[protowire.Number]string{
		tensorSegment: "segments", tensorStrings: "texts",
		tensorExternal: "values in another file (save the model as a single file)",
	},
}

// typedField is a field of numbers that may stand in for raw bytes.
type typedField struct {
	wire protowire.Type
	// bytes is what one number becomes, by the type of the tensor's elements. Complex
	// elements take two numbers.
	bytes map[ElemType]int
}

// typedFields are the fields of onnx.proto with the element types that it allows in them.
var typedFields = map[protowire.Number]typedField{
	tensorFloat32s: {protowire.Fixed32Type, map[ElemType]int{Float32: 4, complex64Elem: 4}},
	tensorFloat64s: {protowire.Fixed64Type, map[ElemType]int{float64Elem: 8, complex128Elem: 8}},
	tensorInt64s:   {protowire.VarintType, map[ElemType]int{Int64: 8}},
	tensorUint64s:  {protowire.VarintType, map[ElemType]int{uint32Elem: 4, uint64Elem: 8}},
	tensorInt32s: {protowire.VarintType, map[ElemType]int{
		Int32: 4, Uint8: 1, Int8: 1, uint16Elem: 2, int16Elem: 2, boolElem: 1, Float16: 2, bfloat16Elem: 2,
	}},
}

func (t *Tensor) read(b []byte) error {
	var typed protowire.Number // the field that holds the elements, if raw does not
	err := tensorMessage.fields(b, &t.rest, func(num protowire.Number, f field) error {
		switch num {
		case tensorDims:
			return t.readDims(f)
		case tensorElem:
			t.Elem = ElemType(f.number)
		case tensorName:
			t.Name = f.string()
		case tensorRaw:
			t.Raw = f.bytes
		case tensorLocation:
			if f.number != locationInternal {
				return errors.New("its values are in another file; save the model as a single file")
			}
		default:
			if typed != 0 && typed != num {
				return errors.New("its values are given twice")
			}
			typed = num
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.Raw) == 0 {
		t.Raw = nil
	}
	if typed != 0 {
		if err := t.readTyped(typed, b); err != nil {
			return err
		}
	}
	return t.check()
}

func (t *Tensor) readDims(f field) error {
	return f.each(protowire.VarintType, func(v uint64) error {
		if len(t.Dims) == maxRank {
			return fmt.Errorf("%w: a tensor has more than %d dimensions", ErrCorrupt, maxRank)
		}
		t.Dims = append(t.Dims, int64(v))
		return nil
	})
}

// readTyped makes raw bytes of the numbers in one of the typed fields of message b.
func (t *Tensor) readTyped(num protowire.Number, b []byte) error {
	wide, ok := typedFields[num].bytes[t.Elem]
	if !ok {
		return fmt.Errorf("its elements are of type %s, which its field %d cannot hold", t.Elem, num)
	}
	if t.Raw != nil {
		return errors.New("its values are given twice")
	}
	count, err := t.count()
	if err != nil {
		return err
	}
	size := count * t.Elem.bytes()
	if size > int64(len(b))*int64(wide) {
		return fmt.Errorf("its shape %v asks for more values than it holds", t.Dims)
	}
	raw := make([]byte, 0, size)
	err = fields(b, func(n protowire.Number, f field) error {
		if n != num {
			return nil
		}
		return f.each(typedFields[num].wire, func(v uint64) error {
			if num == tensorInt32s {
				v = uint64(int64(int32(v))) // as protocol buffers define it
			}
			if int64(len(raw)) == size {
				return fmt.Errorf("its shape %v asks for fewer values than it holds", t.Dims)
			}
			if !fits(v, t.Elem) {
				return fmt.Errorf("its value %d is too large for elements of type %s", int64(v), t.Elem)
			}
			var little [8]byte
			binary.LittleEndian.PutUint64(little[:], v)
			raw = append(raw, little[:wide]...)
			return nil
		})
	})
	if len(raw) > 0 {
		t.Raw = raw
	}
	return err
}

// fits tells whether an element has room for the value of a field whose numbers are wider.
func fits(v uint64, elem ElemType) bool {
	in := func(low, high int64) bool { return int64(v) >= low && int64(v) <= high }
	switch elem {
	case Uint8:
		return in(0, math.MaxUint8)
	case Int8:
		return in(math.MinInt8, math.MaxInt8)
	case int16Elem:
		return in(math.MinInt16, math.MaxInt16)
	case uint16Elem, Float16, bfloat16Elem:
		return in(0, math.MaxUint16)
	case uint32Elem:
		return in(0, math.MaxUint32)
	case boolElem:
		return in(0, 1)
	}
	return true
}
