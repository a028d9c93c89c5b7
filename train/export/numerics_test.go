package export_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// answer is what a model says about a picture.
type answer struct {
	mask          []uint8
	style, logits []float32
}

// infer runs a model with all outputs in ONNX Runtime.
func infer(tb testing.TB, file, picture []byte, size nn.Size) answer {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	onnxruntime_go.SetSharedLibraryPath(trttest.Library(tb))
	must(onnxruntime_go.InitializeEnvironment())
	defer onnxruntime_go.DestroyEnvironment()
	session, err := onnxruntime_go.NewDynamicAdvancedSessionWithONNXData(file, []string{"image"}, []string{"mask", "style", "logits"}, nil)
	must(err)
	defer session.Destroy()
	in, err := onnxruntime_go.NewTensor(onnxruntime_go.NewShape(1, int64(size.Height), int64(size.Width), 3), picture)
	must(err)
	defer in.Destroy()
	out := make([]onnxruntime_go.Value, 3)
	must(session.Run([]onnxruntime_go.Value{in}, out))
	var a answer
	a.mask = append(a.mask, out[0].(*onnxruntime_go.Tensor[uint8]).GetData()...)
	a.style = append(a.style, out[1].(*onnxruntime_go.Tensor[float32]).GetData()...)
	a.logits = append(a.logits, out[2].(*onnxruntime_go.Tensor[float32]).GetData()...)
	for _, v := range out {
		must(v.Destroy())
	}
	return a
}

// truth computes the same with libtorch, or skips.
func truth(tb testing.TB, net *nn.Network, state nn.State, picture []byte, size nn.Size) answer {
	tb.Helper()
	var a answer
	err := torchtest.Library(tb).Run(torch.Options{Threads: 2}, func(s *torch.Scope) error {
		m, err := model.New(s, net, state)
		if err != nil {
			return err
		}
		nodes := []int{net.Scores}
		for _, t := range net.Taps {
			nodes = append(nodes, t.Before)
		}
		s.NoGrad(func(s *torch.Scope) {
			x := s.FromFloat32(normalised(picture, size), 1, 3, size.Height, size.Width)
			features := m.Forward(s, x, model.Inference, nodes...)
			a.logits = s.Float32s(s.ResizeBilinear(features[0], size.Height/2, size.Width/2))
			for i, t := range net.Taps {
				a.style = append(a.style, statistics(s.Float32s(features[1+i]), t.Channels)...)
			}
		})
		return s.Err()
	})
	if err != nil {
		tb.Fatal(err)
	}
	a.mask = best(a.logits, net.Spec.Classes)
	return a
}

// normalised returns the planes of a picture as ImageNet's trunks expect them.
func normalised(picture []byte, size nn.Size) []float32 {
	mean, deviation := [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
	pixels := size.Height * size.Width
	planes := make([]float32, 3*pixels)
	for i := range planes {
		c := i / pixels
		planes[i] = (float32(picture[i%pixels*3+c])/255 - mean[c]) / deviation[c]
	}
	return planes
}

// statistics returns means and standard deviations of channels, by definition.
func statistics(x []float32, channels int) []float32 {
	n := len(x) / channels
	style := make([]float32, 2*channels)
	for c := range channels {
		sum, squares := 0.0, 0.0
		for _, v := range x[c*n:][:n] {
			sum += float64(v)
		}
		mean := sum / float64(n)
		for _, v := range x[c*n:][:n] {
			squares += (float64(v) - mean) * (float64(v) - mean)
		}
		style[c], style[channels+c] = float32(mean), float32(math.Sqrt(squares/float64(n)))
	}
	return style
}

// best returns the class of the highest score of each pixel.
func best(logits []float32, classes int) []uint8 {
	pixels := len(logits) / classes
	mask := make([]uint8, pixels)
	for i := range mask {
		for c := range classes {
			if logits[c*pixels+i] > logits[int(mask[i])*pixels+i] {
				mask[i] = uint8(c)
			}
		}
	}
	return mask
}

// difference is the largest one, relative to the largest value.
func difference(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	largest, off := 0.0, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		off = max(off, math.Abs(float64(got[i])-float64(w)))
	}
	return off / largest
}

