package quantize

import (
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/onnx"
)

// levels are weights as int8 with zero-point 0: weight = scale of its output channel · level.
type levels struct {
	values []int8
	scales []float32 // one for each output channel
}

// quantiseWeights rounds the weights of each output channel to ±127 steps of its own, or of a
// common one. No scale is below the least of its channel's.
func quantiseWeights(weight []float32, outputs int, perTensor bool, least func(o int) float64) levels {
	per := len(weight) / outputs
	q := levels{make([]int8, len(weight)), make([]float32, outputs)}
	common := 0.0
	for _, w := range weight {
		common = max(common, math.Abs(float64(w)))
	}
	for o := range outputs {
		row, largest := weight[o*per:(o+1)*per], common
		if !perTensor {
			largest = 0
			for _, w := range row {
				largest = max(largest, math.Abs(float64(w)))
			}
		}
		q.scales[o] = float32(max(largest/127, least(o)))
		for i, w := range row {
			q.values[o*per+i] = int8(min(max(math.RoundToEven(float64(w)/float64(q.scales[o])), -127), 127))
		}
	}
	return q
}

// adapt rounds anew with regard to what the layer reads, if that is known.
func (o Options) adapt(l *layer, q levels) {
	if g := o.Adapt[l.name()]; g != nil && !o.PerTensorWeights {
		g.adapt(q, l.weight)
	}
}

// halfScales are the least scales of weights for TensorRT: the least normal number of float16.
func halfScales(int) float64 { return 0x1p-14 }

// singleScales are the least where scales are float32, so small that no weight matters below.
func singleScales(int) float64 { return smallestScale }

// smallestScale is for what is all zero. The product of two such is still a normal float32.
const smallestScale = 0x1p-60

// rounded returns the weights that the levels stand for.
func (q levels) rounded() []float32 {
	values, per := make([]float32, len(q.values)), len(q.values)/len(q.scales)
	for i, v := range q.values {
		values[i] = float32(v) * q.scales[i/per]
	}
	return values
}

// biasScales returns the least scales of weights with which a bias, in steps of the input's
// scale times the weights', fits into an int32.
func biasScales(bias []float32, inputScale float32) func(o int) float64 {
	return func(o int) float64 {
		return max(math.Abs(float64(bias[o]))/(float64(inputScale)*(1<<30)), smallestScale)
	}
}

// biasLevels returns the bias in steps of the input's scale times the weights'.
func biasLevels(bias, weightScales []float32, inputScale float32) (values []int32, scales []float32) {
	values, scales = make([]int32, len(bias)), make([]float32, len(bias))
	for o, b := range bias {
		scales[o] = inputScale * weightScales[o]
		values[o] = int32(math.RoundToEven(float64(b) / float64(scales[o])))
	}
	return values, scales
}

// correctedBias returns the bias less what rounding the weights adds to the output on average,
// given the mean of each input channel (Nagel et al., "Data-Free Quantization Through Weight
// Equalization and Bias Correction", ICCV 2019, section 4.2, with measured means). What the
// border's padding lacks is left out of account.
func (l *layer) correctedBias(q levels, means []float64) []float32 {
	if channels, _ := l.inputs(); channels != len(means) {
		return l.bias
	}
	shift, rounded := make([]float64, l.outputs()), q.rounded()
	for c, mean := range means {
		l.eachOfInput(c, func(at int) { shift[at/l.perOutput()] += (float64(rounded[at]) - float64(l.weight[at])) * mean })
	}
	corrected := make([]float32, len(l.bias))
	for o := range corrected {
		corrected[o] = l.bias[o] - float32(shift[o])
	}
	return corrected
}

// dims returns the shape as the builder of tensors takes it.
func (l *layer) dims() []int {
	dims := make([]int, len(l.shape))
	for i, d := range l.shape {
		dims[i] = int(d)
	}
	return dims
}

// dequantised adds the levels of a layer's weights with the node that makes numbers of them,
// and returns its output.
func (e *emitter) dequantised(l *layer, q levels) string {
	name := l.name() + "/weight"
	weight := e.Initializer(onnx.NewTensor(name+"/levels", q.values, l.dims()...))
	scale := e.Initializer(onnx.NewTensor(name+"/scale", q.scales, len(q.scales)))
	zero := e.Initializer(onnx.NewTensor(name+"/zero", make([]int8, len(q.scales)), len(q.scales)))
	return e.Node("DequantizeLinear", name, []string{weight, scale, zero}, onnx.Int("axis", 0))
}

// clip limits a text for names in errors.
func clip(name string) string {
	const longest = 80
	if len(name) <= longest {
		return name
	}
	return fmt.Sprintf("%s…", name[:longest])
}
