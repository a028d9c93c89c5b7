package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	modelMessage = message{
		decoded: map[protowire.Number]wires{
			modelIR: varint, modelProducer: delimited, modelProducerVersion: delimited,
			modelGraph: delimited, modelOpset: delimited, modelMetadata: delimited,
		},
		refused: map[protowire.Number]string{modelTraining: "training information", modelFunctions: "functions of its own"},
	}
	opsetMessage = message{decoded: map[protowire.Number]wires{opsetDomain: delimited, opsetVersion: varint}}
	entryMessage = message{decoded: map[protowire.Number]wires{entryKey: delimited, entryValue: delimited}}
	graphMessage = message{
		decoded: map[protowire.Number]wires{
			graphNode: delimited, graphName: delimited, graphInitializer: delimited,
			graphInput: delimited, graphOutput: delimited, graphValueInfo: delimited,
		},
		refused: map[protowire.Number]string{graphSparseInitializer: "sparse initialisers"},
	}
	nodeMessage = message{decoded: map[protowire.Number]wires{
		nodeInput: delimited, nodeOutput: delimited, nodeName: delimited, nodeOp: delimited,
		nodeAttribute: delimited, nodeDomain: delimited,
	}}
)

// Unmarshal decodes an ONNX model and checks it as [Model.Marshal] does. The model's
// tensors refer to file, which must not be changed afterwards. Elements of all numeric
// types come as [Tensor.Raw]; fields that are not modelled, documentation for example, are
// kept and written again.
//
// Errors about malformed bytes wrap [ErrCorrupt]. Other errors name the part of the model
// that breaks a rule or is not supported: weights in other files, subgraphs, functions,
// sparse tensors, text tensors, values that are no tensors, training information.
func Unmarshal(file []byte) (*Model, error) {
	if len(file) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrCorrupt)
	}
	m, sawGraph := &Model{}, false
	m.Metadata = slices.Grow(m.Metadata, count(file, modelMetadata))
	err := modelMessage.fields(file, &m.rest, func(num protowire.Number, f field) error {
		switch num {
		case modelIR:
			m.IR = f.int64()
		case modelProducer:
			m.Producer = f.string()
		case modelProducerVersion:
			m.ProducerVersion = f.string()
		case modelOpset:
			return m.readOpset(f.bytes)
		case modelMetadata:
			return m.readEntry(f.bytes)
		case modelGraph:
			sawGraph = true
			return m.Graph.read(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !sawGraph || m.IR == 0 {
		return nil, fmt.Errorf("%w: it holds no graph", ErrCorrupt)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) readOpset(b []byte) error {
	var o Opset
	err := opsetMessage.fields(b, nil, func(num protowire.Number, f field) error {
		if num == opsetDomain {
			o.Domain = f.string()
		} else {
			o.Version = f.int64()
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("operator set: %w", err)
	case o.Domain != "" && o.Domain != "ai.onnx":
		m.OtherOpsets = append(m.OtherOpsets, o)
	case m.Opset != 0:
		return errors.New("it imports the operator set ai.onnx twice")
	default:
		m.Opset = o.Version
	}
	return nil
}

func (m *Model) readEntry(b []byte) error {
	var e Entry
	err := entryMessage.fields(b, nil, func(num protowire.Number, f field) error {
		if num == entryKey {
			e.Key = f.string()
		} else {
			e.Value = f.string()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata %q: %w", e.Key, err)
	}
	m.Metadata = append(m.Metadata, e)
	return nil
}

func (g *Graph) read(b []byte) error {
	g.Nodes = slices.Grow(g.Nodes, count(b, graphNode))
	for _, l := range g.lists() {
		*l.values = slices.Grow(*l.values, min(count(b, l.field), maxValues))
	}
	return graphMessage.fields(b, &g.rest, func(num protowire.Number, f field) error {
		switch num {
		case graphName:
			g.Name = f.string()
		case graphNode:
			n := &Node{}
			if err := n.read(f.bytes); err != nil {
				return fmt.Errorf("%s: %w", n.title(len(g.Nodes)), err)
			}
			g.Nodes = append(g.Nodes, n)
		case graphInitializer:
			t := &Tensor{}
			if err := t.read(f.bytes); err != nil {
				return fmt.Errorf("initialiser %q: %w", t.Name, err)
			}
			g.Initializers = append(g.Initializers, t)
		default:
			return g.readValue(num, f.bytes)
		}
		return nil
	})
}

func (g *Graph) readValue(num protowire.Number, b []byte) error {
	for _, l := range g.lists() {
		if l.field != num {
			continue
		}
		v, whole, err := readValue(b, len(*l.values))
		if err == nil && v.Name == "" {
			err = errors.New("it has no name")
		}
		if err == nil && !whole {
			err = errors.New("its type is not that of a plain tensor")
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", l.title, v.Name, err)
		}
		*l.values = append(*l.values, v)
	}
	return nil
}

func (n *Node) read(b []byte) error {
	n.Inputs = slices.Grow(n.Inputs, count(b, nodeInput))
	err := nodeMessage.fields(b, &n.rest, func(num protowire.Number, f field) error {
		switch num {
		case nodeInput:
			n.Inputs = append(n.Inputs, f.string())
		case nodeOutput:
			n.Outputs = append(n.Outputs, f.string())
		case nodeName:
			n.Name = f.string()
		case nodeOp:
			n.Op = f.string()
		case nodeDomain:
			n.Domain = f.string()
		case nodeAttribute:
			var a Attribute
			if err := a.read(f.bytes); err != nil {
				return fmt.Errorf("attribute %q: %w", a.Name, err)
			}
			n.Attributes = append(n.Attributes, a)
		}
		return nil
	})
	if err == nil && n.Op == "" {
		err = errors.New("it has no operator") // before a list of empty nodes grows
	}
	return err
}