// A model must compute what was trained, whatever was folded, at sizes that no stride
// divides, and at the smallest, where dilated kernels reach beyond the map.
func TestModelEqualsTorch(t *testing.T) {
	for name, spec := range specs() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && spec.Trunk != nn.MobileNetV2 {
				t.Skip("it takes seconds")
			}
			net := build(t, spec)
			state := weights(net)
			compare(t, net, state, nn.Size{Height: 97, Width: 131})
			if spec.Width < 1 {
				compare(t, net, state, nn.Size{Height: 2*spec.OutputStride + 1, Width: 2 * spec.OutputStride})
			}
		})
	}
}

func compare(t *testing.T, net *nn.Network, state nn.State, size nn.Size) {
	t.Helper()
	trttest.Library(t)
	picture := make([]byte, size.Height*size.Width*3)
	rng := rand.New(rand.NewPCG(4, 5))
	for i := range picture {
		picture[i] = uint8(rng.UintN(256))
	}
	want := truth(t, net, state, picture, size)
	m, err := export.Model(net, state, options(net.Spec, size.Height, size.Width))
	if err != nil {
		t.Fatal(err)
	}
	got := infer(t, marshal(t, m), picture, size)
	if d := difference(got.logits, want.logits); !(d <= 1e-4) {
		t.Errorf("size %v: logits differ by %.1e of the largest, want at most 1e-4", size, d)
	}
	if d := difference(got.style, want.style); !(d <= 1e-5) {
		t.Errorf("size %v: style differs by %.1e of the largest, want at most 1e-5", size, d)
	}
	same := 0
	for i := range want.mask {
		if got.mask[i] == want.mask[i] {
			same++
		}
	}
	if float64(same) < 0.9999*float64(len(want.mask)) {
		t.Errorf("size %v: %d of %d pixels of the mask are the same, want 99.99 %%", size, same, len(want.mask))
	}
}

// TestUnfoldedNorm has a convolution that is read by others than its norm, so that the norm
// must stay a layer: scores = conv + norm(conv).
func TestUnfoldedNorm(t *testing.T) {
	conv := nn.ConvSpec{Kernel: 1, Stride: 1, Dilation: 1, Groups: 1, Bias: true}
	net := &nn.Network{
		Spec: nn.Spec{Trunk: "tiny", OutputStride: 1, Classes: 2},
		Nodes: []nn.Node{
			{Op: nn.Input, Channels: 3},
			{Op: nn.Conv, In: []int{0}, Key: "conv", Channels: 2, Conv: conv},
			{Op: nn.BatchNorm, In: []int{1}, Key: "norm", Channels: 2, Affine: true},
			{Op: nn.Add, In: []int{1, 2}, Channels: 2},
		},
		Scores: 3,
		Taps:   []nn.Tap{{Name: "norm", Before: 2, Channels: 2}},
	}
	vector := func(v ...float32) nn.Array { return nn.Array{Shape: []int{len(v)}, Data: v} }
	state := nn.State{
		// of a grey picture of level 255·mean, which is normalised to 0, only biases are left
		"conv.weight": {Shape: []int{2, 3, 1, 1}, Data: make([]float32, 6)}, "conv.bias": vector(3, -1),
		"norm.weight": vector(2, 1), "norm.bias": vector(0.5, 4),
		"norm.running_mean": vector(1, 1), "norm.running_var": vector(4-1e-5, 1-1e-5),
	}
	m, err := export.Model(net, state, options(net.Spec, 4, 6))
	if err != nil {
		t.Fatal(err)
	}
	got := infer(t, marshal(t, m), make([]byte, 4*6*3), nn.Size{Height: 4, Width: 6})
	// norm: (3−1)/2·2 + 0.5 = 2.5 and (−1−1)/1·1 + 4 = 2; scores: 5.5 and 1
	if d := difference(got.style, []float32{2.5, 2, 0, 0}); !(d < 1e-6) {
		t.Errorf("style %v, want [2.5 2 0 0]", got.style)
	}
	if d := difference(got.logits, []float32{5.5, 5.5, 5.5, 5.5, 5.5, 5.5, 1, 1, 1, 1, 1, 1}); !(d < 1e-6) {
		t.Errorf("logits %v, want six of 5.5 and six of 1", got.logits)
	}
}
