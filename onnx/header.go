package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

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
			h.External = h.External || f.number == locationExternal
		}
		return nil
	})
}

func appendValue(values *[]Value, b []byte) error {
	v, _, err := readValue(b, len(*values))
	v.rest = nil // it refers to the file
	*values = append(*values, v)
	return err
}
