package trttest

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robustnet-edge/robustnet/onnx"
)

// message is a protocol buffer message that grows field by field. Field numbers are those
// of onnx.proto.
type message []byte

func (m *message) varint(num protowire.Number, v uint64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, num, protowire.VarintType), v)
}

func (m *message) text(num protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, num, protowire.BytesType), s)
}

func (m *message) nested(num protowire.Number, v message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, num, protowire.BytesType), v)
}

const int64Type onnx.ElemType = 7

// graph is the network. The squared distance of pixel x to colour c is |x|² − 2x·c + |c|²,
// so the nearest colour has the greatest x·c − |c|²/2: a MatMul, an Add and an ArgMax.
func graph(o Options) message {
	var g message
	g.text(2, "nearest-colour")
	node := func(op, output string, inputs []string, attributes ...message) {
		g.nested(1, newNode(op, output, inputs, attributes))
	}
	classes := Classes(o.Classes)
	weight, bias := make([]float32, 3*len(classes)), make([]float32, len(classes))
	for i, class := range classes {
		for channel, level := range class.Color {
			c := float32(level)
			weight[channel*len(classes)+i] = c
			bias[i] -= c * c / 2
		}
	}
	stepY, stepX := o.InputHeight/o.MaskHeight, o.InputWidth/o.MaskWidth

	node("Cast", "pixels", []string{"image"}, attribute("to", int64(onnx.Float32)))
	node("Slice", "sampled", []string{"pixels", "starts", "ends", "axes", "steps"})
	node("MatMul", "products", []string{"sampled", "weight"})
	node("Add", "logits", []string{"products", "bias"})
	node("ArgMax", "ids", []string{"logits"}, attribute("axis", 3), attribute("keepdims", 0))
	node("Cast", "mask", []string{"ids"}, attribute("to", int64(onnx.Uint8)))

	node("Div", "unit", []string{"pixels", "full"})
	node("ReduceMean", "mean4", []string{"unit"}, attribute("axes", 1, 2))
	node("Sub", "centred", []string{"unit", "mean4"})
	node("Mul", "squares", []string{"centred", "centred"})
	node("ReduceMean", "mean", []string{"unit"}, attribute("axes", 1, 2), attribute("keepdims", 0))
	node("ReduceMean", "variance", []string{"squares"}, attribute("axes", 1, 2), attribute("keepdims", 0))
	node("Sqrt", "std", []string{"variance"})
	node("Concat", "style", []string{"mean", "std"}, attribute("axis", 1))

	g.nested(5, int64s("starts", int64(stepY/2), int64(stepX/2)))
	g.nested(5, int64s("ends", int64(o.InputHeight), int64(o.InputWidth)))
	g.nested(5, int64s("axes", 1, 2))
	g.nested(5, int64s("steps", int64(stepY), int64(stepX)))
	g.nested(5, float32s("weight", weight, 3, len(classes)))
	g.nested(5, float32s("bias", bias, len(classes)))
	g.nested(5, float32s("full", []float32{255}))

	g.nested(11, value("image", o.InputType, 1, o.InputHeight, o.InputWidth, 3))
	g.nested(12, value("mask", onnx.Uint8, 1, o.MaskHeight, o.MaskWidth))
	if !o.NoStyle {
		g.nested(12, value("style", onnx.Float32, 1, StyleLen))
	}
	return g
}

func newNode(op, output string, inputs []string, attributes []message) message {
	var n message
	for _, input := range inputs {
		n.text(1, input)
	}
	n.text(2, output)
	n.text(4, op)
	for _, a := range attributes {
		n.nested(5, a)
	}
	return n
}

// attribute is a number, or a list of numbers for axes.
func attribute(name string, values ...int64) message {
	const kindInt, kindInts = 2, 7
	var a message
	a.text(1, name)
	if name != "axes" {
		a.varint(3, uint64(values[0]))
		a.varint(20, kindInt)
		return a
	}
	for _, v := range values {
		a.varint(8, uint64(v))
	}
	a.varint(20, kindInts)
	return a
}

func int64s(name string, values ...int64) message {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return tensor(name, int64Type, raw, len(values))
}

func float32s(name string, values []float32, dims ...int) message {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return tensor(name, onnx.Float32, raw, dims...)
}

func tensor(name string, elem onnx.ElemType, raw []byte, dims ...int) message {
	var t message
	for _, d := range dims {
		t.varint(1, uint64(d))
	}
	t.varint(2, uint64(elem))
	t.text(8, name)
	t.nested(9, raw)
	return t
}

func value(name string, elem onnx.ElemType, dims ...int) message {
	var shape, tensorType, typ, v message
	for _, d := range dims {
		var dim message
		dim.varint(1, uint64(d))
		shape.nested(1, dim)
	}
	tensorType.varint(1, uint64(elem))
	tensorType.nested(2, shape)
	typ.nested(1, tensorType)
	v.text(1, name)
	v.nested(2, typ)
	return v
}
