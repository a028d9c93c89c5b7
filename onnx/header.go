// Package onnx reads ONNX files: protocol buffer messages of the ONNX schema, decoded
// field by field with protowire, because no maintained module carries the generated types.
package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrCorrupt is wrapped by every error about bytes that are not a well-formed ONNX model.
var ErrCorrupt = errors.New("not a readable ONNX model")

// ElemType is TensorProto.DataType of the ONNX schema.
type ElemType int32

// The element types that the model-file contract uses.
const (
	Float32 ElemType = 1
	Uint8   ElemType = 2
)

var elemTypeNames = [...]string{
	"undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string",
	"bool", "float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16",
}

// String returns the type's usual name, e.g. "uint8".
func (t ElemType) String() string {
	if t >= 0 && int(t) < len(elemTypeNames) {
		return elemTypeNames[t]
	}
	return fmt.Sprintf("element type %d", int32(t))
}

// Value is a graph input or output.
type Value struct {
	Name string
	Elem ElemType
	// Shape holds the dimensions; -1 stands for one that is not a fixed number.
	Shape []int64
}

// Header is what a model file says about itself outside its nodes.
type Header struct {
	// IR is the version of the file format.
	IR int64
	// Opset is the version of the default operator set; 0 when the file imports none.
	Opset int64
	// Producer is the name of the program that wrote the file.
	Producer string
	// Inputs leaves out initialisers, which old files list as inputs too.
	Inputs, Outputs []Value
	// Metadata is metadata_props.
	Metadata map[string]string
	// Nodes counts the graph's nodes.
	Nodes int
}

// Input returns the named input.
func (h Header) Input(name string) (Value, bool) { return find(h.Inputs, name) }

// Output returns the named output.
func (h Header) Output(name string) (Value, bool) { return find(h.Outputs, name) }

func find(values []Value, name string) (Value, bool) {
	for _, v := range values {
		if v.Name == name {
			return v, true
		}
	}
	return Value{}, false
}

// Field numbers of onnx.proto.
const (
	modelIR       = 1
	modelProducer = 2
	modelGraph    = 7
	modelOpset    = 8
	modelMetadata = 14

	opsetDomain  = 1
	opsetVersion = 2

	entryKey   = 1
	entryValue = 2

	graphNode        = 1
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12

	tensorName = 8

	valueName = 1
	valueType = 2

	typeTensor = 1

	tensorTypeElem  = 1
	tensorTypeShape = 2

	shapeDim = 1
	dimValue = 1
)

// ReadHeader decodes the header of an ONNX model. It visits every field of the model and
// of its graph, so that a file that was cut short is noticed. Errors wrap [ErrCorrupt].
func ReadHeader(model []byte) (Header, error) {
	h := Header{Metadata: map[string]string{}}
	sawGraph := false
	err := fields(model, func(num protowire.Number, f field) error {
		switch num {
		case modelIR:
			h.IR = f.int64()
		case modelProducer:
			h.Producer = f.string()
		case modelOpset:
			return h.readOpset(f.bytes)
		case modelMetadata:
			return h.readMetadata(f.bytes)
		case modelGraph:
			sawGraph = true
			return h.readGraph(f.bytes)
		}
		return nil
	})
	if err != nil {
		return Header{}, err
	}
	if !sawGraph || h.IR == 0 {
		return Header{}, fmt.Errorf("%w: it holds no graph", ErrCorrupt)
	}
	return h, nil
}

func (h *Header) readOpset(b []byte) error {
	domain, version := "", int64(0)
	err := fields(b, func(num protowire.Number, f field) error {
		switch num {
		case opsetDomain:
			domain = f.string()
		case opsetVersion:
			version = f.int64()
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		h.Opset = version
	}
	return err
}

func (h *Header) readMetadata(b []byte) error {
	var key, value string
	err := fields(b, func(num protowire.Number, f field) error {
		switch num {
		case entryKey:
			key = f.string()
		case entryValue:
			value = f.string()
		}
		return nil
	})
	h.Metadata[key] = value
	return err
}

func (h *Header) readGraph(b []byte) error {
	initialized := map[string]bool{}
	err := fields(b, func(num protowire.Number, f field) error {
		switch num {
		case graphNode:
			h.Nodes++
		case graphInitializer:
			return fields(f.bytes, func(num protowire.Number, f field) error {
				if num == tensorName {
					initialized[f.string()] = true
				}
				return nil
			})
		case graphInput:
			return appendValue(&h.Inputs, f.bytes)
		case graphOutput:
			return appendValue(&h.Outputs, f.bytes)
		}
		return nil
	})
	kept := h.Inputs[:0]
	for _, v := range h.Inputs {
		if !initialized[v.Name] {
			kept = append(kept, v)
		}
	}
	h.Inputs = kept
	return err
}

func appendValue(values *[]Value, b []byte) error {
	var v Value
	err := fields(b, func(num protowire.Number, f field) error {
		switch num {
		case valueName:
			v.Name = f.string()
		case valueType:
			return fields(f.bytes, func(num protowire.Number, f field) error {
				if num == typeTensor {
					return v.readTensorType(f.bytes)
				}
				return nil
			})
		}
		return nil
	})
	*values = append(*values, v)
	return err
}

func (v *Value) readTensorType(b []byte) error {
	return fields(b, func(num protowire.Number, f field) error {
		switch num {
		case tensorTypeElem:
			v.Elem = ElemType(f.varint)
		case tensorTypeShape:
			return fields(f.bytes, func(num protowire.Number, f field) error {
				if num == shapeDim {
					return v.readDim(f.bytes)
				}
				return nil
			})
		}
		return nil
	})
}

func (v *Value) readDim(b []byte) error {
	dim := int64(-1)
	err := fields(b, func(num protowire.Number, f field) error {
		if num == dimValue {
			dim = f.int64()
		}
		return nil
	})
	v.Shape = append(v.Shape, dim)
	return err
}

// field is one decoded field: a number or a run of bytes, by wire type.
type field struct {
	varint uint64
	bytes  []byte
}

func (f field) int64() int64   { return int64(f.varint) }
func (f field) string() string { return string(f.bytes) }

// fields calls visit for every field of a message.
func fields(b []byte, visit func(protowire.Number, field) error) error {
	for len(b) > 0 {
		num, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, protowire.ParseError(n))
		}
		b = b[n:]
		var f field
		switch wire {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, wire, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, protowire.ParseError(n))
		}
		b = b[n:]
		if err := visit(num, f); err != nil {
			return err
		}
	}
	return nil
}
