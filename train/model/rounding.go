package model

import (
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Rounding makes convolutions compute as they will in INT8: what they read is rounded to a grid
// of int8 with zero-point 0, and so are their weights, by output channel. Gradients pass the
// rounding as if it were not there, but for values beyond the grid (the straight-through
// estimator: Jacob et al., "Quantization and Training of Neural Networks for Efficient
// Integer-Arithmetic-Only Inference", CVPR 2018).
type Rounding struct {
	// Inputs are the greatest magnitudes of the grids of what convolutions read, by their keys.
	// Convolutions without one stay in float.
	Inputs map[string]float64
}

// Check says what is wrong with a rounding of this network.
func (r Rounding) Check(net *nn.Network) error {
	convolutions := map[string]bool{}
	for _, n := range net.Nodes {
		convolutions[n.Key] = convolutions[n.Key] || n.Op == nn.Conv
	}
	for key, magnitude := range r.Inputs {
		if !convolutions[key] {
			return fmt.Errorf("rounding: the network has no convolution %q", key)
		}
		if !(magnitude > 0) || math.IsInf(magnitude, 1) {
			return fmt.Errorf("rounding: what %s reads has the greatest magnitude %v; it must be above 0", key, magnitude)
		}
	}
	return nil
}

// round returns what a convolution reads and its weights, rounded if they are to be. Batch norms
// are folded into weights by output channel afterwards, which moves no weight to another step of
// its grid.
func (p *pass) round(n nn.Node, x, weight *torch.Tensor) (rounded, roundedWeight *torch.Tensor) {
	if p.Rounding == nil || p.Rounding.Inputs[n.Key] == 0 {
		return x, weight
	}
	var scale *torch.Tensor
	p.s.NoGrad(func(s *torch.Scope) {
		largest := s.Call("amax", s.Call("abs", weight), []int{1, 2, 3}, false)
		scale = s.Return(s.MulScalar(s.Call("clamp_min", largest, smallestMagnitude), 1.0/steps))
	})
	zeros := p.s.Zeros(torch.Int32, weight.Dim(0))
	return p.toGrid(x, p.Rounding.Inputs[n.Key]), p.s.Call("fake_quantize_per_channel_affine", weight, scale, zeros, 0, -steps, steps)
}

// toGrid rounds activations.
func (p *pass) toGrid(x *torch.Tensor, magnitude float64) *torch.Tensor {
	return p.s.Call("fake_quantize_per_tensor_affine", x, magnitude/steps, 0, -steps-1, steps)
}

// roundedSkip returns the inputs of a residual addition, the skipped one rounded to the grid on
// which convolutions read it: TensorRT adds the other within the convolution that makes it.
func (p *pass) roundedSkip(a, b int) (x, y *torch.Tensor) {
	x, y = p.values[a], p.values[b]
	if p.Rounding == nil {
		return x, y
	}
	switch {
	case p.convolved(a):
		y = p.asRead(b)
	case p.convolved(b):
		x = p.asRead(a)
	}
	return x, y
}

// convolved tells whether a node only passes on what a convolution alone has made.
func (p *pass) convolved(node int) bool {
	n := p.Net.Nodes[node]
	if n.Op == nn.BatchNorm && p.readers[node] == 1 {
		node = n.In[0]
		n = p.Net.Nodes[node]
	}
	return n.Op == nn.Conv && p.readers[node] == 1 && p.Rounding.Inputs[n.Key] > 0
}

// asRead returns the output of a node as the first convolution that rounds it reads it.
func (p *pass) asRead(node int) *torch.Tensor {
	for _, n := range p.Net.Nodes {
		if n.Op == nn.Conv && n.In[0] == node && p.Rounding.Inputs[n.Key] > 0 {
			return p.toGrid(p.values[node], p.Rounding.Inputs[n.Key])
		}
	}
	return p.values[node]
}

// steps is the last level of int8.
const steps = 127

// smallestMagnitude keeps scales of channels without weights above 0.
const smallestMagnitude = 1e-8
