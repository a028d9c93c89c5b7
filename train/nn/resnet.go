package nn

import "fmt"

// resNet is the trunk of He et al. (CVPR 2016) with four stages of bottleneck blocks, the
// stride on the 3×3 convolution. ResNet-101 has a stem of three 3×3 convolutions. The
// decoder reads the first stage, at stride 4. Strides that the output stride does not allow
// become dilation of every 3×3 convolution of the stage.
func (b *builder) resNet(image int, repeats ...int) features {
	var x int
	if b.net.Spec.Trunk == ResNet101 {
		x = b.conv3("layer0.0", image, 64, 2, 1, 1)
		x = b.relu(b.normOrPlace(0, "layer0.1", x))
		x = b.conv3("layer0.3", x, 64, 1, 1, 1)
		x = b.relu(b.normOrPlace(1, "layer0.4", x))
		x = b.conv3("layer0.6", x, 128, 1, 1, 1)
		x = b.relu(b.normOrPlace(2, "layer0.7", x))
	} else {
		x = b.conv("layer0.0", image, 64, ConvSpec{Kernel: 7, Stride: 2, Padding: 3})
		x = b.relu(b.normOrPlace(2, "layer0.1", x))
	}
	x = b.unary(MaxPool, x)

	var f features
	moves := []stage{{1, 1}, {2, 1}, {2, 1}, {2, 1}}
	if b.net.Spec.OutputStride <= 16 {
		moves[3] = stage{1, 2}
	}
	if b.net.Spec.OutputStride == 8 {
		moves[2], moves[3] = stage{1, 2}, stage{1, 4}
	}
	for i, n := range repeats {
		for k := range n {
			key, place := fmt.Sprintf("layer%d.%d", i+1, k), -1
			if k == n-1 {
				place = i + 3
			}
			x = b.residual(key, x, 64<<i, moves[i], k == 0, place)
			moves[i].stride = 1
		}
		switch i {
		case 0:
			f.low = x
		case 2:
			f.aux = x
		}
	}
	f.deep = x
	return f
}

// residual is a bottleneck block of ResNet: 1×1, 3×3 and 1×1 convolutions to 4·planes
// channels, and a shortcut, which the first block of a stage projects.
func (b *builder) residual(key string, x, planes int, move stage, first bool, place int) int {
	y := b.normReLU(key+".bn1", b.conv1(key+".conv1", x, planes))
	y = b.normReLU(key+".bn2", b.conv3(key+".conv2", y, planes, move.stride, move.dilation, 1))
	y = b.batchNorm(key+".bn3", b.conv1(key+".conv3", y, 4*planes))
	if first {
		x = b.conv(key+".downsample.0", x, 4*planes, ConvSpec{Kernel: 1, Stride: move.stride})
		x = b.batchNorm(key+".downsample.1", x)
	}
	y = b.sum(y, x)
	if place >= 0 {
		y = b.place(place, key, key+".instance_norm_layer", y)
	}
	return b.relu(y)
}

// normOrPlace adds the norm of the placement or, where it has none, a batch norm.
func (b *builder) normOrPlace(place int, key string, x int) int {
	if b.net.Spec.Placement[place] != NoNorm {
		return b.place(place, key, key, x)
	}
	x = b.batchNorm(key, x)
	return b.place(place, key, key, x)
}
