package quantize

import (
	"github.com/robustnet-edge/robustnet/onnx"
)

// columns lets the first layer read several columns of the picture as one. The pixels of a row
// lie side by side, so that block columns of 3 channels are, as they lie, one column of 3·block
// channels. From these the layer computes the columns of its output that fall to them at once,
// each by outputs of its own, with weights that are zero where the kernel does not reach.
//
// ONNX Runtime copies what a convolution reads for each place of the kernel's rows and each
// column of the output. With 3 channels that takes longer than the products; so there are fewer
// and longer copies.
type columns struct {
	// block is the number of the picture's columns in one, outputs that of the output's.
	block, outputs int
	// first and last are the blocks that an output reads, counted from its own.
	first, last int
	kernel      window
	pads        []int64 // of the layer's node
}

// columnsOf returns how the layer reads a picture of this width, nil if column by column.
func columnsOf(l *layer, width int) *columns {
	pads := onnx.AttributeOf(l.node, "pads", []int64{0, 0, 0, 0})
	if onnx.AttributeOf(l.node, "auto_pad", "NOTSET") != "NOTSET" || len(pads) != 4 || pads[1] != pads[3] || pads[1] < 0 || l.groups() != 1 {
		return nil
	}
	w := l.window(1, width)
	stride := w.stride[1]
	c := &columns{block: 2 * stride, outputs: 2, kernel: w, pads: pads}
	if stride < 2 || width%c.block != 0 || w.outWidth*stride != width {
		return nil
	}
	c.first = c.blockOf(-w.pad[1])
	c.last = c.blockOf((c.outputs-1)*stride + (w.kernel[1]-1)*w.dilation[1] - w.pad[1])
	return c
}

// blockOf returns the block in which a column lies, counted from that with column 0.
func (c *columns) blockOf(column int) int {
	block := column / c.block
	if column < block*c.block {
		block--
	}
	return block
}

// widen returns the layer as it reads blocks, for a copy of its node, whose attributes it sets.
func (c *columns) widen(l *layer, n *onnx.Node) *layer {
	rows, width := int(l.shape[2]), c.last-c.first+1
	wide := *l
	wide.node = n
	wide.shape = []int64{int64(c.outputs) * l.shape[0], int64(c.block) * l.shape[1], l.shape[2], int64(width)}
	wide.weight = make([]float32, c.outputs*l.outputs()*c.block*int(l.shape[1])*rows*width)
	wide.bias = nil
	for column := range c.outputs {
		wide.bias = append(wide.bias, l.bias...)
		for at, v := range l.weight {
			kx, rest := at%int(l.shape[3]), at/int(l.shape[3])
			ky, rest := rest%rows, rest/rows
			channel, output := rest%int(l.shape[1]), rest/int(l.shape[1])
			x := column*c.kernel.stride[1] + kx*c.kernel.dilation[1] - c.kernel.pad[1]
			block := c.blockOf(x)
			channel += (x - block*c.block) * int(l.shape[1])
			output += column * l.outputs()
			wide.weight[((output*int(wide.shape[1])+channel)*rows+ky)*width+block-c.first] = v
		}
	}
	w := c.kernel
	n.SetAttribute(onnx.Ints("kernel_shape", l.shape[2], int64(width)))
	n.SetAttribute(onnx.Ints("strides", int64(w.stride[0]), 1))
	n.SetAttribute(onnx.Ints("dilations", int64(w.dilation[0]), 1))
	n.SetAttribute(onnx.Ints("pads", c.pads[0], int64(-c.first), c.pads[2], int64(c.last)))
	return &wide
}

// join adds the node that makes blocks of the picture's columns, and returns its output.
func (e *emitter) join(c *columns, image string) string {
	shape := e.Initializer(onnx.NewTensor(image+"/blocks/shape", []int64{0, 0, -1, int64(3 * c.block)}, 4))
	return e.Node("Reshape", image+"/blocks", []string{image, shape})
}

// part puts the columns of a tensor that the layer has computed together where they belong, and
// returns its levels. ONNX Runtime keeps them with channels last, so that nothing is moved.
func (e *emitter) part(c *columns, l *layer, name, levels string) string {
	shape := e.Initializer(onnx.NewTensor(name+"/columns/shape", []int64{0, 0, -1, l.shape[0]}, 4))
	last := e.Node("Transpose", name+"/blocks", []string{levels}, onnx.Ints("perm", 0, 2, 3, 1))
	parted := e.Node("Reshape", name+"/columns", []string{last, shape})
	return e.Node("Transpose", name+"/parted", []string{parted}, onnx.Ints("perm", 0, 3, 1, 2))
}
