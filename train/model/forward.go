package model

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/robustnet-edge/robustnet/train/extra"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// batchNormMomentum is PyTorch's, which the published networks use.
const batchNormMomentum = 0.1

// Forward computes the given nodes for a batch of normalised pictures x [B, 3, H, W] and
// returns their outputs in that order, owned by s. Only what they depend on is computed,
// and every other feature is freed as soon as nothing reads it any more.
func (m *Model) Forward(s *torch.Scope, x *torch.Tensor, mode Mode, nodes ...int) []*torch.Tensor {
	readers := m.readers(nodes)
	restyled := m.restyled(mode)
	p := &pass{Model: m, mode: mode, values: make([]*torch.Tensor, len(m.Net.Nodes)), readers: readers, left: slices.Clone(readers)}
	var outputs []*torch.Tensor
	s.In(func(s *torch.Scope) {
		p.s = s
		for i, node := range m.Net.Nodes {
			if readers[i] == 0 {
				continue
			}
			if node.Op == nn.Input {
				p.values[i] = x
				p.left[i]++ // the caller keeps it
				continue
			}
			p.values[i] = p.compute(node)
			if i == restyled {
				p.restyle(i)
			}
			for _, in := range node.In {
				p.release(in)
			}
		}
		for _, n := range nodes {
			outputs = append(outputs, s.Return(p.values[n]))
		}
	})
	return outputs
}

// restyled returns the node whose output takes other styles in a pass of the mode, -1 for
// none: the stem's first activation. Behind it come nonlinearities, so that instance norms do
// not take the change back.
func (m *Model) restyled(mode Mode) int {
	if mode != Training || m.MixStyle == 0 {
		return -1
	}
	return slices.IndexFunc(m.Net.Nodes, func(n nn.Node) bool { return n.Op == nn.ReLU || n.Op == nn.ReLU6 })
}

// restyle exchanges the styles in a node's output, by random numbers of the step.
func (p *pass) restyle(node int) {
	const stream = 0x6d69785374796c65 // apart from other random numbers of the step
	x := p.values[node]
	mix := extra.DrawMix(rand.New(rand.NewPCG(p.StepSeed, stream)), x.Dim(0), p.MixStyle)
	if mix == nil {
		return
	}
	p.values[node] = extra.MixStyle(p.s, x, mix)
	p.s.Free(x)
}

// readers counts how often each node's output is read, by other nodes or by the caller.
func (m *Model) readers(outputs []int) []int {
	readers := make([]int, len(m.Net.Nodes))
	for i, needed := range m.Net.Needed(outputs...) {
		if needed {
			for _, in := range m.Net.Nodes[i].In {
				readers[in]++
			}
		}
	}
	for _, o := range outputs {
		readers[o]++
	}
	return readers
}

// pass is one forward pass.
type pass struct {
	*Model
	s      *torch.Scope
	mode   Mode
	values []*torch.Tensor
	// readers counts all readers of each node, left those that are still to come.
	readers, left []int
}

func (p *pass) release(node int) {
	if p.left[node]--; p.left[node] == 0 {
		p.s.Free(p.values[node])
		p.values[node] = nil
	}
}

// mayOverwrite says whether a node that reads in may work in place: it is the only reader,
// and the gradient of the layer that made the value does not need it.
func (p *pass) mayOverwrite(in int) bool {
	op := p.Net.Nodes[in].Op
	return p.readers[in] == 1 && (op == nn.Conv || op == nn.BatchNorm || op == nn.Add)
}

// param returns a parameter of the node.
func (p *pass) param(n nn.Node, name string) *torch.Tensor { return p.weights[n.Key+"."+name] }

