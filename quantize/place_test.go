package quantize_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

var mse = histogram.Choice{Method: histogram.MSE}

func networks() map[string]nn.Spec {
	paper := small(nn.MobileNetV2, "isw")
	paper.Head = nn.PaperHead
	return map[string]nn.Spec{
		"mobilenetv2 isw":   small(nn.MobileNetV2, "isw"),
		"mobilenetv2 paper": paper,
		"shufflenetv2 ibn":  small(nn.ShuffleNetV2, "ibn"),
		"resnet50 isw":      small(nn.ResNet50, "isw"),
	}
}

// TestNumerics runs both placements on ONNX Runtime: that for CPUs as it runs there, that for
// TensorRT operator by operator.
func TestNumerics(t *testing.T) {
	for name, spec := range networks() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "mobilenetv2 isw" {
				t.Skip("it takes seconds")
			}
			m := exported(t, spec)
			placer, _ := calibrated(t, open(t, m), mse)
			want := outputs(t, m, ort.Options{}, "logits", "style")
			for flavour, f := range map[string]struct {
				place    func(quantize.Options) (*onnx.Model, error)
				unfused  bool
				decibels [2]float64
			}{
				// Without training, noise grows from layer to layer more than it does in real networks,
				// of which shared_test.go asks for accuracy.
				"cpu":      {placer.CPU, false, [2]float64{10, 25}},
				"tensorrt": {placer.TensorRT, true, [2]float64{10, 25}},
				"float16":  {func(quantize.Options) (*onnx.Model, error) { return placer.Half() }, true, [2]float64{30, 50}},
			} {
				q, err := f.place(quantize.Options{CorrectBias: true})
				if err != nil {
					t.Fatal(err)
				}
				got := outputs(t, q, ort.Options{Unfused: f.unfused}, "logits", "style")
				for i, output := range []string{"logits", "style"} {
					sqnr := quantize.SQNR(want[i], got[i])
					t.Logf("%s %s: %.1f dB", flavour, output, sqnr)
					if !(sqnr > f.decibels[i]) {
						t.Errorf("%s: %s have %.1f dB, want more than %v", flavour, output, sqnr, f.decibels[i])
					}
				}
			}
		})
	}
}

// TestFusion asks ONNX Runtime which kernels it ran: a scale with a dimension too many would
// silently leave convolutions in float.
func TestFusion(t *testing.T) {
	for name, spec := range networks() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "mobilenetv2 isw" {
				t.Skip("it takes seconds")
			}
			net := open(t, exported(t, spec))
			placer, _ := calibrated(t, net, mse)
			m, err := placer.CPU(quantize.Options{})
			if err != nil {
				t.Fatal(err)
			}
			kernels, err := ort.Kernels(name, marshal(t, m), ort.Options{Library: trttest.Library(t), Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			integer, float := kernels["QLinearConv"], kernels["Conv"]+kernels["FusedConv"]+kernels["MatMul"]
			t.Logf("%d convolutions in integers, %d in float; %v", integer, float, kernels)
			if float != 1 || integer != len(net.Layers()) {
				t.Errorf("%d convolutions ran in integers and %d in float, want %d and the class head", integer, float, len(net.Layers()))
			}
			if moved := kernels["ReorderInput"] + kernels["ReorderOutput"]; moved > 0 {
				t.Errorf("features were moved for convolutions in float %d times", moved)
			}
			if kernels["Add"]+kernels["Concat"] > 4 { // those of the style vector
				t.Errorf("additions or joins ran in float: %v", kernels)
			}
		})
	}
}

