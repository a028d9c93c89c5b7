package nn

import (
	"fmt"
	"strings"
)

// Op is what a node computes from its inputs, feature maps of shape [B, C, H, W].
type Op string

// The operators.
const (
	Input        Op = "input"               // the normalised picture [B, 3, H, W]
	Conv         Op = "conv"                // Node.Conv says which
	BatchNorm    Op = "batch norm"          // eps 1e-5, momentum 0.1, scale and shift
	InstNorm     Op = "instance norm"       // eps 1e-5, statistics of the picture itself; scale and shift if Node.Affine
	SwitchWhiten Op = "switch whiten"       // Switchable Whitening (Pan et al., ICCV 2019) of groups of Node.Group channels
	IterWhiten   Op = "iter norm"           // IterNorm (Huang et al., CVPR 2019) of groups of Node.Group channels
	Affine       Op = "affine"              // a scale and a shift for each channel
	ReLU         Op = "relu"                //
	ReLU6        Op = "relu6"               // min(max(x, 0), 6)
	MaxPool      Op = "max pool"            // 3×3, stride 2, padding 1
	GlobalPool   Op = "global average pool" // to 1×1
	Resize       Op = "resize"              // In[0] to the height and width of In[1]: bilinear, align_corners
	Concat       Op = "concat"              // of channels
	Add          Op = "add"                 //
	Split        Op = "split"               // Channels channels from Node.From on
	Shuffle      Op = "channel shuffle"     // of Node.Group groups
	DropChannels Op = "drop channels"       // in training: dropout of whole channels, p = 0.1
)

const (
	// NormEps is what every norm adds to variances, as in PyTorch.
	NormEps = 1e-5
	// NewtonSteps is the number of Newton's iterations in which SwitchWhiten and IterWhiten
	// approach the inverse square root of a covariance.
	NewtonSteps = 5
)

// ConvSpec describes a convolution with a square kernel.
type ConvSpec struct {
	Kernel, Stride, Padding, Dilation, Groups int
	Bias                                      bool
}

// Node is one layer of a network.
type Node struct {
	Op Op
	// In are the nodes it reads, by their places in [Network.Nodes]; all are before it.
	In []int
	// Key is the name that its parameters begin with in a checkpoint; empty without parameters.
	Key string
	// Channels is the number of output channels.
	Channels int
	Conv     ConvSpec
	Group    int
	From     int
	Affine   bool
}

// Tap is a shallow feature at one of the places of a [Placement].
type Tap struct {
	// Name is the key of the block that the tap is the end of, such as "layer1.4".
	Name string
	// Place is the index in the placement, and Norm what stands there.
	Place int
	Norm  Norm
	// Before is the node that the norm reads; without a norm it is the feature itself.
	Before int
	// After is the node whose output the whitening loss is about, the norm's as a rule. It
	// equals Before without a norm.
	After int
	// Channels is the number of channels.
	Channels int
}

// Network is a graph of layers.
type Network struct {
	Spec Spec
	// Nodes are in an order in which they can be computed. The first is the input.
	Nodes []Node
	// Scores is the node of the class scores at the decoder's resolution, and Logits the
	// same at the size of the input.
	Scores, Logits int
	// Aux is the node of the auxiliary class scores, used in training only.
	Aux int
	// Low and Deep are the features that the decoder and the ASPP read.
	Low, Deep int
	// Taps are the places of the trunk that have a norm, in the order of the data flow. A
	// network without any has the stem and the ends of the first two stages, for style
	// statistics.
	Taps []Tap
	// Idle are parameters that published checkpoints hold and no node uses: batch norms of
	// ShuffleNetV2 in whose place an instance norm stands.
	Idle []Param
}

// New builds the network, or says what is wrong with the specification.
func New(spec Spec) (*Network, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("build network: %w", err)
	}
	b := &builder{net: &Network{Spec: spec}}
	image := b.add(Node{Op: Input, Channels: 3})
	var f features
	switch spec.Trunk {
	case MobileNetV2:
		f = b.mobileNetV2(image)
	case ResNet50:
		f = b.resNet(image, 3, 4, 6, 3)
	case ResNet101:
		f = b.resNet(image, 3, 4, 23, 3)
	case ShuffleNetV2:
		f = b.shuffleNetV2(image)
	}
	b.net.Low, b.net.Deep = f.low, f.deep
	if spec.Head == LiteHead {
		b.net.Scores = b.liteHead(f)
	} else {
		b.net.Scores = b.paperHead(f)
	}
	b.net.Logits = b.resize(b.net.Scores, image)
	b.net.Aux = b.auxHead(f.aux)
	b.chooseTaps()
	return b.net, nil
}

// features are what heads need from a trunk.
type features struct {
	low, aux, deep int
}

// builder appends nodes to a network; its methods return the new node.
type builder struct {
	net    *Network
	places []Tap // places that have no norm
}

func (b *builder) add(n Node) int {
	b.net.Nodes = append(b.net.Nodes, n)
	return len(b.net.Nodes) - 1
}

func (b *builder) channels(x int) int { return b.net.Nodes[x].Channels }

