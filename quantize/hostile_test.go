package quantize_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
)

// tiny is a graph of every kind of node that placements know, in a few hundred bytes.
func tiny() *onnx.Model {
	m := &onnx.Model{IR: 8, Opset: 17}
	m.Graph.Name = "tiny"
	b := onnx.NewBuilder(m)
	constant := func(name string, values []float32, dims ...int) string {
		return b.Initializer(onnx.NewTensor(name, values, dims...))
	}
	ints := func(values ...int64) string { return b.Initializer(onnx.NewTensor("ints", values, len(values))) }
	weights := func(o, i, k int) string {
		w := make([]float32, o*i*k*k)
		for n := range w {
			w[n] = float32(n%7-3) / 10
		}
		return constant("w", w, o, i, k, k)
	}
	low, high := constant("0", []float32{0}), constant("6", []float32{6})
	x := b.Input(onnx.Value{Name: "image", Elem: onnx.Uint8, Shape: []int64{1, 4, 4, 3}})
	x = b.Node("Transpose", "", []string{x}, onnx.Ints("perm", 0, 3, 1, 2))
	x = b.Node("Cast", "", []string{x}, onnx.Int("to", int64(onnx.Float32)))
	x = b.Node("Sub", "", []string{x, constant("mean", []float32{120, 110, 100}, 1, 3, 1, 1)})
	x = b.Node("Mul", "", []string{x, constant("scale", []float32{0.02, 0.02, 0.02}, 1, 3, 1, 1)})
	conv := func(x string, o, i, groups int) string {
		x = b.Node("Conv", "conv", []string{x, weights(o, i, 1), constant("bias", make([]float32, o), o)}, onnx.Int("group", int64(groups)))
		return b.Node("Clip", "", []string{x, low, high})
	}
	stem := conv(x, 4, 3, 1)
	normed := b.Node("InstanceNormalization", "", []string{stem, constant("one", []float32{1, 1, 1, 1}, 4), constant("zero", make([]float32, 4), 4)})
	deep := conv(conv(normed, 4, 1, 4), 4, 4, 1)
	sum := b.Node("Add", "", []string{deep, b.Node("Conv", "linear", []string{deep, weights(4, 4, 1)})})
	pooled := b.Node("Expand", "", []string{b.Node("GlobalAveragePool", "", []string{sum}), ints(1, 4, 4, 4)})
	joined := b.Node("Concat", "", []string{sum, pooled}, onnx.Int("axis", 1))
	larger := b.Node("Resize", "", []string{joined, "", "", ints(1, 8, 8, 8)}, onnx.String("mode", "linear"))
	scores := b.Node("Conv", "head", []string{larger, weights(3, 8, 1)})
	b.Node("Cast", "mask", []string{b.Node("ArgMax", "", []string{scores}, onnx.Int("axis", 1), onnx.Int("keepdims", 0))}, onnx.Int("to", int64(onnx.Uint8)))
	b.Node("ReduceMean", "style", []string{stem}, onnx.Ints("axes", 2, 3), onnx.Int("keepdims", 0))
	m.Graph.Outputs = []onnx.Value{{Name: "mask", Elem: onnx.Uint8, Shape: []int64{1, 8, 8}}, {Name: "style", Elem: onnx.Float32, Shape: []int64{1, 4}}}
	return m
}

// invented is a table of what a network might hold.
func invented(net *quantize.Network, channels int) *quantize.Table {
	recorder := quantize.NewRecorder(net.Tensors())
	values := make([]float32, 4*channels)
	for i := range values {
		values[i] = float32(i%5) - 1
	}
	// The numbers are finite and of one shape.
	_ = recorder.Record(func(int) ([]float32, []int64, error) { return values, []int64{1, int64(channels), 2, 2}, nil })
	return recorder.Table("", quantize.Pictures{})
}

