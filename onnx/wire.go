package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrCorrupt is wrapped by every error about bytes that are not a well-formed ONNX model.
var ErrCorrupt = errors.New("not a readable ONNX model")

// errMalformed stands in for protowire's errors, whose texts differ from build to build.
var errMalformed = fmt.Errorf("%w: it is cut short or damaged", ErrCorrupt)

// Field numbers of onnx.proto.
const (
	modelIR              = 1
	modelProducer        = 2
	modelProducerVersion = 3
	modelGraph           = 7
	modelOpset           = 8
	modelMetadata        = 14
	modelTraining        = 20
	modelFunctions       = 25

	opsetDomain  = 1
	opsetVersion = 2

	entryKey   = 1
	entryValue = 2

	graphNode              = 1
	graphName              = 2
	graphInitializer       = 5
	graphInput             = 11
	graphOutput            = 12
	graphValueInfo         = 13
	graphSparseInitializer = 15

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOp        = 4
	nodeAttribute = 5
	nodeDomain    = 7

	attributeName          = 1
	attributeFloat         = 2
	attributeInt           = 3
	attributeString        = 4
	attributeTensor        = 5
	attributeGraph         = 6
	attributeFloats        = 7
	attributeInts          = 8
	attributeStrings       = 9
	attributeTensors       = 10
	attributeGraphs        = 11
	attributeType          = 14
	attributeTypes         = 15
	attributeKind          = 20
	attributeReference     = 21
	attributeSparseTensor  = 22
	attributeSparseTensors = 23

	tensorDims       = 1
	tensorElem       = 2
	tensorSegment    = 3
	tensorFloat32s   = 4
	tensorInt32s     = 5
	tensorStrings    = 6
	tensorInt64s     = 7
	tensorName       = 8
	tensorRaw        = 9
	tensorFloat64s   = 10
	tensorUint64s    = 11
	tensorExternal   = 13
	tensorLocation   = 14
	locationInternal = 0
	locationExternal = 1

	valueName = 1
	valueType = 2

	typeTensor = 1

	tensorTypeElem  = 1
	tensorTypeShape = 2

	shapeDim = 1

	dimValue = 1
	dimParam = 2
)

// field is one decoded field: a number or a run of bytes, by wire type.
type field struct {
	wire   protowire.Type
	number uint64 // of varints and of fixed32 and fixed64, whose bits these are
	bytes  []byte
	// whole is the field as it is in the file, with its tag.
	whole []byte
}

func (f field) int64() int64   { return int64(f.number) }
func (f field) string() string { return string(f.bytes) }

// fields calls visit for every field of a message.
func fields(b []byte, visit func(protowire.Number, field) error) error {
	for len(b) > 0 {
		num, wire, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return errMalformed
		}
		f := field{wire: wire}
		n := f.consume(num, b[tag:])
		if n < 0 {
			return errMalformed
		}
		f.whole, b = b[:tag+n:tag+n], b[tag+n:]
		if err := visit(num, f); err != nil {
			return err
		}
	}
	return nil
}

// count returns how often a message has a field, so that hostile lists, whose entries take
// two bytes in the file, do not grow step by step.
func count(b []byte, num protowire.Number) (n int) {
	// Damage is found when the fields are decoded.
	_ = fields(b, func(found protowire.Number, _ field) error {
		if found == num {
			n++
		}
		return nil
	})
	return n
}

// consume decodes the value that b begins with, and returns its length or a negative number.
func (f *field) consume(num protowire.Number, b []byte) (n int) {
	switch f.wire {
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.number = uint64(v)
	case protowire.Fixed64Type:
		f.number, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
		f.bytes = f.bytes[:len(f.bytes):len(f.bytes)]
	default:
		n = protowire.ConsumeFieldValue(num, f.wire, b)
	}
	return n
}

// each calls visit for the numbers of a repeated field, which may be packed: for one
// number of the wire type, or for those that its bytes consist of.
func (f field) each(wire protowire.Type, visit func(uint64) error) error {
	if f.wire == wire {
		return visit(f.number)
	}
	for b := f.bytes; len(b) > 0; {
		one := field{wire: wire}
		n := one.consume(1, b)
		if n < 0 {
			return errMalformed
		}
		if err := visit(one.number); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// numbers bounds how many numbers a repeated field holds.
func (f field) numbers(wire protowire.Type) int {
	switch {
	case f.wire == wire:
		return 1
	case wire == protowire.Fixed32Type:
		return len(f.bytes) / 4
	}
	n := 0
	for _, b := range f.bytes {
		if b < 0x80 { // the last byte of a varint
			n++
		}
	}
	return n
}

// wires is a set of wire types.
type wires uint8

// The wire types of the schema's fields. Repeated numbers may come packed or one by one.
const (
	varint    wires = 1 << protowire.VarintType
	fixed32   wires = 1 << protowire.Fixed32Type
	fixed64   wires = 1 << protowire.Fixed64Type
	delimited wires = 1 << protowire.BytesType
	varints         = varint | delimited
	fixed32s        = fixed32 | delimited
	fixed64s        = fixed64 | delimited
)

// message tells which fields of a message are decoded and which are refused.
type message struct {
	decoded map[protowire.Number]wires
	// refused says what the fields are that a model cannot be changed safely without.
	refused map[protowire.Number]string
}

// fields calls visit for the fields that are decoded. It appends the others to rest as
// they are; where rest is nil, it refuses them.
func (m message) fields(b []byte, rest *[]byte, visit func(protowire.Number, field) error) error {
	return fields(b, func(num protowire.Number, f field) error {
		if w, ok := m.decoded[num]; ok {
			if w&(1<<f.wire) == 0 {
				return errMalformed
			}
			return visit(num, f)
		}
		if what, ok := m.refused[num]; ok {
			return fmt.Errorf("it has %s, which cannot be read", what)
		}
		if rest == nil {
			return fmt.Errorf("it has field %d, which is not known; update the program", num)
		}
		*rest = append(*rest, f.whole...)
		return nil
	})
}
