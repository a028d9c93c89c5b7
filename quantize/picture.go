package quantize

import (
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// picture is the way from the bytes of a camera picture to the tensor that the first layer
// reads: planes of scale·byte + shift for each of the three channels.
type picture struct {
	// input is the graph's input, uint8 [1, H, W, 3], and tensor what the layer reads.
	input, tensor string
	stem          *layer
	scale, shift  [3]float64
	nodes         []*onnx.Node // from the input on
}

// findPicture recognises Transpose, Cast and arithmetic with constants between the input and a
// single layer, nil if there is anything else.
func (net *Network) findPicture() *picture {
	g := net.model.Graph
	if len(g.Inputs) != 1 || g.Inputs[0].Elem != onnx.Uint8 {
		return nil
	}
	p := &picture{input: g.Inputs[0].Name, scale: [3]float64{1, 1, 1}}
	planes, cast := false, false
	for tensor := p.input; ; {
		n := net.index.OnlyReader(tensor)
		switch {
		case n == nil || len(n.Outputs) != 1:
			return nil
		case is(n, "Transpose") && !planes && slices.Equal(onnx.AttributeOf[[]int64](n, "perm", nil), []int64{0, 3, 1, 2}):
			planes = true
		case is(n, "Cast") && !cast && onnx.ElemType(onnx.AttributeOf[int64](n, "to", 0)) == onnx.Float32:
			cast = true
		case cast && is(n, "Sub", "Add", "Mul", "Div") && n.Inputs[0] == tensor:
			constant, ok := net.channelConstant(n.Input(1), planes)
			if !ok {
				return nil
			}
			p.apply(n.Op, constant)
		case is(n, "Conv") && planes && cast:
			p.tensor, p.stem = tensor, net.byNode[n]
			if p.stem == nil || len(p.stem.shape) != 4 || p.stem.shape[1] != 3 || p.stem.head {
				return nil
			}
			return p
		default:
			return nil
		}
		p.nodes = append(p.nodes, n)
		tensor = n.Outputs[0]
	}
}

// channelConstant returns a constant that is one number or one for each channel.
func (net *Network) channelConstant(name string, planes bool) (c [3]float64, ok bool) {
	values := floats(net.index, name)
	switch len(values) {
	case 1:
		v := float64(values[0])
		return [3]float64{v, v, v}, true
	case 3:
		dims := net.index.Constant(name).Dims // of three values there is at least one
		if along := len(dims) - 1; planes != (along >= 2 && dims[along-2] == 3) || !planes && dims[along] != 3 {
			return c, false
		}
		return [3]float64{float64(values[0]), float64(values[1]), float64(values[2])}, true
	}
	return c, false
}

func (p *picture) apply(op string, constant [3]float64) {
	for c, v := range constant {
		switch op {
		case "Add":
			p.shift[c] += v
		case "Sub":
			p.shift[c] -= v
		case "Mul":
			p.scale[c], p.shift[c] = p.scale[c]*v, p.shift[c]*v
		case "Div":
			p.scale[c], p.shift[c] = p.scale[c]/v, p.shift[c]/v
		}
	}
}
