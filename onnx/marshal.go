package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
)

// maxFileBytes is the greatest size of a protocol buffer message.
const maxFileBytes = math.MaxInt32

// Marshal returns the model as an ONNX file. The same model gives the same bytes. It is an
// error if names are missing, defined twice or used before they are defined, if a node's
// operator set is not imported, if a tensor's values do not fill its shape, or if the file
// would be 2 GiB or larger.
func (m *Model) Marshal() ([]byte, error) {
	parts, err := m.parts()
	if err != nil {
		return nil, fmt.Errorf("write ONNX model: %w", err)
	}
	file := make([]byte, 0, parts.size())
	for _, p := range parts {
		file = append(file, p...)
	}
	return file, nil
}

// WriteFile replaces the file at path by the model. The old file stays as it was until the
// new one is complete on the disk. Errors are those of [Model.Marshal] and of the file.
func WriteFile(path string, m *Model) error {
	file, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Bytes(path, file)
}

// parts is a message in pieces, so that weights are copied only once, into the file.
type parts [][]byte

func (p parts) size() (n int) {
	for _, part := range p {
		n += len(part)
	}
	return n
}

func (m *Model) parts() (parts, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	graph, err := m.Graph.parts()
	if err != nil {
		return nil, err
	}
	var head, tail encoder
	head.number(modelIR, m.IR)
	head.text(modelProducer, m.Producer)
	head.text(modelProducerVersion, m.ProducerVersion)
	head.length(modelGraph, graph.size())
	for _, o := range append([]Opset{{Version: m.Opset}}, m.OtherOpsets...) {
		var e encoder
		e.text(opsetDomain, o.Domain)
		e.number(opsetVersion, o.Version)
		tail.bytes(modelOpset, e)
	}
	for _, entry := range m.Metadata {
		var e encoder
		e.text(entryKey, entry.Key)
		e.bytes(entryValue, []byte(entry.Value))
		tail.bytes(modelMetadata, e)
	}
	tail = append(tail, m.rest...)
	all := append(append(parts{head}, graph...), tail)
	if n := all.size(); n > maxFileBytes {
		return nil, fmt.Errorf("it takes %d bytes, and a file holds at most %d", n, maxFileBytes)
	}
	return all, nil
}

func (g *Graph) parts() (parts, error) {
	var head, tail encoder
	for i, n := range g.Nodes {
		b, err := n.encode()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.title(i), err)
		}
		head.bytes(graphNode, b)
	}
	head.text(graphName, g.Name)
	all := parts{head}
	for _, t := range g.Initializers {
		fields := t.encode()
		var e encoder
		e.length(graphInitializer, len(fields)+len(t.Raw))
		all = append(all, append(e, fields...), t.Raw)
	}
	for _, l := range g.lists() {
		for _, v := range *l.values {
			tail.bytes(l.field, v.encode())
		}
	}
	return append(all, append(tail, g.rest...)), nil
}

// list is one of a graph's lists of values.
type list struct {
	title  string
	field  protowire.Number
	values *[]Value
}

func (g *Graph) lists() []list {
	return []list{{"input", graphInput, &g.Inputs}, {"output", graphOutput, &g.Outputs}, {"value", graphValueInfo, &g.Values}}
}

func (n *Node) encode() (e encoder, err error) {
	for _, name := range n.Inputs {
		e.bytes(nodeInput, []byte(name))
	}
	for _, name := range n.Outputs {
		e.bytes(nodeOutput, []byte(name))
	}
	e.text(nodeName, n.Name)
	e.text(nodeOp, n.Op)
	for _, a := range n.Attributes {
		b, err := a.encode()
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		e.bytes(nodeAttribute, b)
	}
	e.text(nodeDomain, n.Domain)
	return append(e, n.rest...), nil
}

// encode writes all of the tensor but the bytes of its elements, which are to follow if
// there are any.
func (t *Tensor) encode() (e encoder) {
	for _, d := range t.Dims {
		e.number(tensorDims, d)
	}
	e.number(tensorElem, int64(t.Elem))
	e.text(tensorName, t.Name)
	e = append(e, t.rest...)
	if len(t.Raw) > 0 {
		e.length(tensorRaw, len(t.Raw))
	}
	return e
}

func (v Value) encode() (e encoder) {
	e.text(valueName, v.Name)
	if v.Elem != 0 || v.Shape != nil {
		var tensor, outer encoder
		tensor.number(tensorTypeElem, int64(v.Elem))
		if v.Shape != nil {
			tensor.bytes(tensorTypeShape, v.encodeShape())
		}
		outer.bytes(typeTensor, tensor)
		e.bytes(valueType, outer)
	}
	return append(e, v.rest...)
}

func (v Value) encodeShape() (e encoder) {
	for i, d := range v.Shape {
		var dim encoder
		if d >= 0 {
			dim.number(dimValue, d)
		} else if v.DimNames != nil {
			dim.text(dimParam, v.DimNames[i])
		}
		e.bytes(shapeDim, dim)
	}
	return e
}

// encoder is a message that grows field by field.
type encoder []byte

func (e *encoder) number(num protowire.Number, v int64) {
	*e = protowire.AppendVarint(protowire.AppendTag(*e, num, protowire.VarintType), uint64(v))
}

// text leaves empty texts out.
func (e *encoder) text(num protowire.Number, s string) {
	if s != "" {
		e.bytes(num, []byte(s))
	}
}

func (e *encoder) bytes(num protowire.Number, b []byte) {
	e.length(num, len(b))
	*e = append(*e, b...)
}

// length begins a field of n bytes, which are to follow.
func (e *encoder) length(num protowire.Number, n int) {
	*e = protowire.AppendVarint(protowire.AppendTag(*e, num, protowire.BytesType), uint64(n))
}
