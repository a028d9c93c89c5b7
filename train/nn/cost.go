package nn

import "fmt"

// Size is the height and width of a feature map, in pixels.
type Size struct{ Height, Width int }

// LayerCost is what one node takes at a given input size, for one picture.
type LayerCost struct {
	Node Node
	// Part is the block that the node belongs to: trunk, aspp, bot_aspp, …
	Part string
	// Out is the size of its output.
	Out Size
	// Params counts its trained values.
	Params int
	// MACs counts the multiply-accumulates of convolutions; other nodes have none.
	MACs int64
}

// Cost returns the cost of every node, in order, for one picture of the given size, 1 to 65536
// pixels each way.
func (n *Network) Cost(size Size) ([]LayerCost, error) {
	if size.Height < 1 || size.Width < 1 || size.Height > 1<<16 || size.Width > 1<<16 {
		return nil, fmt.Errorf("cost at %d×%d: height and width are 1 to 65536 pixels", size.Height, size.Width)
	}
	sizes := n.Sizes(size)
	costs := make([]LayerCost, len(n.Nodes))
	for i, node := range n.Nodes {
		c := LayerCost{Node: node, Part: n.PartOf(i), Out: sizes[i]}
		for _, p := range n.NodeParams(node) {
			if p.Role.Buffer() {
				continue
			}
			c.Params += p.Count()
			if p.Role == Kernel {
				c.MACs = int64(p.Count()) * int64(c.Out.Height) * int64(c.Out.Width)
			}
		}
		costs[i] = c
	}
	return costs, nil
}

// Sizes returns the size of every node's output for inputs of the given size.
func (n *Network) Sizes(input Size) []Size {
	sizes := make([]Size, len(n.Nodes))
	for i, node := range n.Nodes {
		switch node.Op {
		case Input:
			sizes[i] = input
		case Conv:
			sizes[i] = slide(sizes[node.In[0]], node.Conv)
		case MaxPool:
			sizes[i] = slide(sizes[node.In[0]], ConvSpec{Kernel: 3, Stride: 2, Padding: 1, Dilation: 1})
		case GlobalPool:
			sizes[i] = Size{1, 1}
		case Resize:
			sizes[i] = sizes[node.In[1]]
		default:
			sizes[i] = sizes[node.In[0]]
		}
	}
	return sizes
}

// slide returns how often a kernel fits.
func slide(in Size, c ConvSpec) Size {
	fit := func(n int) int { return (n+2*c.Padding-c.Dilation*(c.Kernel-1)-1)/c.Stride + 1 }
	return Size{fit(in.Height), fit(in.Width)}
}

// PartOf returns the block of node i: "trunk", or the head's "aspp", "bot_aspp", … Nodes
// without parameters belong to the block of what they read.
func (n *Network) PartOf(i int) string {
	for n.Nodes[i].Key == "" && len(n.Nodes[i].In) > 0 {
		i = n.Nodes[i].In[0]
	}
	switch p := part(n.Nodes[i].Key); p {
	case "", "layer0", "layer1", "layer2", "layer3", "layer4":
		return "trunk"
	default:
		return p
	}
}
