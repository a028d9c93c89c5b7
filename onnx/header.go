// Package onnx reads ONNX files: protocol buffer messages of the ONNX schema, decoded
// field by field with protowire, because no maintained module carries the generated types.
package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrCorrupt is wrapped by every error about bytes that are not a well-formed ONNX model.
var ErrCorrupt = errors.New("not a readable ONNX model")

// errMalformed stands in for protowire's errors, whose texts differ from build to build.
var errMalformed = fmt.Errorf("%w: it is cut short or damaged", ErrCorrupt)

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
	// Shape holds the dimensions; -1 stands for one that is not a fixed number. It is nil
	// for scalars and where the file gives no shape.
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
	// Metadata is metadata_props; where a key is repeated, the last one counts.
	Metadata map[string]string
	// Nodes counts the graph's nodes, without those of subgraphs.
	Nodes int
	// External tells that weights are stored in other files than the model's.
	External bool
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

	tensorName     = 8
	tensorLocation = 14
	locationExtern = 1

	valueName = 1
	valueType = 2

	typeTensor = 1

	tensorTypeElem  = 1
	tensorTypeShape = 2

	shapeDim = 1
	dimValue = 1
)

// Limits on what a header may list, so that a small hostile file cannot ask for much
// memory. Real models stay far below.
const (
	maxValues = 1 << 16
	maxRank   = 64
)

// ReadHeader decodes the header of an ONNX model. It visits every field of the model and
// of its graph, so that a file that was cut short is noticed unless it was cut between two
// fields of the model. What it returns does not refer to model. Errors wrap [ErrCorrupt].
func ReadHeader(model []byte) (Header, error) {
	if len(model) == 0 {
		return Header{}, fmt.Errorf("%w: it is empty", ErrCorrupt)
	}
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
			return h.readInitializer(f.bytes, initialized)
		case graphInput:
			return appendValue(&h.Inputs, f.bytes)
		case graphOutput:
			return appendValue(&h.Outputs, f.bytes)
		}
		return nil
	})
	h.Inputs = slices.DeleteFunc(h.Inputs, func(v Value) bool { return initialized[v.Name] })
	return err
}

func (h *Header) readInitializer(b []byte, initialized map[string]bool) error {
	return fields(b, func(num protowire.Number, f field) error {
		switch num {
		case tensorName:
			initialized[f.string()] = true
		case tensorLocation:
			h.External = h.External || f.varint == locationExtern
		}
		return nil
	})
}

func appendValue(values *[]Value, b []byte) error {
	if len(*values) == maxValues {
		return fmt.Errorf("%w: its graph lists more than %d inputs or outputs", ErrCorrupt, maxValues)
	}
	var v Value
	err := fields(b, func(num protowire.Number, f field) error {
		switch num {
		case valueName:
			v.Name = f.string()
		case valueType:
			return v.readType(f.bytes)
		}
		return nil
	})
	*values = append(*values, v)
	return err
}

func (v *Value) readType(b []byte) error {
	return fields(b, func(num protowire.Number, f field) error {
		if num == typeTensor {
			return v.readTensorType(f.bytes)
		}
		return nil
	})
}

func (v *Value) readTensorType(b []byte) error {
	return fields(b, func(num protowire.Number, f field) error {
		switch num {
		case tensorTypeElem:
			v.Elem = ElemType(f.varint)
		case tensorTypeShape:
			return v.readShape(f.bytes)
		}
		return nil
	})
}

func (v *Value) readShape(b []byte) error {
	return fields(b, func(num protowire.Number, f field) error {
		if num == shapeDim {
			return v.readDim(f.bytes)
		}
		return nil
	})
}

func (v *Value) readDim(b []byte) error {
	if len(v.Shape) == maxRank {
		return fmt.Errorf("%w: a tensor has more than %d dimensions", ErrCorrupt, maxRank)
	}
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
			return errMalformed
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
			return errMalformed
		}
		b = b[n:]
		if err := visit(num, f); err != nil {
			return err
		}
	}
	return nil
}
