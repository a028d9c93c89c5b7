package export

import (
	"math"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// iterWhiten adds IterNorm, which in inference is linear: a 1×1 convolution.
func (l *lowering) iterWhiten(n nn.Node) string {
	scale, bias := l.channelwise(n)
	mean, weight := l.param(n, "running_mean"), l.param(n, "running_wm")
	for k := range weight {
		out, in := k/n.Group, k/(n.Group*n.Group)*n.Group+k%n.Group
		weight[k] *= scale[out]
		bias[out] -= weight[k] * mean[in]
	}
	n.Conv = nn.ConvSpec{Kernel: 1, Stride: 1, Dilation: 1, Groups: n.Channels / n.Group}
	return l.convNode(n, weight, bias, l.sizes[n.In[0]])
}

// switchWhiten adds Switchable Whitening. With the centred feature x, its mean m, its
// covariance C and the running ones m', C' of each group of channels, and shares a + b = 1,
//
//	y = W·(x + m − (a·m' + b·m)),  W = (a'·C' + b'·C + ε·I)^(−1/2)
//
// is computed as W·x + W·a·(m − m'): the large x is read twice. Scale and shift of the
// channels become part of W and of what is added.
func (l *lowering) switchWhiten(n nn.Node) string {
	groups, c, size := n.Channels/n.Group, n.Group, l.sizes[n.In[0]]
	key, pixels := n.Key, size.Height*size.Width
	running, _ := softmax(l.param(n, "sw_mean_weight"))
	runningCov, ownCov := softmax(l.param(n, "sw_var_weight"))
	scale, shift := l.channelwise(n)

	x := l.reshape(key+".centred", l.centre(n.In[0]), groups, c, pixels)
	transposed := l.Node("Transpose", key+".transposed", []string{x}, onnx.Ints("perm", 0, 2, 1))
	cov := l.Node("MatMul", key+".cov", []string{x, transposed})
	cov = l.Node("Mul", key+".cov.own", []string{cov, l.scalar(ownCov / float64(pixels))})
	constant := l.param(n, "running_cov")
	for k := range constant {
		constant[k] *= runningCov
		if k%(c*c)%(c+1) == 0 {
			constant[k] += nn.NormEps
		}
	}
	cov = l.Node("Add", key+".cov.mixed", []string{cov, l.floats(key+".running_cov", constant, groups, c, c)})
	white := l.inverseSquareRoot(key, cov, c)
	white = l.Node("Mul", key+".whitener", []string{white, l.floats(key+".weight", scale, groups, c, 1)})

	offset := l.reshape(key+".mean", l.channelMeans(n.In[0]), groups, c, 1)
	offset = l.Node("Sub", key+".offset", []string{offset, l.floats(key+".running_mean", l.param(n, "running_mean"), groups, c, 1)})
	offset = l.Node("Mul", key+".offset.mixed", []string{offset, l.scalar(running)})
	offset = l.Node("MatMul", key+".offset.white", []string{white, offset})
	offset = l.Node("Add", key+".shift", []string{offset, l.floats(key+".bias", shift, groups, c, 1)})

	y := l.Node("MatMul", key+".white", []string{white, x})
	y = l.Node("Add", key+".shifted", []string{y, offset})
	return l.reshape(key, y, 1, n.Channels, size.Height, size.Width)
}

// softmax returns the two shares.
func softmax(w []float64) (first, second float64) {
	first = 1 / (1 + math.Exp(w[1]-w[0]))
	return first, 1 - first
}

// inverseSquareRoot adds Newton's iteration P ← 1.5·P − 0.5·P³·N from P = I on the matrices
// divided by their traces, N.
func (l *lowering) inverseSquareRoot(key, cov string, c int) string {
	eye := make([]float64, c*c)
	for i := range c {
		eye[i*(c+1)] = 1
	}
	unit := l.floats(key+".eye", eye, 1, c, c)
	diagonal := l.Node("Mul", key+".diagonal", []string{cov, unit})
	trace := l.Node("ReduceSum", key+".trace", []string{diagonal, l.ints(1, 2)}, onnx.Int("keepdims", 1))
	normal := l.Node("Div", key+".normal", []string{cov, trace})
	p := unit
	for step := range nn.NewtonSteps {
		cube := normal
		if step > 0 { // I³ = I
			square := l.Node("MatMul", key+".square", []string{p, p})
			cube = l.Node("MatMul", key+".cube", []string{square, p})
			cube = l.Node("MatMul", key+".cube.normal", []string{cube, normal})
		}
		grown := l.Node("Mul", key+".grown", []string{p, l.scalar(1.5)})
		p = l.Node("Sub", key+".step", []string{grown, l.Node("Mul", key+".half", []string{cube, l.scalar(0.5)})})
	}
	return l.Node("Div", key+".root", []string{p, l.Node("Sqrt", key+".trace.root", []string{trace})})
}
