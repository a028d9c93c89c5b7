package quantize

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/onnx"
)

// convolve computes a convolution of pixels, rows of columns of channels, by its definition.
func convolve(l *layer, pixels []float32, height, width int) (out []float32, columns int) {
	channels := int(l.shape[1])
	attribute := func(name string) []int64 { return onnx.AttributeOf[[]int64](l.node, name, nil) }
	stride, dilation, pads := attribute("strides"), attribute("dilations"), attribute("pads")
	size := func(of, axis int) int {
		return (of+int(pads[axis]+pads[axis+2])-int(dilation[axis]*(l.shape[2+axis]-1))-1)/int(stride[axis]) + 1
	}
	rows, columns := size(height, 0), size(width, 1)
	for y := range rows {
		for x := range columns {
			for o := range l.outputs() {
				sum := l.bias[o]
				for at, w := range l.weight[o*l.perOutput() : (o+1)*l.perOutput()] {
					kx, ky, c := at%int(l.shape[3]), at/int(l.shape[3])%int(l.shape[2]), at/int(l.shape[3]*l.shape[2])
					iy := y*int(stride[0]) - int(pads[0]) + ky*int(dilation[0])
					ix := x*int(stride[1]) - int(pads[1]) + kx*int(dilation[1])
					if iy >= 0 && iy < height && ix >= 0 && ix < width {
						sum += w * pixels[(iy*width+ix)*channels+c]
					}
				}
				out = append(out, sum)
			}
		}
	}
	return out, columns
}

// TestColumns wants the outputs of a layer from one that reads several columns at a time: with
// channels last they lie in the same order.
func TestColumns(t *testing.T) {
	const height = 7
	taken := 0
	for _, kernel := range []int64{1, 2, 3, 5, 7} {
		for _, stride := range []int64{1, 2, 3} {
			for _, dilation := range []int64{1, 2} {
				for pad := int64(0); pad < 7; pad++ {
					for _, width := range []int{12, 14, 24, 25} {
						l := stem(kernel, stride, dilation, pad)
						c := columnsOf(l, width)
						if c == nil {
							continue
						}
						taken++
						pixels := integers(rand.New(rand.NewPCG(3, uint64(width))), 3*height*width)
						want, columns := convolve(l, pixels, height, width)
						wide := c.widen(l, l.node.Clone())
						got, blocks := convolve(wide, pixels, height, width/c.block)
						if blocks*c.outputs != columns || !slices.Equal(got, want) {
							t.Fatalf("kernel %d, stride %d, dilation %d, pad %d, width %d: %d blocks for %d columns, or other values", kernel, stride, dilation, pad, width, blocks, columns)
						}
					}
				}
			}
		}
	}
	if taken < 20 {
		t.Errorf("%d of the layers read several columns at a time, want 20 or more", taken)
	}
	for name, change := range map[string]func(l *layer){
		"pads that differ":    func(l *layer) { l.node.SetAttribute(onnx.Ints("pads", 1, 1, 1, 0)) },
		"pads of another way": func(l *layer) { l.node.SetAttribute(onnx.Attribute{Name: "auto_pad", Value: "SAME_UPPER"}) },
		"negative pads":       func(l *layer) { l.node.SetAttribute(onnx.Ints("pads", 0, -1, 0, -1)) },
		"two groups":          func(l *layer) { l.node.SetAttribute(onnx.Int("group", 2)) },
	} {
		l := stem(3, 2, 1, 1)
		if change(l); columnsOf(l, 24) != nil {
			t.Errorf("a layer with %s reads several columns at a time", name)
		}
	}
	if c := columnsOf(stem(3, 2, 1, 1), 480); c == nil || c.block != 4 || c.first != -1 || c.last != 0 {
		t.Errorf("MobileNetV2's first layer reads %+v, want blocks of 4 columns, the one before and its own", c)
	}
}

// stem is a layer of 3 channels with whole numbers as weights, so that sums are exact.
func stem(kernel, stride, dilation, pad int64) *layer {
	l := &layer{node: &onnx.Node{Name: fmt.Sprint("stem", kernel), Op: "Conv", Attributes: []onnx.Attribute{
		onnx.Ints("strides", stride, stride), onnx.Ints("dilations", dilation, dilation), onnx.Ints("pads", pad, pad, pad, pad)}},
		shape: []int64{4, 3, kernel, kernel}}
	rng := rand.New(rand.NewPCG(1, uint64(kernel)))
	l.weight, l.bias = integers(rng, int(12*kernel*kernel)), integers(rng, 4)
	return l
}

func integers(rng *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.IntN(255) - 127)
	}
	return values
}
