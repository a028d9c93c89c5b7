package export

import (
	"math"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// param returns a parameter of the node in float64, in which weights are folded.
func (l *lowering) param(n nn.Node, name string) []float64 {
	data := l.state[n.Key+"."+name].Data
	values := make([]float64, len(data))
	for i, v := range data {
		values[i] = float64(v)
	}
	return values
}

// channelwise returns the scale and shift that a norm with constant statistics, or what
// follows one with others, comes down to.
func (l *lowering) channelwise(n nn.Node) (scale, shift []float64) {
	if !n.Affine {
		scale, shift = make([]float64, n.Channels), make([]float64, n.Channels)
		for c := range scale {
			scale[c] = 1
		}
		return scale, shift
	}
	scale, shift = l.param(n, "weight"), l.param(n, "bias")
	if n.Op == nn.BatchNorm {
		mean, variance := l.param(n, "running_mean"), l.param(n, "running_var")
		for c := range scale {
			scale[c] /= math.Sqrt(variance[c] + nn.NormEps)
			shift[c] -= mean[c] * scale[c]
		}
	}
	return scale, shift
}

// scaleShift adds a norm with constant statistics that could not be folded.
func (l *lowering) scaleShift(n nn.Node) string {
	scale, shift := l.channelwise(n)
	x := l.Node("Mul", n.Key+".scaled", []string{l.values[n.In[0]], l.floats(n.Key+".weight", scale, 1, n.Channels, 1, 1)})
	return l.Node("Add", n.Key, []string{x, l.floats(n.Key+".bias", shift, 1, n.Channels, 1, 1)})
}

// instanceNorm takes the scale and shift over that alone reads its output.
func (l *lowering) instanceNorm(i int, n nn.Node) string {
	scale, shift := l.channelwise(n)
	name := l.label(n)
	next, ok := l.folded(i, nn.Affine)
	if ok {
		s, t := l.channelwise(next)
		for c := range scale {
			scale[c] *= s[c]
			shift[c] = shift[c]*s[c] + t[c]
		}
	}
	out := l.Node("InstanceNormalization", name,
		[]string{l.values[n.In[0]], l.floats(name+".weight", scale, n.Channels), l.floats(name+".bias", shift, n.Channels)},
		onnx.Float("epsilon", nn.NormEps))
	if ok {
		l.values[l.readers[i][0]] = out
	}
	return out
}

// conv adds a convolution together with the batch norm that alone reads its output.
func (l *lowering) conv(i int, n nn.Node) string {
	c := n.Conv
	weight, bias := l.param(n, "weight"), make([]float64, n.Channels)
	if c.Bias {
		bias = l.param(n, "bias")
	}
	norm, ok := l.folded(i, nn.BatchNorm)
	if ok {
		scale, shift := l.channelwise(norm)
		perChannel := len(weight) / n.Channels
		for k := range weight {
			weight[k] *= scale[k/perChannel]
		}
		for k := range bias {
			bias[k] = bias[k]*scale[k] + shift[k]
		}
	}
	out := l.convNode(n, weight, bias, l.sizes[n.In[0]])
	if ok {
		l.values[l.readers[i][0]] = out
	}
	return out
}

// convNode adds a convolution. Where the map is no larger than the dilation, the outer rows
// or columns of the kernel only ever meet padding: they are left out.
func (l *lowering) convNode(n nn.Node, weight, bias []float64, in nn.Size) string {
	c := n.Conv
	kernel, pad := [2]int{c.Kernel, c.Kernel}, [2]int64{int64(c.Padding), int64(c.Padding)}
	for axis, side := range []int{in.Height, in.Width} {
		if c.Kernel == 3 && c.Stride == 1 && c.Padding == c.Dilation && side <= c.Dilation {
			weight = middle(weight, kernel, axis)
			kernel[axis], pad[axis] = 1, 0
		}
	}
	perFilter := len(weight) / n.Channels / (kernel[0] * kernel[1])
	stride, dilation := int64(c.Stride), int64(c.Dilation)
	return l.Node("Conv", n.Key, []string{
		l.values[n.In[0]],
		l.floats(n.Key+".weight", weight, n.Channels, perFilter, kernel[0], kernel[1]),
		l.floats(n.Key+".bias", bias, n.Channels),
	},
		onnx.Ints("kernel_shape", int64(kernel[0]), int64(kernel[1])),
		onnx.Ints("strides", stride, stride),
		onnx.Ints("pads", pad[0], pad[1], pad[0], pad[1]),
		onnx.Ints("dilations", dilation, dilation),
		onnx.Int("group", int64(c.Groups)))
}

// middle returns the second of the three rows (axis 0) or columns of each kernel.
func middle(weight []float64, kernel [2]int, axis int) []float64 {
	rows, columns := kernel[0], kernel[1]
	var kept []float64
	for k, w := range weight {
		if at := [2]int{k / columns % rows, k % columns}; at[axis] == 1 {
			kept = append(kept, w)
		}
	}
	return kept
}
