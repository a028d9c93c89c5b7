package quantize

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
)

// random returns a convolution with weights of very different channels.
func random(outputs, perGroup, kernel, groups int) *layer {
	rng := rand.New(rand.NewPCG(uint64(outputs), uint64(groups)))
	l := &layer{node: &onnx.Node{Op: "Conv", Attributes: []onnx.Attribute{onnx.Int("group", int64(groups))}},
		shape:  []int64{int64(outputs), int64(perGroup), int64(kernel), int64(kernel)},
		weight: make([]float32, outputs*perGroup*kernel*kernel), bias: make([]float32, outputs)}
	for i := range l.weight {
		l.weight[i] = float32(rng.NormFloat64() * math.Exp(float64(i/(perGroup*kernel*kernel)%5)))
	}
	for o := range l.bias {
		l.bias[o] = float32(rng.NormFloat64())
	}
	return l
}

var shapes = map[string]*layer{"dense": random(6, 4, 3, 1), "pointwise": random(8, 5, 1, 1), "depthwise": random(6, 1, 3, 6), "groups": random(8, 3, 1, 2)}

// TestQuantiseWeights holds levels to steps of a 127th of each channel's largest weight.
func TestQuantiseWeights(t *testing.T) {
	for name, l := range shapes {
		q, per := quantiseWeights(l.weight, l.outputs(), false, halfScales), l.perOutput()
		for o := range l.outputs() {
			row := l.weight[o*per : (o+1)*per]
			largest := float64(max(slices.Max(row), -slices.Min(row)))
			if math.Abs(float64(q.scales[o])-largest/127) > 1e-6*largest {
				t.Errorf("%s: scale %v of channel %d, want %v", name, q.scales[o], o, largest/127)
			}
			for i, w := range row {
				if d := math.Abs(float64(q.rounded()[o*per+i] - w)); d > 0.5001*largest/127 {
					t.Errorf("%s: weight %v became %v", name, w, q.rounded()[o*per+i])
				}
			}
		}
		if common := quantiseWeights(l.weight, l.outputs(), true, halfScales); slices.Max(common.scales) != slices.Min(common.scales) {
			t.Errorf("%s: a scale for all weights differs by channel: %v", name, common.scales)
		}
	}
	// Channels that are all zero, and biases far larger than the weights.
	q := quantiseWeights([]float32{0, 1e-30}, 2, false, biasScales([]float32{1e9, 0}, 1))
	values, scales := biasLevels([]float32{1e9, 0}, q.scales, 1)
	if got := float64(values[0]) * float64(scales[0]); math.Abs(got-1e9) > 1 || q.scales[1] <= 0 || math.IsInf(float64(1/q.scales[1]), 0) {
		t.Errorf("a bias of 1e9 became %v; scales %v, levels %v", got, q.scales, q.values)
	}
}

// TestCorrectedBias wants the mean of every output as it was, for inputs with these means.
func TestCorrectedBias(t *testing.T) {
	for name, l := range shapes {
		inputs, _ := l.inputs()
		means := make([]float64, inputs)
		for c := range means {
			means[c] = float64(c%3) + 0.25
		}
		mean := func(weight, bias []float32) []float64 {
			out := make([]float64, l.outputs())
			for o := range out {
				out[o] = float64(bias[o])
			}
			for c, m := range means {
				l.eachOfInput(c, func(at int) { out[at/l.perOutput()] += m * float64(weight[at]) })
			}
			return out
		}
		q := quantiseWeights(l.weight, l.outputs(), true, halfScales) // coarse, so that there is something to correct
		want, before, after := mean(l.weight, l.bias), mean(q.rounded(), l.bias), mean(q.rounded(), l.correctedBias(q, means))
		off, corrected := 0.0, 0.0
		for o := range want {
			off, corrected = max(off, math.Abs(before[o]-want[o])), max(corrected, math.Abs(after[o]-want[o]))
		}
		if off < 1e-3 || corrected > 1e-4*(1+off) {
			t.Errorf("%s: means are off by %g, and by %g after correction", name, off, corrected)
		}
		if got := l.correctedBias(q, means[:1]); len(means) > 1 && !slices.Equal(got, l.bias) {
			t.Errorf("%s: the bias is corrected by the means of other channels", name)
		}
	}
}
