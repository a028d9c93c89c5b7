package quantize_test

import (
	"math"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

// TestWideTensors has a tensor that came near float16's end, 65504, in the calibration, or went
// beyond. It stays in float32, between a Cast before and one behind, so that no other tensor is
// infinite, even on pictures that are brighter than those of the calibration.
func TestWideTensors(t *testing.T) {
	for name, tt := range map[string]struct {
		reach      float32
		activation string
		wide       bool
	}{
		"100":               {100, "", false},
		"30000":             {30000, "", false},
		"60000":             {60000, "", true},
		"-60000":            {-60000, "", true},
		"100000":            {100000, "", true},
		"60000 after ReLU":  {60000, "Relu", true},
		"60000 after Clip":  {60000, "Clip", true},
		"100000 after ReLU": {100000, "Relu", true},
		"100000 after Clip": {100000, "Clip", true},
	} {
		t.Run(name, func(t *testing.T) {
			const dim, bright = 204, 255 // 4/5 of white, and white
			// What is wide is the sum of four inputs of up to 0.8: no weight is near the end.
			sign := float32(math.Copysign(1, float64(tt.reach)))
			m := chain(link{"stem", 1. / 3, 0, "Relu"}, link{"loud", tt.reach / 4 / 0.8, 0, tt.activation}, link{"quiet", 0.02 * sign, 0, "Relu"})
			net := open(t, m)
			placer, err := net.Placer(recordOn(t, net, greys{dim / 2, dim}), histogram.Choice{Method: histogram.MinMax})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range flavours(placer)[1:] {
				q := f.model(t)
				types, x := elements(t, q), onnx.NewIndex(&q.Graph)
				want := onnx.Float16
				if tt.wide {
					want = onnx.Float32
				}
				if types["loud"] != want || types["stem"] != onnx.Float16 || types["quiet"] != onnx.Float16 {
					t.Errorf("%s: stem, loud and quiet are %v, %v and %v, want float16, %v and float16", f.name, types["stem"], types["loud"], types["quiet"], want)
				}
				if tt.wide && (!castsTo(x, types, "loud", onnx.Float32) || !castsTo(x, types, "quiet", onnx.Float16)) {
					t.Errorf("%s: no Cast to float32 before loud, or none back to float16 behind it", f.name)
				}
				names := floatsOf(q, types)
				for i, values := range outputsOn(t, names.model, ort.Options{Unfused: true}, greys{dim, bright}.frames(), names.all...) {
					for _, v := range values {
						if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
							t.Errorf("%s: %s holds %v", f.name, names.all[i], v)
							break
						}
					}
				}
				// What lies within the calibration is as exact as 8 bits allow.
				sqnr := quantize.SQNR(scores(t, m, false, dim), scores(t, q, true, dim))
				if !(sqnr > 35) { // three roundings to 8 bits of a ramp that fills its range leave about 40
					t.Errorf("%s: the scores have %.1f dB, want more than 35", f.name, sqnr)
				}
			}
		})
	}
}

// TestWideBeforeActivation wants what the activation function reads in float32, too, if what it
// gives out is: a convolution that gave out float16 would be infinite there. ONNX Runtime has no
// kernel for it and takes float32, so that no number here could show that; types do.
func TestWideBeforeActivation(t *testing.T) {
	for _, activation := range []string{"Relu", "Clip"} {
		m := chain(link{"stem", 1. / 3, 0, "Relu"}, link{"loud", 25000, 0, activation}, link{"quiet", 0.02, 0, "Relu"})
		net := open(t, m)
		placer, err := net.Placer(recordOn(t, net, greys{255}), histogram.Choice{Method: histogram.MinMax})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flavours(placer)[1:] {
			if types := elements(t, f.model(t)); types["loud"] != onnx.Float32 || types["loud/conv"] != onnx.Float32 {
				t.Errorf("%s: %s reads %v of up to 100,000 and gives out %v, want float32 for both", f.name, activation, types["loud/conv"], types["loud"])
			}
		}
	}
}

// TestWideReader has the weights that bring a wide tensor back to ordinary values. They are small,
// and stay in float32 with it, so that their scales need not be float16's.
func TestWideReader(t *testing.T) {
	m := chain(link{"stem", 1. / 3, 0, "Relu"}, link{"loud", 15000, 0, ""}, link{"quiet", 0.25 / 60000, 0, "Relu"})
	net := open(t, m)
	placer, err := net.Placer(recordOn(t, net, greys{255}), histogram.Choice{Method: histogram.MinMax})
	if err != nil {
		t.Fatal(err)
	}
	want := scores(t, m, false, 255)
	for _, f := range flavours(placer) {
		if sqnr := quantize.SQNR(want, scores(t, f.model(t), f.unfused, 255)); !(sqnr > 35) {
			t.Errorf("%s: the scores have %.1f dB, want more than 35", f.name, sqnr)
		}
	}
}

// scores runs a model on a grey picture.
func scores(t *testing.T, m *onnx.Model, unfused bool, brightness uint8) []float32 {
	t.Helper()
	return outputsOn(t, m, ort.Options{Unfused: unfused}, []*camera.Frame{frame(greys{brightness}.picture(0))}, "logits")[0]
}

// castsTo tells whether the last Cast on the way to a tensor is to the type.
func castsTo(x *onnx.Index, types map[string]onnx.ElemType, tensor string, to onnx.ElemType) bool {
	n := x.Producer(tensor)
	for n != nil && n.Op != "Cast" {
		n = x.Producer(n.Inputs[0])
	}
	return n != nil && types[n.Outputs[0]] == to
}

// floating is a model of which all tensors of floating point can be looked at, as float32.
type floating struct {
	model *onnx.Model
	all   []string
}

func floatsOf(m *onnx.Model, types map[string]onnx.ElemType) floating {
	f := floating{model: m.Clone()}
	b := onnx.NewBuilder(f.model)
	for _, n := range m.Graph.Nodes {
		switch name := n.Outputs[0]; types[name] {
		case onnx.Float16:
			f.all = append(f.all, b.Node("Cast", name+"/seen", []string{name}, onnx.Int("to", int64(onnx.Float32))))
		case onnx.Float32:
			f.all = append(f.all, name)
		}
	}
	return f
}
