package quantize_test

import (
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// flavour is a kind of model that comes from a placer. Those for TensorRT are run as they are
// written.
type flavour struct {
	name    string
	place   func(quantize.Options) (*onnx.Model, error)
	unfused bool
}

func flavours(p *quantize.Placer) []flavour {
	half := func(quantize.Options) (*onnx.Model, error) { return p.Half() }
	return []flavour{{"cpu", p.CPU, false}, {"tensorrt", p.TensorRT, true}, {"float16", half, true}}
}

// model makes the one of a flavour.
func (f flavour) model(tb testing.TB) *onnx.Model {
	tb.Helper()
	m, err := f.place(quantize.Options{CorrectBias: true})
	if err != nil {
		tb.Fatalf("%s: %v", f.name, err)
	}
	return m
}

// TestMethods quantises what robustnet-train exports of the other methods of the paper's tables,
// which whiten by matrices or have norms without a scale, and of the largest trunk.
func TestMethods(t *testing.T) {
	type bounds struct{ int8, float16 float64 } // of the logits, in decibels
	for name, tt := range map[string]struct {
		spec nn.Spec
		want bounds
		slow bool
	}{
		// Untrained networks amplify noise from layer to layer, in MobileNetV2 most. The bounds are 3
		// to 5 dB below what was measured: 16.1, 13.6, 18.4, 16.1, 21.3 and 27.2 dB for the worse of
		// the two placements of integers, 41, 36.8, 51.6, 41, 55.8 and 64.5 dB for float16.
		"mobilenetv2 in":       {small(nn.MobileNetV2, nn.IN), bounds{12, 36}, false},
		"mobilenetv2 sw":       {small(nn.MobileNetV2, nn.SW), bounds{9.5, 32}, false},
		"mobilenetv2 iternorm": {small(nn.MobileNetV2, nn.IterNorm), bounds{14.5, 47}, false},
		"mobilenetv2 giw":      {small(nn.MobileNetV2, nn.GIW), bounds{12, 36}, false},
		"resnet50 sw":          {small(nn.ResNet50, nn.SW), bounds{17.5, 51}, true},
		"resnet101 isw":        {small(nn.ResNet101, nn.ISW), bounds{23, 60}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && tt.slow {
				t.Skip("it takes seconds")
			}
			m := exported(t, tt.spec)
			net := open(t, m)
			placer, _ := calibrated(t, net, histogram.Choice{Method: histogram.MinMax})
			want := outputs(t, m, ort.Options{}, "logits")[0]
			for _, f := range flavours(placer) {
				q, bound := f.model(t), tt.want.int8
				if f.name == "float16" {
					bound = tt.want.float16
				} else if got := integerLayers(q); got != len(net.Layers()) {
					t.Errorf("%s: %d layers have integer weights, want %d", f.name, got, len(net.Layers()))
				}
				if _, err := trt.ReadCard(marshal(t, q)); err != nil {
					t.Errorf("%s: %v", f.name, err)
				}
				sqnr := quantize.SQNR(want, outputs(t, q, ort.Options{Unfused: f.unfused}, "logits")[0])
				t.Logf("%s: %.1f dB", f.name, sqnr)
				if !(sqnr > bound) {
					t.Errorf("%s: logits have %.1f dB, want more than %v", f.name, sqnr, bound)
				}
			}
		})
	}
}

// integerLayers counts convolutions whose weights come from levels.
func integerLayers(m *onnx.Model) (n int) {
	x := onnx.NewIndex(&m.Graph)
	for _, node := range m.Graph.Nodes {
		if p := x.Producer(node.Input(1)); node.Op == "Conv" && p != nil && p.Op == "DequantizeLinear" && x.Constant(p.Inputs[0]) != nil {
			n++
		}
	}
	return n
}
