// Package onnx reads, builds and writes ONNX models: protocol buffer messages of the ONNX
// schema, decoded field by field with protowire, because no maintained module carries the
// generated types. It knows what convolutional networks are made of; the rest of the
// schema is kept as it is or refused, never left out.
package onnx

import "slices"

// Model is an ONNX model in memory, ModelProto of the schema. Nodes and tensors are shared
// by pointer, so that a graph can be changed in place.
type Model struct {
	// IR is the version of the file format: 8 for operator set 17.
	IR int64
	// Opset is the version of the default operator set, ai.onnx.
	Opset int64
	// OtherOpsets are those of other domains, in the file's order.
	OtherOpsets []Opset
	// Producer and ProducerVersion are the program that made the model.
	Producer, ProducerVersion string
	// Metadata is metadata_props in the file's order.
	Metadata []Entry
	Graph    Graph

	rest []byte // fields that are not decoded
}

// Opset is a version of a domain's operator set.
type Opset struct {
	Domain  string
	Version int64
}

// Entry is one entry of a model's metadata.
type Entry struct{ Key, Value string }

// Graph is GraphProto of the schema.
type Graph struct {
	Name string
	// Nodes are ordered so that each comes after those whose outputs it takes.
	Nodes []*Node
	// Inputs may list initialisers, as old files do: then these are their defaults.
	Inputs, Outputs []Value
	// Initializers are the constants, each under a name of its own.
	Initializers []*Tensor
	// Values describes tensors between nodes, value_info of the schema.
	Values []Value

	rest []byte
}

// Node is one operation of a graph.
type Node struct {
	// Name is for people; it may be empty.
	Name string
	// Op is the operator's name and Domain its set, empty for ai.onnx.
	Op, Domain string
	// Inputs and Outputs are names of tensors; empty ones stand for optional ones that are
	// left out.
	Inputs, Outputs []string
	Attributes      []Attribute

	rest []byte
}

// Attribute is a parameter of a node. Its Value is an int64, float32, string, *Tensor,
// or a slice of one of these.
type Attribute struct {
	Name  string
	Value any

	rest []byte
}

// Int returns an attribute that is a whole number.
func Int(name string, v int64) Attribute { return Attribute{Name: name, Value: v} }

// Ints returns an attribute that is a list of whole numbers.
func Ints(name string, v ...int64) Attribute { return Attribute{Name: name, Value: v} }

// Float returns an attribute that is a real number.
func Float(name string, v float32) Attribute { return Attribute{Name: name, Value: v} }

// String returns an attribute that is a text.
func String(name, v string) Attribute { return Attribute{Name: name, Value: v} }

// SetMetadata stores a value under the key, in place of those that the model may hold.
func (m *Model) SetMetadata(key, value string) {
	at := slices.IndexFunc(m.Metadata, func(e Entry) bool { return e.Key == key })
	if at < 0 {
		m.Metadata = append(m.Metadata, Entry{key, value})
		return
	}
	m.Metadata[at].Value = value
	later := slices.DeleteFunc(m.Metadata[at+1:], func(e Entry) bool { return e.Key == key })
	m.Metadata = m.Metadata[:at+1+len(later)]
}
