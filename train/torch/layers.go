package torch

// Feature maps are [B, C, H, W].

// Conv describes a convolution; 0 stands for a stride, dilation or number of groups of 1.
type Conv struct {
	Stride, Dilation, Groups int
	// Padding is the number of zeros on either side, by height and width.
	Padding [2]int
}

// Conv2D convolves x with a weight [O, C/groups, height, width] and adds a bias [O], or nil.
func (s *Scope) Conv2D(x, weight, bias *Tensor, c Conv) *Tensor {
	stride, dilation, groups := or1(c.Stride), or1(c.Dilation), or1(c.Groups)
	return s.Call("conv2d", x, weight, bias, []int{stride, stride}, c.Padding[:], []int{dilation, dilation}, groups)
}

func or1(n int) int {
	if n == 0 {
		return 1
	}
	return n
}

// BatchNorm normalises each channel with the batch's statistics if train, and then moves
// mean and variance towards them by momentum; otherwise with mean and variance. Scale, shift,
// mean and variance are [C].
func (s *Scope) BatchNorm(x, scale, shift, mean, variance *Tensor, train bool, momentum, eps float64) *Tensor {
	return s.Call("batch_norm", x, scale, shift, mean, variance, train, momentum, eps, true)
}

// InstanceNorm normalises each channel of each picture with its own statistics. Scale and
// shift are [C], or nil for none.
func (s *Scope) InstanceNorm(x, scale, shift *Tensor, eps float64) *Tensor {
	return s.Call("instance_norm", x, scale, shift, nil, nil, true, 0.0, eps, true)
}

// ReLU returns max(x, 0).
func (s *Scope) ReLU(x *Tensor) *Tensor { return s.Call("relu", x) }

// ReLUInPlace is ReLU in x's memory, which x is overwritten in; Backward works where nothing
// else needs the old x.
func (s *Scope) ReLUInPlace(x *Tensor) *Tensor { return s.Call("relu_", x) }

// ReLU6 returns min(max(x, 0), 6).
func (s *Scope) ReLU6(x *Tensor) *Tensor { return s.Call("hardtanh", x, 0, 6) }

// ReLU6InPlace is to ReLU6 what ReLUInPlace is to ReLU.
func (s *Scope) ReLU6InPlace(x *Tensor) *Tensor { return s.Call("hardtanh_", x, 0, 6) }

// MaxPool2D returns the maximum of each window of k×k pixels.
func (s *Scope) MaxPool2D(x *Tensor, k, stride, padding int) *Tensor {
	return s.Call("max_pool2d", x, []int{k, k}, []int{stride, stride}, []int{padding, padding})
}

// GlobalAvgPool returns each channel's mean, [B, C, 1, 1].
func (s *Scope) GlobalAvgPool(x *Tensor) *Tensor {
	return s.Call("adaptive_avg_pool2d", x, []int{1, 1})
}

// ResizeBilinear scales x to h×w pixels; the corners' centres stay where they are
// (align_corners).
func (s *Scope) ResizeBilinear(x *Tensor, h, w int) *Tensor {
	return s.Call("upsample_bilinear2d", x, []int{h, w}, true)
}

// FeatureDropout zeroes whole channels with probability p and scales the rest by 1/(1-p) if
// train; otherwise it returns x's values.
func (s *Scope) FeatureDropout(x *Tensor, p float64, train bool) *Tensor {
	return s.Call("feature_dropout", x, p, train)
}

// Softmax normalises the exponentials along a dimension to a sum of 1.
func (s *Scope) Softmax(x *Tensor, dim int) *Tensor { return s.Call("softmax.int", x, dim) }

// CrossEntropy returns the mean over all pixels of the negative log-likelihood of their
// labels, Int64 [B, H, W], under logits [B, C, H, W]. Pixels labelled ignore do not count;
// where all are, the mean is NaN.
func (s *Scope) CrossEntropy(logits, labels *Tensor, ignore int) *Tensor {
	const mean = 1 // libtorch's number for the reduction
	return s.Call("cross_entropy_loss", logits, labels, nil, mean, ignore)
}

// Concat joins tensors along a dimension.
func (s *Scope) Concat(dim int, ts ...*Tensor) *Tensor { return s.Call("cat", ts, dim) }

// Reshape returns x's elements in another shape; one dimension may be -1, for what remains.
// It is a view where it can be.
func (s *Scope) Reshape(x *Tensor, shape ...int) *Tensor { return s.Call("reshape", x, shape) }

// Expand returns a view of x that repeats dimensions of 1; -1 leaves a dimension as it is.
func (s *Scope) Expand(x *Tensor, shape ...int) *Tensor { return s.Call("expand", x, shape) }

// Narrow returns a view of length indices of a dimension, from start on.
func (s *Scope) Narrow(x *Tensor, dim, start, length int) *Tensor {
	return s.Call("narrow", x, dim, start, length)
}

// Transpose returns a view with two dimensions exchanged.
func (s *Scope) Transpose(x *Tensor, a, b int) *Tensor { return s.Call("transpose.int", x, a, b) }

// To returns x with its elements converted; x's own memory where they are of the type.
func (s *Scope) To(x *Tensor, d DType) *Tensor { return s.Call("to.dtype", x, d) }

// Clone returns a copy.
func (s *Scope) Clone(x *Tensor) *Tensor { return s.Call("clone", x) }
