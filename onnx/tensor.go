package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// ElemType is TensorProto.DataType of the ONNX schema.
type ElemType int32

// The element types that the model-file contract and its graphs use.
const (
	Float32 ElemType = 1
	Uint8   ElemType = 2
	Int8    ElemType = 3
	Int32   ElemType = 6
	Int64   ElemType = 7
	Float16 ElemType = 10
)

// The others, which the model-file contract has no use for.
const (
	uint16Elem     ElemType = 4
	int16Elem      ElemType = 5
	boolElem       ElemType = 9
	float64Elem    ElemType = 11
	uint32Elem     ElemType = 12
	uint64Elem     ElemType = 13
	complex64Elem  ElemType = 14
	complex128Elem ElemType = 15
	bfloat16Elem   ElemType = 16
)

// elemTypes lists the schema's types; strings have no fixed size.
var elemTypes = [...]struct {
	name  string
	bytes int64
}{
	{"undefined", 0}, {"float32", 4}, {"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2},
	{"int32", 4}, {"int64", 8}, {"string", 0}, {"bool", 1}, {"float16", 2}, {"float64", 8},
	{"uint32", 4}, {"uint64", 8}, {"complex64", 8}, {"complex128", 16}, {"bfloat16", 2},
}

// String returns the type's usual name, e.g. "uint8".
func (t ElemType) String() string {
	if t >= 0 && int(t) < len(elemTypes) {
		return elemTypes[t].name
	}
	return fmt.Sprintf("element type %d", int32(t))
}

// bytes is the size of an element, 0 if it has no fixed one.
func (t ElemType) bytes() int64 {
	if t >= 0 && int(t) < len(elemTypes) {
		return elemTypes[t].bytes
	}
	return 0
}

// Tensor is a constant array.
type Tensor struct {
	Name string
	Elem ElemType
	// Dims is the shape, empty for a scalar.
	Dims []int64
	// Raw holds the elements in row-major order, little-endian, whatever field of the
	// schema they came from.
	Raw []byte

	rest []byte
}

// Element is a Go type of tensor elements.
type Element interface {
	float32 | uint8 | int8 | int32 | int64
}

// NewTensor returns a tensor with a copy of the values. Without dims it is a scalar.
// [Model.Marshal] refuses it if dims ask for another number of values.
func NewTensor[T Element](name string, values []T, dims ...int) *Tensor {
	raw := bytes.NewBuffer(make([]byte, 0, binary.Size(values)))
	// Neither the buffer nor the fixed-size elements can fail.
	_ = binary.Write(raw, binary.LittleEndian, values)
	t := &Tensor{Name: name, Elem: elemType[T](), Raw: raw.Bytes()}
	for _, d := range dims {
		t.Dims = append(t.Dims, int64(d))
	}
	return t
}

// Values returns a copy of the tensor's elements. It is an error if they have another type.
func Values[T Element](t *Tensor) ([]T, error) {
	if want := elemType[T](); t.Elem != want {
		return nil, fmt.Errorf("read tensor %q as %s: it is %s", t.Name, want, t.Elem)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("read tensor %q: %w", t.Name, err)
	}
	values := make([]T, int64(len(t.Raw))/t.Elem.bytes())
	_, err := binary.Decode(t.Raw, binary.LittleEndian, values)
	return values, err
}

func elemType[T Element]() ElemType {
	switch any(*new(T)).(type) {
	case float32:
		return Float32
	case uint8:
		return Uint8
	case int8:
		return Int8
	case int32:
		return Int32
	default:
		return Int64
	}
}

// count is the number of elements that the shape asks for.
func (t *Tensor) count() (int64, error) {
	if len(t.Dims) > maxRank {
		return 0, fmt.Errorf("it has more than %d dimensions", maxRank)
	}
	count, empty := uint64(1), false
	for _, d := range t.Dims {
		if d < 0 {
			return 0, fmt.Errorf("its shape %v has a negative dimension", t.Dims)
		}
		if d == 0 {
			empty = true
			continue
		}
		over, product := bits.Mul64(count, uint64(d))
		if over != 0 || product > maxFileBytes {
			count = maxFileBytes + 1 // whatever follows may still be 0
			continue
		}
		count = product
	}
	switch {
	case empty:
		return 0, nil
	case count > maxFileBytes:
		return 0, fmt.Errorf("its shape %v asks for more values than a file can hold", t.Dims)
	}
	return int64(count), nil
}

// check tells whether the tensor holds what its shape asks for.
func (t *Tensor) check() error {
	size := t.Elem.bytes()
	if size == 0 {
		return fmt.Errorf("its elements are of type %s, which cannot be stored", t.Elem)
	}
	count, err := t.count()
	if err != nil {
		return err
	}
	if int64(len(t.Raw)) != count*size {
		return fmt.Errorf("its shape %v of %s asks for %d bytes but it holds %d", t.Dims, t.Elem, count*size, len(t.Raw))
	}
	return nil
}
