package export

import (
	"fmt"
	"math"
	"strings"

	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
)

// lowering turns a network's nodes into those of a graph.
type lowering struct {
	net   *nn.Network
	state nn.State
	sizes []nn.Size
	// readers are the nodes that read a node's output; reader outside stands for the style.
	readers [][]int
	// values are the tensors that hold the nodes' outputs; empty while there is none.
	values []string
	// means and centred are the channel means, and the feature without them, by node.
	means, centred map[int]string

	*onnx.Builder
	model *onnx.Model
	// constants are those that many nodes share.
	constants map[string]string
	errs      []error
}

// outside reads what leaves the network.
const outside = -1

func newLowering(net *nn.Network, state nn.State, o Options) *lowering {
	l := &lowering{
		net: net, state: state, sizes: net.Sizes(o.Size),
		readers: make([][]int, len(net.Nodes)), values: make([]string, len(net.Nodes)),
		means: map[int]string{}, centred: map[int]string{},
		model:     &onnx.Model{IR: 8, Opset: trt.Opset, Producer: "robustnet-train"},
		constants: map[string]string{},
	}
	l.model.Graph.Name = string(net.Spec.Trunk)
	l.Builder = onnx.NewBuilder(l.model)
	needed := []int{net.Scores}
	for _, t := range net.Taps {
		needed = append(needed, t.Before)
	}
	for i, yes := range net.Needed(needed...) {
		if yes {
			for _, in := range net.Nodes[i].In {
				l.readers[in] = append(l.readers[in], i)
			}
		}
	}
	for _, n := range needed {
		l.readers[n] = append(l.readers[n], outside)
	}
	return l
}

// network adds all nodes up to the class scores.
func (l *lowering) network() {
	for i := range l.net.Nodes {
		if len(l.readers[i]) > 0 && l.values[i] == "" {
			l.values[i] = l.lower(i)
		}
	}
}

// folded returns the node that alone reads node i, if it is of the given kind. Its output
// is then to be computed in place of that of i.
func (l *lowering) folded(i int, op nn.Op) (node nn.Node, ok bool) {
	if len(l.readers[i]) != 1 || l.readers[i][0] == outside {
		return node, false
	}
	node = l.net.Nodes[l.readers[i][0]]
	return node, node.Op == op
}

// lower adds what computes node i and returns the tensor with its output.
func (l *lowering) lower(i int) string {
	n := l.net.Nodes[i]
	var in []string
	for _, v := range n.In {
		in = append(in, l.values[v])
	}
	switch n.Op {
	case nn.Input:
		return l.picture()
	case nn.Conv:
		return l.conv(i, n)
	case nn.BatchNorm, nn.Affine:
		return l.scaleShift(n)
	case nn.InstNorm:
		return l.instanceNorm(i, n)
	case nn.SwitchWhiten:
		return l.switchWhiten(n)
	case nn.IterWhiten:
		return l.iterWhiten(n)
	case nn.ReLU:
		return l.Node("Relu", l.label(n), in)
	case nn.ReLU6:
		return l.Node("Clip", l.label(n), append(in, l.scalar(0), l.scalar(6)))
	case nn.MaxPool:
		return l.Node("MaxPool", l.label(n), in, onnx.Ints("kernel_shape", 3, 3), onnx.Ints("strides", 2, 2), onnx.Ints("pads", 1, 1, 1, 1))
	case nn.GlobalPool:
		return l.Node("GlobalAveragePool", l.label(n), in)
	case nn.Resize:
		return l.resize(l.label(n), n.In[0], l.sizes[i])
	case nn.Concat:
		return l.Node("Concat", l.label(n), in, onnx.Int("axis", 1))
	case nn.Add:
		return l.Node("Add", l.label(n), in)
	case nn.Split:
		return l.Node("Slice", l.label(n), append(in, l.ints(n.From), l.ints(n.From+n.Channels), l.ints(1)))
	case nn.Shuffle:
		return l.shuffle(n)
	case nn.DropChannels:
		return in[0]
	}
	l.errs = append(l.errs, fmt.Errorf("operator %q cannot be exported", n.Op))
	return ""
}