func marshal(tb testing.TB, m *onnx.Model) []byte {
	tb.Helper()
	file, err := m.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// TestPlacementRules holds the models to what the two runtimes ask for.
func TestPlacementRules(t *testing.T) {
	net := open(t, exported(t, small(nn.MobileNetV2, "isw")))
	placer, _ := calibrated(t, net, mse)
	cpu, err := placer.CPU(quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tensorRT, err := placer.TensorRT(quantize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for flavour, m := range map[string]*onnx.Model{"cpu": cpu, "tensorrt": tensorRT} {
		if _, err := trt.ReadCard(marshal(t, m)); err != nil {
			t.Errorf("%s: %v", flavour, err)
		}
		x, heads := onnx.NewIndex(&m.Graph), 0
		for _, n := range m.Graph.Nodes {
			switch n.Op {
			case "QuantizeLinear", "DequantizeLinear":
				scale, zero := x.Constant(n.Inputs[1]), x.Constant(n.Input(2))
				weights := x.Constant(n.Inputs[0]) != nil
				if !weights && (len(scale.Dims) != 0 || len(zero.Dims) != 0) {
					t.Errorf("%s: %s has a scale of shape %v, want none", flavour, n.Name, scale.Dims)
				}
				if flavour == "tensorrt" && (slices.ContainsFunc(zero.Raw, func(b byte) bool { return b != 0 }) || scale.Elem != onnx.Float16) {
					t.Errorf("tensorrt: %s has a zero-point other than 0 or a scale of %s", n.Name, scale.Elem)
				}
			case "InstanceNormalization":
				if got := x.Producer(n.Inputs[0]); flavour == "tensorrt" && (got.Op != "Cast" || x.Constant(n.Inputs[1]).Elem != onnx.Float32) {
					t.Errorf("tensorrt: %s reads from %s, want a Cast to float32", n.Name, got.Op)
				}
			case "Conv":
				quantised := x.Producer(n.Inputs[1]) != nil
				if head := n.Name == "final2.0"; head == quantised {
					t.Errorf("%s: %s has integer weights: %v", flavour, n.Name, quantised)
				}
				if bias := x.Constant(n.Input(2)); quantised && (bias != nil) != (flavour == "tensorrt") {
					t.Errorf("%s: the bias of %s is a constant: %v", flavour, n.Name, bias != nil)
				}
			case "MatMul":
				if flavour != "cpu" || n.Name != "final2.0" || x.Constant(n.Inputs[1]).Elem != onnx.Float32 {
					t.Errorf("%s: %s multiplies a matrix, want the class head of the CPU's model alone, in float32", flavour, n.Name)
				}
				heads++
			case "Clip":
				if producer := x.Producer(n.Inputs[0]); producer.Op != "Conv" && producer.Op != "Add" {
					t.Errorf("%s: %s follows %s, want nothing between a convolution and its ReLU6", flavour, n.Name, producer.Op)
				}
			}
		}
		if flavour == "cpu" && heads != 1 {
			t.Errorf("cpu: the class head is no product of matrices")
		}
	}
}

// TestKeep leaves layers in float, alone or all others.
func TestKeep(t *testing.T) {
	net := open(t, exported(t, small(nn.MobileNetV2, "isw")))
	placer, _ := calibrated(t, net, mse)
	layers := net.Layers()
	for name, tt := range map[string]struct {
		o    quantize.Options
		want int
	}{
		"all": {quantize.Options{}, len(layers)}, "keep two": {quantize.Options{Keep: layers[3:5]}, len(layers) - 2},
		"keep the first": {quantize.Options{Keep: layers[:1]}, len(layers) - 1},
		"one":            {quantize.Options{Only: layers[7:8]}, 1}, "none": {quantize.Options{Keep: layers}, 0},
	} {
		for flavour, place := range map[string]func(quantize.Options) (*onnx.Model, error){"cpu": placer.CPU, "tensorrt": placer.TensorRT} {
			m, err := place(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			x, got := onnx.NewIndex(&m.Graph), 0
			for _, n := range m.Graph.Nodes {
				if n.Op == "Conv" && x.Constant(n.Inputs[1]) == nil {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("%s, %s: %d layers are quantised, want %d", name, flavour, got, tt.want)
			}
			outputs(t, m, ort.Options{Unfused: true}, "logits") // which it must still have
		}
	}
	if _, err := placer.CPU(quantize.Options{Keep: []string{"layer0.0.1"}}); err == nil || !strings.Contains(err.Error(), `did you mean layer0.0.0?`) {
		t.Errorf("an unknown layer: %v", err)
	}
}

// TestEqualise wants the same scores from other weights.
func TestEqualise(t *testing.T) {
	for name, spec := range map[string]nn.Spec{"resnet50": small(nn.ResNet50, "base"), "mobilenetv2": small(nn.MobileNetV2, "isw")} {
		t.Run(name, func(t *testing.T) {
			m := exported(t, spec)
			net := open(t, m)
			_, table := calibrated(t, net, mse)
			seen := []uint64{0, 1, 2, 3} // no value of which lies beyond the calibration's
			before := outputsOf(t, m, ort.Options{}, seen, net.Scores()...)[0]
			pairs, err := net.Equalise(table)
			if err != nil || pairs < 30 { // two in each block
				t.Fatalf("%d pairs of layers, want 30 or more: %v", pairs, err)
			}
			if _, err := net.Placer(table, mse); err == nil {
				t.Error("the table of the model as it was is taken for the equalised one")
			}
			observe(t, net, table)
			placer, err := net.Placer(table, mse)
			if err != nil {
				t.Fatal(err)
			}
			scores, err := placer.ScoreModel(nil)
			if err != nil {
				t.Fatal(err)
			}
			after := outputsOf(t, scores, ort.Options{}, seen, net.Scores()...)[0]
			if sqnr := quantize.SQNR(before, after); !(sqnr > 80) {
				t.Errorf("the scores differ: %.1f dB, want more than 80", sqnr)
			}
			again := open(t, m)
			if err := again.ApplyFactors(table.Equalised.Factors); err != nil {
				t.Fatal(err)
			}
			if _, err := again.Placer(table, mse); err != nil {
				t.Error(err)
			}
			table.Equalised.Factors["layer9"] = []float64{1}
			if err := open(t, m).ApplyFactors(table.Equalised.Factors); err == nil {
				t.Error("factors of a tensor that is not there are applied")
			}
		})
	}
}

// observe completes the table of an equalised network.
func observe(t *testing.T, net *quantize.Network, table *quantize.Table) {
	t.Helper()
	table.Equalised = &quantize.Equalised{Factors: net.Factors(), Tensors: record(t, net).Tensors}
}