// conv adds a convolution. Zero fields of c mean stride 1, dilation 1, one group.
func (b *builder) conv(key string, x, out int, c ConvSpec) int {
	c.Stride, c.Dilation, c.Groups = max(c.Stride, 1), max(c.Dilation, 1), max(c.Groups, 1)
	return b.add(Node{Op: Conv, In: []int{x}, Key: key, Channels: out, Conv: c})
}

// conv1 adds a 1×1 convolution without bias.
func (b *builder) conv1(key string, x, out int) int {
	return b.conv(key, x, out, ConvSpec{Kernel: 1})
}

// conv3 adds a 3×3 convolution without bias that keeps the size at stride 1.
func (b *builder) conv3(key string, x, out, stride, dilation, groups int) int {
	return b.conv(key, x, out, ConvSpec{Kernel: 3, Stride: stride, Padding: dilation, Dilation: dilation, Groups: groups})
}

func (b *builder) batchNorm(key string, x int) int {
	return b.add(Node{Op: BatchNorm, In: []int{x}, Key: key, Channels: b.channels(x), Affine: true})
}

// unary adds a node without parameters that keeps the number of channels.
func (b *builder) unary(op Op, x int) int {
	return b.add(Node{Op: op, In: []int{x}, Channels: b.channels(x)})
}

func (b *builder) relu(x int) int  { return b.unary(ReLU, x) }
func (b *builder) relu6(x int) int { return b.unary(ReLU6, x) }

// normReLU adds a batch norm and a ReLU.
func (b *builder) normReLU(key string, x int) int { return b.relu(b.batchNorm(key, x)) }

func (b *builder) sum(x, y int) int {
	return b.add(Node{Op: Add, In: []int{x, y}, Channels: b.channels(x)})
}

func (b *builder) concat(xs ...int) int {
	n := 0
	for _, x := range xs {
		n += b.channels(x)
	}
	return b.add(Node{Op: Concat, In: xs, Channels: n})
}

func (b *builder) resize(x, like int) int {
	return b.add(Node{Op: Resize, In: []int{x, like}, Channels: b.channels(x)})
}

// place puts the norm of the placement behind x, the end of block name, with parameters at
// key, and returns the node that flows on: x itself where the placement has none.
func (b *builder) place(place int, name, key string, x int) int {
	norm := b.net.Spec.Placement[place]
	tap := Tap{Name: name, Place: place, Norm: norm, Before: x, After: x, Channels: b.channels(x)}
	if norm == NoNorm {
		b.places = append(b.places, tap)
		return x
	}
	n := Node{In: []int{x}, Key: key, Channels: b.channels(x), Affine: true}
	switch norm {
	case SwitchableWhitening:
		n.Op, n.Group = SwitchWhiten, largestDivisor(n.Channels, b.net.Spec.WhitenGroup)
	case IterativeNorm:
		n.Op, n.Group = IterWhiten, largestDivisor(n.Channels, b.net.Spec.WhitenGroup)
	default:
		n.Op, n.Affine = InstNorm, norm == AffineInstanceNorm
	}
	if n.Op == InstNorm && !n.Affine {
		n.Key = ""
	}
	x = b.add(n)
	tap.After = x
	b.net.Taps = append(b.net.Taps, tap)
	if norm.Collected() {
		x = b.rescale(key, x)
	}
	return x
}

// rescale adds what follows a whitening layer.
func (b *builder) rescale(key string, x int) int {
	switch b.net.Spec.Rescale {
	case AffineRescale:
		return b.add(Node{Op: Affine, In: []int{x}, Key: key + ".rescale", Channels: b.channels(x), Affine: true})
	case Conv1x1Rescale:
		return b.conv(key+".rescale", x, b.channels(x), ConvSpec{Kernel: 1, Bias: true})
	}
	return x
}

// chooseTaps gives networks without norms the published places as taps.
func (b *builder) chooseTaps() {
	if len(b.net.Taps) > 0 {
		return
	}
	for _, t := range b.places {
		if t.Place >= 2 && t.Place <= 4 {
			b.net.Taps = append(b.net.Taps, t)
		}
	}
}

// largestDivisor returns the largest divisor of n that is at most limit.
func largestDivisor(n, limit int) int {
	for d := min(n, limit); ; d-- {
		if n%d == 0 {
			return d
		}
	}
}

// Collected returns the taps that a whitening loss is about, in the order of the data flow.
func (n *Network) Collected() []Tap {
	var taps []Tap
	for _, t := range n.Taps {
		if t.Norm.Collected() {
			taps = append(taps, t)
		}
	}
	return taps
}

// Needed marks the nodes that the given ones depend on, themselves included.
func (n *Network) Needed(outputs ...int) []bool {
	needed := make([]bool, len(n.Nodes))
	for _, o := range outputs {
		needed[o] = true
	}
	for i := len(n.Nodes) - 1; i >= 0; i-- {
		if needed[i] {
			for _, in := range n.Nodes[i].In {
				needed[in] = true
			}
		}
	}
	return needed
}

// part returns the first word of a key, such as "layer0" or "aspp".
func part(key string) string {
	p, _, _ := strings.Cut(key, ".")
	return p
}
