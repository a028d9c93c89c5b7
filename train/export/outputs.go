package export

import (
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// outputs adds what follows the network, and lists the model's outputs.
func (l *lowering) outputs(o Options) {
	size := o.maskSize()
	h, w := int64(size.Height), int64(size.Width)
	value := func(name Output, elem onnx.ElemType, shape ...int64) onnx.Value {
		return onnx.Value{Name: string(name), Elem: elem, Shape: shape}
	}
	declared := map[Output]onnx.Value{
		Mask:   value(Mask, onnx.Uint8, 1, h, w),
		Style:  value(Style, onnx.Float32, 1, int64(l.styleLen())),
		Logits: value(Logits, onnx.Float32, 1, int64(l.net.Spec.Classes), h, w),
	}
	for _, name := range o.Outputs {
		l.model.Graph.Outputs = append(l.model.Graph.Outputs, declared[name])
	}
	l.mask(size)
	l.style()
}

func (l *lowering) mask(size nn.Size) {
	scores := l.resize(string(Logits), l.net.Scores, size)
	ids := l.Node("ArgMax", "mask/ids", []string{scores}, onnx.Int("axis", 1), onnx.Int("keepdims", 0))
	l.Node("Cast", string(Mask), []string{ids}, onnx.Int("to", int64(onnx.Uint8)))
}

func (l *lowering) style() {
	var parts []string
	for _, t := range l.net.Taps {
		parts = append(parts, l.channelMeans(t.Before), l.channelDeviations(t.Before))
	}
	all := l.Node("Concat", "style/channels", parts, onnx.Int("axis", 1))
	l.Node("Flatten", string(Style), []string{all}, onnx.Int("axis", 1))
}

// styleLen is the length of the style vector.
func (l *lowering) styleLen() int {
	n := 0
	for _, t := range l.net.Taps {
		n += 2 * t.Channels
	}
	return n
}

// channelMeans returns the means [1, C, 1, 1] of node i's output.
func (l *lowering) channelMeans(i int) string {
	if l.means[i] == "" {
		x := l.values[i]
		l.means[i] = l.Node("ReduceMean", x+"/mean", []string{x}, onnx.Ints("axes", 2, 3), onnx.Int("keepdims", 1))
	}
	return l.means[i]
}

// centre returns node i's output without the means of its channels.
func (l *lowering) centre(i int) string {
	if l.centred[i] == "" {
		x := l.values[i]
		l.centred[i] = l.Node("Sub", x+"/centred", []string{x, l.channelMeans(i)})
	}
	return l.centred[i]
}

// channelDeviations returns the standard deviations [1, C, 1, 1] of node i's output.
func (l *lowering) channelDeviations(i int) string {
	x, centred := l.values[i], l.centre(i)
	squares := l.Node("Mul", x+"/squares", []string{centred, centred})
	variance := l.Node("ReduceMean", x+"/variance", []string{squares}, onnx.Ints("axes", 2, 3), onnx.Int("keepdims", 1))
	return l.Node("Sqrt", x+"/deviation", []string{variance})
}
