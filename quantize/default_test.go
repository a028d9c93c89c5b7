package quantize_test

import (
	"math"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/models"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestDefaultModel quantises the model that comes with the daemon, which another program has
// exported, by streets at day and night, and looks at streets at dusk and in rain. The style tells
// how far light and weather are from those of the training, whose spread the card holds: what
// rounding adds to it must be small against that.
func TestDefaultModel(t *testing.T) {
	m, err := onnx.Unmarshal(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(models.Default)
	if err != nil {
		t.Fatal(err)
	}
	net := open(t, m)
	placer, err := net.Placer(recordOn(t, net, calibrate.Set{Set: streets(t, "scenes=day+night@640x360:0-1")}), mse)
	if err != nil {
		t.Fatal(err)
	}
	unseen := streets(t, "scenes=dusk+rain@640x360:100-100")
	masks, styles := segmented(t, models.Default, false, unseen)
	// Measured were 99.22 % and 0.037 standard deviations at worst for integers, 99.99 % and 0.005
	// for float16. The flips are at the borders of classes, of which another street has more.
	agree, away := map[string]float64{"cpu": 98.5, "tensorrt": 98.5, "float16": 99.9}, map[string]float64{"cpu": 0.1, "tensorrt": 0.1, "float16": 0.015}
	for _, f := range flavours(placer) {
		q := f.model(t)
		if f.name != "cpu" {
			styleInSingle(t, f.name, q)
		}
		gotMasks, gotStyles := segmented(t, marshal(t, q), f.unfused, unseen)
		for i := range masks {
			same, off := 0, 0.0
			for at, class := range masks[i] {
				if class == gotMasks[i][at] {
					same++
				}
			}
			for at, v := range styles[i] {
				off = max(off, math.Abs(float64(v-gotStyles[i][at]))/float64(card.Style.Std[at]))
			}
			agreement := 100 * float64(same) / float64(len(masks[i]))
			t.Logf("%s, %s: %.2f %% agree, the style is off by %.4f standard deviations", f.name, unseen.Sample(i).Name, agreement, off)
			if !(agreement >= agree[f.name]) || !(off <= away[f.name]) {
				t.Errorf("%s, %s: %.2f %% of the pixels agree and the style is off by %.4f standard deviations, want %v or more and at most %v",
					f.name, unseen.Sample(i).Name, agreement, off, agree[f.name], away[f.name])
			}
		}
	}
}

func streets(t *testing.T, source string) *data.Set {
	t.Helper()
	set, err := data.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// segmented runs a model as the daemon does.
func segmented(t *testing.T, file []byte, unfused bool, set *data.Set) (masks [][]uint8, styles [][]float32) {
	t.Helper()
	engine, err := ort.Load("default", file, ort.Options{Library: trttest.Library(t), Threads: 1, Unfused: unfused})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for i := range set.Len() {
		p, err := set.Read(i)
		if err != nil {
			t.Fatal(err)
		}
		r, err := engine.Run(frame(p))
		if err != nil {
			t.Fatal(err)
		}
		masks, styles = append(masks, slices.Clone(r.Mask)), append(styles, slices.Clone(r.Style))
	}
	return masks, styles
}

// styleInSingle wants all nodes in float32 that compute the style and nothing else: the mean
// squares over a picture do not fit into float16.
func styleInSingle(t *testing.T, name string, m *onnx.Model) {
	t.Helper()
	types, mask := elements(t, m), m.WithOutputs(onnx.Value{Name: "mask"})
	shared, alone := onnx.NewIndex(&mask.Graph), 0
	for _, n := range m.WithOutputs(onnx.Value{Name: "style"}).Graph.Nodes {
		if shared.Producer(n.Outputs[0]) != nil {
			continue
		}
		alone++
		if got := types[n.Outputs[0]]; got != onnx.Float32 {
			t.Errorf("%s: %s computes the style in %s, want float32", name, n.Name, got)
		}
	}
	if alone < 5 {
		t.Errorf("%s: %d nodes compute the style alone, want its means and deviations", name, alone)
	}
}
