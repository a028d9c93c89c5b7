package nn

import "slices"

// Role is what a parameter or buffer is for.
type Role string

// The roles. The last four are buffers, which gradients do not reach.
const (
	Kernel          Role = "kernel"           // of a convolution: [out, in/groups, kernel, kernel]
	Bias            Role = "bias"             // of a convolution: [out]
	Scale           Role = "scale"            // of a norm: [channels]
	Shift           Role = "shift"            // of a norm: [channels]
	MixWeight       Role = "mix weight"       // of switchable whitening: batch, instance, before the softmax
	RunningMean     Role = "running mean"     // of a norm
	RunningVar      Role = "running var"      // of a norm: [channels]
	RunningCov      Role = "running cov"      // of switchable whitening: [groups, c, c]
	RunningWhitener Role = "running whitener" // of IterNorm: [groups, c, c]
)

// Buffer says whether the role is that of statistics, which are not trained.
func (r Role) Buffer() bool {
	return slices.Contains([]Role{RunningMean, RunningVar, RunningCov, RunningWhitener}, r)
}

// Param is a parameter or buffer of a network.
type Param struct {
	Key   string
	Shape []int
	Role  Role
}

// Count returns the number of values.
func (p Param) Count() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Params returns the parameters and buffers in the order of the nodes, the idle ones last.
func (n *Network) Params() []Param {
	var all []Param
	for _, node := range n.Nodes {
		all = append(all, n.NodeParams(node)...)
	}
	return append(all, n.Idle...)
}

// NodeParams returns the parameters and buffers of one node.
func (n *Network) NodeParams(node Node) []Param {
	in := 0
	if len(node.In) > 0 {
		in = n.Nodes[node.In[0]].Channels
	}
	return node.params(in)
}

// params returns the node's parameters, for a number of input channels.
func (n Node) params(in int) []Param {
	p := func(name string, role Role, shape ...int) Param {
		return Param{Key: n.Key + "." + name, Shape: shape, Role: role}
	}
	c := n.Channels
	var ps []Param
	switch n.Op {
	case Conv:
		ps = append(ps, p("weight", Kernel, c, in/n.Conv.Groups, n.Conv.Kernel, n.Conv.Kernel))
		if n.Conv.Bias {
			ps = append(ps, p("bias", Bias, c))
		}
	case SwitchWhiten:
		ps = append(ps, p("sw_mean_weight", MixWeight, 2), p("sw_var_weight", MixWeight, 2))
	}
	if n.Affine {
		ps = append(ps, p("weight", Scale, c), p("bias", Shift, c))
	}
	switch n.Op {
	case BatchNorm:
		ps = append(ps, p("running_mean", RunningMean, c), p("running_var", RunningVar, c))
	case SwitchWhiten:
		ps = append(ps, p("running_mean", RunningMean, c/n.Group, n.Group, 1), p("running_cov", RunningCov, c/n.Group, n.Group, n.Group))
	case IterWhiten:
		ps = append(ps, p("running_mean", RunningMean, c/n.Group, n.Group, 1), p("running_wm", RunningWhitener, c/n.Group, n.Group, n.Group))
	}
	return ps
}

// CountParams returns the number of trained values, of the whole network and without the
// auxiliary head, which inference does not need. Idle parameters count, as they do in the
// published figures.
func (n *Network) CountParams() (train, inference int) {
	for _, p := range n.Params() {
		if p.Role.Buffer() {
			continue
		}
		train += p.Count()
		if part(p.Key) != "dsn" {
			inference += p.Count()
		}
	}
	return train, inference
}