// label names a node: by its key in checkpoints or else by the layer that it follows.
func (l *lowering) label(n nn.Node) string {
	if n.Key != "" {
		return n.Key
	}
	layer, _, _ := strings.Cut(l.values[n.In[len(n.In)-1]], "/")
	return layer + "/" + strings.ReplaceAll(string(n.Op), " ", "_")
}

// picture adds the normalisation of the input.
func (l *lowering) picture() string {
	var shift, scale []float64
	for c := range nn.PictureMean {
		shift = append(shift, 255*nn.PictureMean[c])
		scale = append(scale, 1/(255*nn.PictureDeviation[c]))
	}
	size := l.sizes[0]
	image := l.Input(onnx.Value{Name: "image", Elem: onnx.Uint8, Shape: []int64{1, int64(size.Height), int64(size.Width), 3}})
	x := l.Node("Transpose", "image/planes", []string{image}, onnx.Ints("perm", 0, 3, 1, 2))
	x = l.Node("Cast", "image/float", []string{x}, onnx.Int("to", int64(onnx.Float32)))
	x = l.Node("Sub", "image/centred", []string{x, l.floats("image.mean", shift, 1, 3, 1, 1)})
	return l.Node("Mul", "image/normalised", []string{x, l.floats("image.scale", scale, 1, 3, 1, 1)})
}

// resize scales a feature map bilinearly so that the corners' centres stay where they are.
func (l *lowering) resize(name string, in int, to nn.Size) string {
	x, channels := l.values[in], l.net.Nodes[in].Channels
	switch shape := l.ints(1, channels, to.Height, to.Width); l.sizes[in] {
	case to:
		return x
	case nn.Size{Height: 1, Width: 1}:
		return l.Node("Expand", name, []string{x, shape})
	default:
		return l.Node("Resize", name, []string{x, "", "", shape},
			onnx.String("mode", "linear"), onnx.String("coordinate_transformation_mode", "align_corners"))
	}
}

// shuffle deals the channels of the groups out in turn. ONNX Runtime gathers faster than it
// transposes.
func (l *lowering) shuffle(n nn.Node) string {
	order := make([]int, n.Channels)
	for c := range order {
		order[c] = c%n.Group*(n.Channels/n.Group) + c/n.Group
	}
	return l.Node("Gather", l.label(n), []string{l.values[n.In[0]], l.ints(order...)}, onnx.Int("axis", 1))
}

func (l *lowering) reshape(name, x string, dims ...int) string {
	return l.Node("Reshape", name, []string{x, l.ints(dims...)})
}

// floats adds a constant. Values that float32 cannot hold are an error.
func (l *lowering) floats(name string, values []float64, dims ...int) string {
	rounded := make([]float32, len(values))
	for i, v := range values {
		rounded[i] = float32(v)
		if r := float64(rounded[i]); math.IsNaN(r) || math.IsInf(r, 0) {
			l.errs = append(l.errs, fmt.Errorf("weights %s: value %d becomes %v when norms are folded into it", name, i, v))
			break
		}
	}
	return l.Initializer(onnx.NewTensor(name, rounded, dims...))
}

// scalar returns a constant without dimensions.
func (l *lowering) scalar(v float64) string {
	return l.shared(onnx.NewTensor(fmt.Sprint(v), []float32{float32(v)}))
}

// ints returns a constant list of numbers.
func (l *lowering) ints(values ...int) string {
	wide := make([]int64, len(values))
	for i, v := range values {
		wide[i] = int64(v)
	}
	return l.shared(onnx.NewTensor(fmt.Sprint(values), wide, len(wide)))
}

// shared adds a constant unless there is one of the same name, which says its value.
func (l *lowering) shared(t *onnx.Tensor) string {
	if l.constants[t.Name] == "" {
		l.constants[t.Name] = l.Initializer(t)
	}
	return l.constants[t.Name]
}