func (p *pass) compute(n nn.Node) *torch.Tensor {
	s, x := p.s, p.values[n.In[0]]
	switch n.Op {
	case nn.Conv:
		return p.conv(n, x)
	case nn.BatchNorm:
		if p.WatchBatchNorm != nil {
			p.WatchBatchNorm(s, n, x)
		}
		if p.mode == Training && p.Group != nil {
			return p.batchNorm(n, x)
		}
		if p.mode == Training && x != nil && x.Numel() == x.Dim(1) {
			s.Fail(fmt.Errorf("batch norm %s sees one value of each channel, which has no variance; train with 2 pictures or more in a batch", n.Key))
		}
		return s.BatchNorm(x, p.param(n, "weight"), p.param(n, "bias"),
			p.param(n, "running_mean"), p.param(n, "running_var"), p.mode == Training, batchNormMomentum, nn.NormEps)
	case nn.InstNorm:
		if n.Affine {
			return s.InstanceNorm(x, p.param(n, "weight"), p.param(n, "bias"), nn.NormEps)
		}
		return s.InstanceNorm(x, nil, nil, nn.NormEps)
	case nn.SwitchWhiten:
		return p.affine(n, whiten.Switchable{
			MeanWeight: p.param(n, "sw_mean_weight"), CovWeight: p.param(n, "sw_var_weight"),
			RunningMean: p.param(n, "running_mean"), RunningCov: p.param(n, "running_cov"), Group: p.Group,
		}.Apply(s, x, p.mode == Training))
	case nn.IterWhiten:
		return p.affine(n, whiten.Iterative{
			RunningMean: p.param(n, "running_mean"), RunningWhitener: p.param(n, "running_wm"), Group: p.Group,
		}.Apply(s, x, p.mode == Training))
	case nn.Affine:
		return p.affine(n, x)
	case nn.ReLU:
		if p.mayOverwrite(n.In[0]) {
			return s.ReLUInPlace(x)
		}
		return s.ReLU(x)
	case nn.ReLU6:
		if p.mayOverwrite(n.In[0]) {
			return s.ReLU6InPlace(x)
		}
		return s.ReLU6(x)
	case nn.MaxPool:
		return s.MaxPool2D(x, 3, 2, 1)
	case nn.GlobalPool:
		return s.GlobalAvgPool(x)
	case nn.Resize:
		return p.resize(x, p.values[n.In[1]])
	case nn.Concat:
		var xs []*torch.Tensor
		for _, in := range n.In {
			xs = append(xs, p.values[in])
		}
		return s.Concat(1, xs...)
	case nn.Add:
		return p.add(n.In[0], n.In[1])
	case nn.Split:
		return s.Narrow(x, 1, n.From, n.Channels)
	case nn.Shuffle:
		return p.shuffle(x, n.Group)
	case nn.DropChannels:
		return p.dropChannels(x)
	}
	s.Fail(fmt.Errorf("forward: operator %q is unknown", n.Op))
	return nil
}

// conv, unless it is to be literal, leaves out the rows and columns of a dilated kernel that
// would only ever meet padding, because the map is no larger than the dilation: with crops of
// 256 pixels, eight ninths of the ASPP's widest branch.
func (p *pass) conv(n nn.Node, x *torch.Tensor) *torch.Tensor {
	c := n.Conv
	bias := (*torch.Tensor)(nil)
	x, kernel := p.round(n, x, p.param(n, "weight"))
	if c.Bias {
		bias = p.param(n, "bias")
	}
	conv := torch.Conv{Stride: c.Stride, Padding: [2]int{c.Padding, c.Padding}, Dilation: c.Dilation, Groups: c.Groups}
	for axis := range conv.Padding {
		if !p.Literal && c.Kernel == 3 && c.Stride == 1 && c.Padding == c.Dilation && x.Dim(2+axis) <= c.Dilation {
			kernel = p.s.Narrow(kernel, 2+axis, 1, 1)
			conv.Padding[axis] = 0
		}
	}
	return p.s.Conv2D(x, kernel, bias, conv)
}

// shuffle deals the channels of each group out in turn. libtorch 1.13 has no gradient of its
// own channel_shuffle.
func (p *pass) shuffle(x *torch.Tensor, groups int) *torch.Tensor {
	b, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	x = p.s.Transpose(p.s.Reshape(x, b, groups, c/groups, h, w), 1, 2)
	return p.s.Reshape(x, b, c, h, w)
}

// affine scales and shifts each channel.
func (p *pass) affine(n nn.Node, x *torch.Tensor) *torch.Tensor {
	scale := p.s.Reshape(p.param(n, "weight"), 1, n.Channels, 1, 1)
	shift := p.s.Reshape(p.param(n, "bias"), 1, n.Channels, 1, 1)
	return p.s.Add(p.s.Mul(x, scale), shift)
}

func (p *pass) resize(x, like *torch.Tensor) *torch.Tensor {
	h, w := like.Dim(2), like.Dim(3)
	if !p.Literal && x.Dim(2) == 1 && x.Dim(3) == 1 {
		return p.s.Expand(x, x.Dim(0), x.Dim(1), h, w)
	}
	return p.s.ResizeBilinear(x, h, w)
}

func (p *pass) add(a, b int) *torch.Tensor {
	x, y := p.roundedSkip(a, b)
	switch {
	case x == p.values[a] && p.mayOverwrite(a):
		return p.s.Call("add_.Tensor", x, y)
	case y == p.values[b] && p.mayOverwrite(b):
		return p.s.Call("add_.Tensor", y, x)
	}
	return p.s.Add(x, y)
}
