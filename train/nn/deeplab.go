package nn

import "fmt"

// asppWidth and fineWidth are the channels of the ASPP's branches and of the low-level
// feature in the decoder.
const (
	asppWidth = 256
	fineWidth = 48
	auxWidth  = 512
)

// asppRates are the dilations of the three 3×3 branches at an output stride of 16.
var asppRates = [3]int{6, 12, 18}

// rate returns the dilation of a branch at the network's output stride.
func (b *builder) rate(at16 int) int { return at16 * 16 / b.net.Spec.OutputStride }

// paperHead is DeepLabV3+ (Chen et al., ECCV 2018) as published with RobustNet: no dropout,
// and the image branch first in the concatenation.
func (b *builder) paperHead(f features) int {
	branches := []int{b.imageBranch(f.deep)}
	branches = append(branches, b.normReLU("aspp.features.0.1", b.conv1("aspp.features.0.0", f.deep, asppWidth)))
	for i, r := range asppRates {
		key := fmt.Sprintf("aspp.features.%d", i+1)
		y := b.conv3(key+".0", f.deep, asppWidth, 1, b.rate(r), 1)
		branches = append(branches, b.normReLU(key+".1", y))
	}
	x := b.decoderInput(f, branches)
	x = b.normReLU("final1.1", b.conv3("final1.0", x, asppWidth, 1, 1, 1))
	x = b.normReLU("final1.4", b.conv3("final1.3", x, asppWidth, 1, 1, 1))
	return b.conv("final2.0", x, b.net.Spec.Classes, ConvSpec{Kernel: 1, Bias: true})
}

// liteHead computes what paperHead does at a tenth of the cost. It reads the deep feature
// before MobileNetV2's and ShuffleNetV2's last, widening convolution, or a ResNet's narrowed
// to the width of the branches, and splits every 3×3 convolution into a depthwise and a 1×1
// one. Its keys are the paper head's where the shapes are.
func (b *builder) liteHead(f features) int {
	if b.channels(f.deep) > 2*asppWidth {
		f.deep = b.normReLU("reduce.1", b.conv1("reduce.0", f.deep, asppWidth))
	}
	branches := []int{b.imageBranch(f.deep)}
	branches = append(branches, b.normReLU("aspp.features.0.1", b.conv1("aspp.features.0.0", f.deep, asppWidth)))
	for i, r := range asppRates {
		branches = append(branches, b.separable(fmt.Sprintf("aspp.features.%d", i+1), f.deep, b.rate(r)))
	}
	x := b.decoderInput(f, branches)
	x = b.separable("final1.0", x, 1)
	x = b.separable("final1.1", x, 1)
	return b.conv("final2.0", x, b.net.Spec.Classes, ConvSpec{Kernel: 1, Bias: true})
}

// separable is a depthwise 3×3 and a 1×1 convolution, each with batch norm and ReLU.
func (b *builder) separable(key string, x, dilation int) int {
	x = b.normReLU(key+".depthwise.1", b.conv3(key+".depthwise.0", x, b.channels(x), 1, dilation, b.channels(x)))
	return b.normReLU(key+".pointwise.1", b.conv1(key+".pointwise.0", x, asppWidth))
}

// imageBranch is the ASPP's branch for the whole picture.
func (b *builder) imageBranch(deep int) int {
	x := b.unary(GlobalPool, deep)
	x = b.normReLU("aspp.img_conv.1", b.conv1("aspp.img_conv.0", x, asppWidth))
	return b.resize(x, deep)
}

// decoderInput narrows the ASPP's branches and the low-level feature and joins them at the
// size of the latter.
func (b *builder) decoderInput(f features, branches []int) int {
	x := b.normReLU("bot_aspp.1", b.conv1("bot_aspp.0", b.concat(branches...), asppWidth))
	fine := b.normReLU("bot_fine.1", b.conv1("bot_fine.0", f.low, fineWidth))
	return b.concat(fine, b.resize(x, f.low))
}

// auxHead gives the trunk's third stage a loss of its own in training.
func (b *builder) auxHead(x int) int {
	x = b.conv("dsn.0", x, auxWidth, ConvSpec{Kernel: 3, Padding: 1, Bias: true})
	x = b.unary(DropChannels, b.normReLU("dsn.1", x))
	return b.conv("dsn.4", x, b.net.Spec.Classes, ConvSpec{Kernel: 1, Bias: true})
}