// all makes every model that can be made, and returns the first fault.
func all(m *onnx.Model) error {
	for _, channels := range []int{4, 3} {
		net, err := quantize.Open(m)
		if err != nil {
			return err
		}
		net.Probe()
		table := invented(net, channels)
		placer, err := net.Placer(table, histogram.Choice{Method: histogram.MinMax})
		if err != nil {
			return err
		}
		placer.Magnitudes(quantize.Options{})
		models := []func() (*onnx.Model, error){
			func() (*onnx.Model, error) { return placer.CPU(quantize.Options{CorrectBias: true}) },
			func() (*onnx.Model, error) { return placer.TensorRT(quantize.Options{CorrectBias: true}) },
			func() (*onnx.Model, error) { return placer.ScoreModel(&quantize.Options{}) },
			placer.Half,
		}
		for _, make := range models {
			made, err := make()
			if err != nil {
				return err
			}
			if _, err := made.Marshal(); err != nil {
				return err
			}
		}
		if _, err := net.Equalise(table); err != nil {
			return err
		}
	}
	return nil
}

func TestTiny(t *testing.T) {
	// The second table has other channels than the network, which Equalise must notice.
	if err := all(tiny()); err == nil || !strings.Contains(err.Error(), "does not know the channels") {
		t.Errorf("error %v", err)
	}
}

func TestHostileModels(t *testing.T) {
	node := func(m *onnx.Model, name string) *onnx.Node {
		at := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Name == name })
		return m.Graph.Nodes[at]
	}
	weight := func(m *onnx.Model, name string) *onnx.Tensor {
		at := slices.IndexFunc(m.Graph.Initializers, func(t *onnx.Tensor) bool { return t.Name == node(m, name).Inputs[1] })
		return m.Graph.Initializers[at]
	}
	for name, tt := range map[string]struct {
		edit func(m *onnx.Model)
		want string
	}{
		"no convolution": {func(m *onnx.Model) {
			for _, n := range m.Graph.Nodes {
				if n.Op == "Conv" {
					n.Domain, m.OtherOpsets = "other", []onnx.Opset{{Domain: "other", Version: 1}}
				}
			}
		}, "has no convolution"},
		"quantised already": {func(m *onnx.Model) { node(m, "head").Op = "QLinearConv" }, "is quantised already"},
		"groups":            {func(m *onnx.Model) { node(m, "conv").SetAttribute(onnx.Int("group", 3)) }, "3 groups do not divide its 4 outputs"},
		"no groups":         {func(m *onnx.Model) { node(m, "conv").SetAttribute(onnx.Int("group", 0)) }, "0 groups"},
		"not a number": {func(m *onnx.Model) {
			weight(m, "linear").Raw = slices.Repeat([]byte{0xff}, len(weight(m, "linear").Raw))
		}, "is NaN"},
		"unknown operator": {func(m *onnx.Model) { node(m, "GlobalAveragePool").Op = "Mystery" }, "Mystery, which is not known"},
	} {
		m := tiny()
		tt.edit(m)
		if err := all(m); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func TestRecorderFaults(t *testing.T) {
	r := quantize.NewRecorder([]string{"a"})
	give := func(shape []int64, values ...float32) error {
		return r.Record(func(int) ([]float32, []int64, error) { return values, shape, nil })
	}
	if err := give([]int64{1, 2, 1, 1}, 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := give([]int64{1, 1, 1, 2}, 1, 2); err == nil || !strings.Contains(err.Error(), "it has 1 channels after 2") {
		t.Errorf("other channels: %v", err)
	}
	if err := give([]int64{1, 2, 1, 1}, 1, float32(math.NaN())); err == nil || !strings.Contains(err.Error(), "tensor a: value 1 is NaN") {
		t.Errorf("not a number: %v", err)
	}
}

// FuzzPlacement wants an error or a model of any file, and no panic.
func FuzzPlacement(f *testing.F) {
	file, err := tiny().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		if m, err := onnx.Unmarshal(file); err == nil {
			_ = all(m)
		}
	})
}
