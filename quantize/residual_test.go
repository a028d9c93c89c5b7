package quantize_test

import (
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// TestSkipInputs wants one input of each residual addition rounded for TensorRT, the skipped one:
// the other is a convolution's output, which TensorRT adds to within the convolution, unrounded.
func TestSkipInputs(t *testing.T) {
	for name, tt := range map[string]struct {
		spec nn.Spec
		want int // additions
	}{
		"mobilenetv2": {small(nn.MobileNetV2, "isw"), 10}, "resnet50": {small(nn.ResNet50, "isw"), 16},
	} {
		net := open(t, exported(t, tt.spec))
		m, err := placerOf(t, net).TensorRT(quantize.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x, got := onnx.NewIndex(&m.Graph), 0
		for _, n := range m.Graph.Nodes {
			if n.Op != "Add" || slices.ContainsFunc(n.Inputs, func(name string) bool { return x.Constant(name) != nil }) {
				continue
			}
			got++
			var ops []string
			for _, name := range n.Inputs {
				ops = append(ops, x.Producer(name).Op)
			}
			if slices.Sort(ops); !slices.Equal(ops, []string{"Conv", "DequantizeLinear"}) {
				t.Errorf("%s: %s adds what %v give out, want a Conv and a DequantizeLinear", name, n.Name, ops)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d additions of features, want %d", name, got, tt.want)
		}
	}
}

// TestConcatGrids wants the parts and the whole of each Concat of features on one grid on CPUs:
// then joining moves levels and nothing is rounded anew.
func TestConcatGrids(t *testing.T) {
	paper := small(nn.MobileNetV2, "isw")
	paper.Head = nn.PaperHead
	for name, tt := range map[string]struct {
		spec nn.Spec
		want int // joins
	}{
		"mobilenetv2 lite": {small(nn.MobileNetV2, "isw"), 2}, "mobilenetv2 paper": {paper, 2}, "shufflenetv2": {small(nn.ShuffleNetV2, "ibn"), 18},
	} {
		net := open(t, exported(t, tt.spec))
		m, err := placerOf(t, net).CPU(quantize.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x, got := onnx.NewIndex(&m.Graph), 0
		for _, n := range m.Graph.Nodes {
			reader := x.OnlyReader(n.Outputs[0])
			if n.Op != "Concat" || reader == nil || reader.Op != "QuantizeLinear" {
				continue // such as that of the style
			}
			got++
			want := gridBytes(x, reader)
			for _, name := range n.Inputs {
				if p := x.Producer(name); p.Op != "DequantizeLinear" || gridBytes(x, p) != want {
					t.Errorf("%s: %s joins what %s gives out, which has another grid than the whole", name, n.Name, p.Name)
				}
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d joins of features, want %d", name, got, tt.want)
		}
	}
}

// gridBytes is scale and zero-point of a QuantizeLinear or DequantizeLinear.
func gridBytes(x *onnx.Index, n *onnx.Node) [2]string {
	return [2]string{string(x.Constant(n.Inputs[1]).Raw), string(x.Constant(n.Inputs[2]).Raw)}
}

// placerOf returns a placer by values that were made up: where nodes are does not depend on them.
func placerOf(t *testing.T, net *quantize.Network) *quantize.Placer {
	t.Helper()
	table := invented(net, 4)
	for i, name := range net.Tensors() { // values differ from tensor to tensor, so that grids do
		if err := table.Tensors[name].Values.Add([]float32{-float32(i), 2 * float32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	placer, err := net.Placer(table, histogram.Choice{Method: histogram.MinMax})
	if err != nil {
		t.Fatal(err)
	}
	return placer
}
