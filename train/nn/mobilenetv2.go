package nn

import "fmt"

// mobileNetV2 is the trunk of Sandler et al. (CVPR 2018) as torchvision builds it. The
// decoder reads feature 6, at stride 8.
//
// To reach an output stride of 16 (or 8) the published network takes the stride out of the
// depthwise convolution that has it and dilates this one convolution only, unlike the usual
// rule, which dilates all that follow.
func (b *builder) mobileNetV2(image int) features {
	width := b.net.Spec.Width
	layer2, layer3 := stage{stride: 2, dilation: 1}, stage{stride: 2, dilation: 1}
	if b.net.Spec.OutputStride <= 16 {
		layer3 = stage{stride: 1, dilation: 2}
	}
	if b.net.Spec.OutputStride == 8 {
		layer2, layer3 = stage{stride: 1, dilation: 2}, stage{stride: 1, dilation: 4}
	}

	x := b.conv3("layer0.0.0", image, byEight(32*width), 2, 1, 1)
	x = b.relu6(b.batchNorm("layer0.0.1", x))
	x = b.invertedResidual("layer0.1", x, 1, byEight(16*width), stage{1, 1}, 2)

	var f features
	f.low = b.bottlenecks("layer1", x, width, 3,
		bottleneck{24, 2, stage{2, 1}},
		bottleneck{32, 3, stage{2, 1}})
	x = b.bottlenecks("layer2", f.low, width, 4,
		bottleneck{64, 4, layer2})
	f.aux = b.bottlenecks("layer3", x, width, 5,
		bottleneck{96, 3, stage{1, 1}},
		bottleneck{160, 3, layer3},
		bottleneck{320, 1, stage{1, 1}})
	f.deep = f.aux
	if b.net.Spec.Head == PaperHead {
		x = b.conv1("layer4.0.0", f.aux, byEight(1280*max(1, width)))
		f.deep = b.relu6(b.batchNorm("layer4.0.1", x))
	}
	return f
}

// stage says how the first block of a stage moves: by stride, with dilated kernels.
type stage struct{ stride, dilation int }

// bottleneck is a row of the paper's table 2: out channels, repeats, how the first moves.
type bottleneck struct {
	out, repeats int
	first        stage
}

// bottlenecks adds rows of inverted residuals with an expansion of 6. The last block is at
// the given place of the placement.
func (b *builder) bottlenecks(key string, x int, width float64, place int, rows ...bottleneck) int {
	block := 0
	for r, row := range rows {
		move := row.first
		for i := range row.repeats {
			at := -1
			if r == len(rows)-1 && i == row.repeats-1 {
				at = place
			}
			x = b.invertedResidual(fmt.Sprintf("%s.%d", key, block), x, 6, byEight(float64(row.out)*width), move, at)
			move = stage{1, 1}
			block++
		}
	}
	return x
}

// invertedResidual expands by t, filters each channel, projects to out channels, and adds
// the input where the block was built without a stride and changes no channels. place is
// -1 for none.
func (b *builder) invertedResidual(key string, x, t, out int, move stage, place int) int {
	y, hidden, i := x, b.channels(x)*t, 0
	if t != 1 {
		y = b.relu6(b.batchNorm(key+".conv.0.1", b.conv1(key+".conv.0.0", y, hidden)))
		i = 1
	}
	y = b.conv3(fmt.Sprintf("%s.conv.%d.0", key, i), y, hidden, move.stride, move.dilation, hidden)
	y = b.relu6(b.batchNorm(fmt.Sprintf("%s.conv.%d.1", key, i), y))
	y = b.conv1(fmt.Sprintf("%s.conv.%d", key, i+1), y, out)
	y = b.batchNorm(fmt.Sprintf("%s.conv.%d", key, i+2), y)
	if move == (stage{1, 1}) && b.channels(x) == out {
		y = b.sum(x, y)
	}
	if place >= 0 {
		y = b.place(place, key, key+".instance_norm_layer", y)
	}
	return y
}

// byEight rounds a number of channels to a multiple of 8, not below 90 % of it.
func byEight(v float64) int {
	n := max(8, int(v+4)/8*8)
	if float64(n) < 0.9*v {
		n += 8
	}
	return n
}
