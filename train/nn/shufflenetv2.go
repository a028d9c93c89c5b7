package nn

import "fmt"

// shuffleNetV2 is the trunk of Ma et al. (ECCV 2018) at width 1.0 as torchvision builds it.
// The decoder reads stage 2, at stride 8. As in MobileNetV2, only the convolutions whose
// stride is taken out are dilated.
func (b *builder) shuffleNetV2(image int) features {
	stage3, stage4 := stage{2, 1}, stage{2, 1}
	if b.net.Spec.OutputStride <= 16 {
		stage4 = stage{1, 2}
	}
	if b.net.Spec.OutputStride == 8 {
		stage3, stage4 = stage{1, 2}, stage{1, 4}
	}

	x := b.conv3("layer0.layer.0.0", image, 24, 2, 1, 1)
	x = b.normBeside(2, "layer0", "layer0.layer.0.1", x)
	x = b.unary(MaxPool, x)

	var f features
	f.low = b.shuffleUnits("layer1", x, 116, 4, stage{2, 1}, 3)
	x = b.shuffleUnits("layer2", f.low, 232, 8, stage3, 4)
	f.aux = b.shuffleUnits("layer3", x, 464, 4, stage4, 5)
	f.deep = f.aux
	if b.net.Spec.Head == PaperHead {
		x = b.conv1("layer4.layer.0", f.aux, 1024)
		f.deep = b.normBeside(6, "layer4", "layer4.layer.1", x)
	}
	return f
}

// shuffleUnits adds a stage: a unit that works on all channels in two branches, then units
// that work on one half. The last unit is at the given place of the placement.
func (b *builder) shuffleUnits(key string, x, out, repeats int, move stage, place int) int {
	half := out / 2
	for i := range repeats {
		unit := fmt.Sprintf("%s.%d", key, i)
		var left, right int
		if i == 0 {
			left = b.conv3(unit+".branch1.0", x, b.channels(x), move.stride, move.dilation, b.channels(x))
			left = b.batchNorm(unit+".branch1.1", left)
			left = b.normReLU(unit+".branch1.3", b.conv1(unit+".branch1.2", left, half))
			right = b.shuffleBranch(unit+".branch2", x, half, move)
		} else {
			left = b.add(Node{Op: Split, In: []int{x}, Channels: half, From: 0})
			right = b.add(Node{Op: Split, In: []int{x}, Channels: half, From: half})
			right = b.shuffleBranch(unit+".branch2", right, half, stage{1, 1})
		}
		x = b.add(Node{Op: Shuffle, In: []int{b.concat(left, right)}, Channels: out, Group: 2})
		if i == repeats-1 {
			x = b.place(place, unit, unit+".instance_norm_layer", x)
		}
	}
	return x
}

func (b *builder) shuffleBranch(key string, x, out int, move stage) int {
	x = b.normReLU(key+".1", b.conv1(key+".0", x, out))
	x = b.batchNorm(key+".4", b.conv3(key+".3", x, out, move.stride, move.dilation, out))
	return b.normReLU(key+".6", b.conv1(key+".5", x, out))
}

// normBeside adds the norm of the placement or, where it has none, a batch norm with
// parameters at bn, and a ReLU. Checkpoints keep the batch norm that is not used. In the
// published code this ReLU works in place on the feature that is collected, so that the
// whitening loss sees it rectified; it is so here, too.
func (b *builder) normBeside(place int, name, bn string, x int) int {
	if b.net.Spec.Placement[place] == NoNorm {
		x = b.batchNorm(bn, x)
	} else {
		idle := Node{Op: BatchNorm, Key: bn, Channels: b.channels(x), Affine: true}
		b.net.Idle = append(b.net.Idle, idle.params(0)...)
	}
	y := b.relu(b.place(place, name, name+".instance_norm_layer", x))
	if taps := b.net.Taps; b.net.Spec.Placement[place].Collected() && b.net.Spec.Rescale == NoRescale {
		taps[len(taps)-1].After = y
	}
	return y
}
