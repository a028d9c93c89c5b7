package quantize_test

import (
	"context"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// link is a convolution of 1×1 with four outputs, which all have the same weights, and its
// activation.
type link struct {
	name         string
	weight, bias float32
	activation   string // Relu, Clip from 0 to 1e6, or none
}

const chainSide = 8

// chain is a network of links between a picture with values of 0 to 1 and scores. What a link
// gives out has its name.
func chain(links ...link) *onnx.Model {
	m := &onnx.Model{IR: 8, Opset: 17}
	m.Graph.Name = "chain"
	b := onnx.NewBuilder(m)
	constant := func(values []float32, dims ...int) string {
		return b.Initializer(onnx.NewTensor("constant", values, dims...))
	}
	x := b.Input(onnx.Value{Name: "image", Elem: onnx.Uint8, Shape: []int64{1, chainSide, chainSide, 3}})
	x = b.Node("Transpose", "", []string{x}, onnx.Ints("perm", 0, 3, 1, 2))
	x = b.Node("Cast", "", []string{x}, onnx.Int("to", int64(onnx.Float32)))
	x = b.Node("Mul", "", []string{x, constant([]float32{1. / 255})})
	low, high, channels := constant([]float32{0}), constant([]float32{1e6}), 3
	conv := func(x string, l link, outputs int, name string) string {
		w, bias := slices.Repeat([]float32{l.weight}, outputs*channels), slices.Repeat([]float32{l.bias}, outputs)
		x = b.Node("Conv", name, []string{x, constant(w, outputs, channels, 1, 1), constant(bias, outputs)})
		channels = outputs
		return x
	}
	for _, l := range links {
		switch l.activation {
		case "":
			x = conv(x, l, 4, l.name)
		case "Relu":
			x = b.Node("Relu", l.name, []string{conv(x, l, 4, l.name+"/conv")})
		case "Clip":
			x = b.Node("Clip", l.name, []string{conv(x, l, 4, l.name+"/conv"), low, high})
		}
	}
	conv(x, link{weight: 0.25, bias: 0.5}, 3, "logits")
	m.Graph.Outputs = []onnx.Value{{Name: "logits", Elem: onnx.Float32, Shape: []int64{1, 3, chainSide, chainSide}}}
	return m
}

// greys are pictures that go from black to a brightness, as many as there are brightnesses.
type greys []uint8

func (greys) Name() string { return "greys" }
func (g greys) Len() int   { return len(g) }
func (g greys) Read(_ context.Context, places []int, each func(p *data.Picture) error) error {
	for _, i := range places {
		if err := each(g.picture(i)); err != nil {
			return err
		}
	}
	return nil
}

func (g greys) picture(i int) *data.Picture {
	p := &data.Picture{Width: chainSide, Height: chainSide}
	for at := range chainSide * chainSide {
		v := uint8(int(g[i]) * at / (chainSide*chainSide - 1))
		p.RGB = append(p.RGB, v, v, v)
	}
	return p
}

func (g greys) frames() (frames []*camera.Frame) {
	for i := range g {
		frames = append(frames, frame(g.picture(i)))
	}
	return frames
}

// elements asks ONNX Runtime for the types of all tensors that nodes give out.
func elements(t *testing.T, m *onnx.Model) map[string]onnx.ElemType {
	t.Helper()
	var all []onnx.Value
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Outputs {
			all = append(all, onnx.Value{Name: name})
		}
	}
	found, err := ort.Outputs(m.WithOutputs(all...), ort.Options{Library: trttest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]onnx.ElemType{}
	for _, v := range found {
		types[v.Name] = v.Elem
	}
	return types
}
