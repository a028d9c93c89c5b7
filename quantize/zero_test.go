package quantize_test

import (
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// TestAlwaysZero has a tensor that held nothing but zeros in the calibration. Its scale has to be
// one that can be divided by all the same: for TensorRT a normal number of float16, since others
// may be flushed to zero. So have the scales of weights and biases.
func TestAlwaysZero(t *testing.T) {
	for name, links := range map[string][]link{
		"cut off by ReLU":   {{"live", 1. / 3, 0, "Relu"}, {"dead", 1, -1000, "Relu"}, {"next", 0.25, 0.5, "Relu"}},
		"no weights":        {{"live", 1. / 3, 0, "Relu"}, {"dead", 0, 0, ""}, {"next", 0.25, 0.5, ""}},
		"and no bias":       {{"live", 1. / 3, 0, "Relu"}, {"dead", 0, 0, ""}, {"next", 0.25, 0, "Clip"}},
		"and tiny weights":  {{"live", 1. / 3, 0, "Relu"}, {"dead", 0, 0, "Relu"}, {"next", 1e-12, 0, "Relu"}},
		"and nothing more":  {{"live", 1. / 3, 0, "Relu"}, {"dead", 0, 0, "Clip"}, {"next", 0, 0, "Relu"}},
		"before a big bias": {{"live", 1. / 3, 0, "Relu"}, {"dead", 0, 0, "Relu"}, {"next", 1, 1e4, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			m := chain(links...)
			net := open(t, m)
			for _, choice := range []histogram.Choice{mse, {Method: histogram.MinMax}, {Method: histogram.Entropy}, {Method: histogram.Percentile, Share: 0.999}} {
				placer, err := net.Placer(recordOn(t, net, greys{128, 255}), choice)
				if err != nil {
					t.Fatal(err)
				}
				want := scores(t, m, false, 255)
				for _, f := range flavours(placer) {
					q := f.model(t)
					x := onnx.NewIndex(&q.Graph)
					for _, n := range q.Graph.Nodes {
						if n.Op == "DequantizeLinear" || n.Op == "QuantizeLinear" {
							checkScales(t, f.name+", "+n.Name, x.Constant(n.Inputs[1]))
						}
					}
					for i, got := range scores(t, q, f.unfused, 255) {
						// The scores are those of one bias, or of zeros: a level away at most.
						if d := math.Abs(float64(got - want[i])); !(d <= 0.01*(1+math.Abs(float64(want[i])))) {
							t.Fatalf("%s, %s: score %v, want %v", choice.Method, f.name, got, want[i])
						}
					}
				}
			}
		})
	}
}

// checkScales wants normal numbers above 0, of float16 where that is their type, whose inverses
// are finite, too.
func checkScales(t *testing.T, name string, scales *onnx.Tensor) {
	t.Helper()
	values, err := onnx.Float32s(scales)
	if err != nil {
		t.Fatal(err)
	}
	smallest := 0x1p-126
	if scales.Elem == onnx.Float16 {
		smallest = 0x1p-14
	}
	for _, v := range values {
		if !(float64(v) >= smallest) || math.IsInf(float64(v), 0) || math.IsInf(float64(1/v), 0) {
			t.Errorf("%s: a scale of %s is %g, want a normal number above 0", name, scales.Elem, v)
			return
		}
	}
}

// TestAlwaysZeroAwakes shows the models a picture on which the tensor is no longer zero: they know
// nothing better than the end of its range, but what comes out are numbers.
func TestAlwaysZeroAwakes(t *testing.T) {
	m := chain(link{"live", 1. / 3, 0, "Relu"}, link{"woken", 1, -2, "Relu"}, link{"next", 0.25, 0.5, "Relu"})
	net := open(t, m)
	placer, err := net.Placer(recordOn(t, net, greys{64, 127}), mse)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flavours(placer) {
		for _, v := range outputsOn(t, f.model(t), ort.Options{Unfused: f.unfused}, greys{255}.frames(), "logits")[0] {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("%s: a score is %v", f.name, v)
			}
		}
	}
}
