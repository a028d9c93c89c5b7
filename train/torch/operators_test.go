package torch_test

import (
	"math"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
)

// operatorTest is one operator with what Python's torch 1.13.1 computes.
type operatorTest struct {
	call  func(s *torch.Scope) *torch.Tensor
	shape []int
	want  []float64
}

func checkOperators(t *testing.T, tests map[string]operatorTest) {
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			run(t, func(s *torch.Scope) { near(t, name, s, c.call(s), c.shape, c.want) })
		})
	}
}

func TestLayers(t *testing.T) {
	x := func(s *torch.Scope) *torch.Tensor { return ramp(s, 1, 2, 3, 3) }
	m := func(s *torch.Scope) *torch.Tensor { return ramp(s, 2, 3) }
	checkOperators(t, map[string]operatorTest{
		"Conv2D": {func(s *torch.Scope) *torch.Tensor {
			bias := s.FromFloat32([]float32{.5, -1}, 2)
			return s.Conv2D(ramp(s, 1, 2, 5, 5), ramp(s, 2, 1, 3, 3), bias, torch.Conv{Stride: 2, Padding: [2]int{1, 1}, Dilation: 2, Groups: 2})
		}, []int{1, 2, 2, 2}, []float64{-0.6875, 1.5625, -0.8125, 1.4375, -1.4375, -2.9375, -1.8125, 0.125}},
		"Conv2D of zeros": {func(s *torch.Scope) *torch.Tensor {
			return s.Conv2D(x(s), ramp(s, 1, 2, 2, 2), nil, torch.Conv{})
		}, []int{1, 1, 2, 2}, []float64{-1.4375, -0.375, 1.0625, -0.625}},
		"Conv2D, padded above and below": {func(s *torch.Scope) *torch.Tensor {
			return s.Conv2D(ramp(s, 1, 1, 2, 3), ramp(s, 1, 1, 3, 2), nil, torch.Conv{Padding: [2]int{1, 0}})
		}, []int{1, 1, 2, 2}, []float64{-1.8125, 1.125, 0.875, -0.0625}},
		"InstanceNorm": {func(s *torch.Scope) *torch.Tensor { return s.InstanceNorm(x(s), nil, nil, 1e-3) },
			[]int{1, 2, 3, 3}, []float64{-0.7819204, 1.563841, 0.2234058, -1.117029, 1.228732, -0.1117029, -1.452138, 0.8936233, -0.4468116,
				-1.435491, 0.6676704, -0.5341364, 1.569026, 0.3672187, -0.8345881, 1.268574, 0.06676704, -1.13504}},
		"InstanceNorm scaled": {func(s *torch.Scope) *torch.Tensor {
			return s.InstanceNorm(x(s), s.FromFloat32([]float32{2, 3}, 2), s.FromFloat32([]float32{.5, -.5}, 2), 1e-3)
		}, []int{1, 2, 3, 3}, []float64{-1.063841, 3.627681, 0.9468116, -1.734058, 2.957464, 0.2765942, -2.404276, 2.287246, -0.3936233,
			-4.806474, 1.503011, -2.102409, 4.207077, 0.6016562, -3.003764, 3.305722, -0.2996989, -3.905119}},
		"ReLU":          {func(s *torch.Scope) *torch.Tensor { return s.ReLU(m(s)) }, []int{2, 3}, []float64{0, 1.25, .25, 0, 1, 0}},
		"ReLU6":         {func(s *torch.Scope) *torch.Tensor { return s.ReLU6(s.MulScalar(m(s), 8)) }, []int{2, 3}, []float64{0, 6, 2, 0, 6, 0}},
		"MaxPool2D":     {func(s *torch.Scope) *torch.Tensor { return s.MaxPool2D(x(s), 3, 2, 1) }, []int{1, 2, 2, 2}, []float64{1.25, 1.25, 1, 1, 1.25, 0.5, 1.25, 0.25}},
		"GlobalAvgPool": {func(s *torch.Scope) *torch.Tensor { return s.GlobalAvgPool(x(s)) }, []int{1, 2, 1, 1}, []float64{0.08333334, -0.05555556}},
		"ResizeBilinear": {func(s *torch.Scope) *torch.Tensor { return s.ResizeBilinear(ramp(s, 1, 1, 2, 2), 3, 4) },
			[]int{1, 1, 3, 4}, []float64{-0.5, 0.08333337, 0.6666667, 1.25, -0.125, 0, 0.125, 0.25, 0.25, -0.08333335, -0.4166667, -0.75}},
		"FeatureDropout, eval": {func(s *torch.Scope) *torch.Tensor { return s.FeatureDropout(m(s), .5, false) }, []int{2, 3}, []float64{-.5, 1.25, .25, -.75, 1, 0}},
		"Softmax":              {func(s *torch.Scope) *torch.Tensor { return s.Softmax(m(s), 1) }, []int{2, 3}, []float64{0.1127192, 0.6486542, 0.2386266, 0.1127192, 0.6486542, 0.2386266}},
		"CrossEntropy": {func(s *torch.Scope) *torch.Tensor {
			return s.CrossEntropy(ramp(s, 1, 3, 2, 2), s.FromInt64([]int64{0, 255, 2, 1}, 1, 2, 2), 255)
		}, []int{}, []float64{1.005949}},
	})
}

func TestBatchNorm(t *testing.T) {
	eval := []float64{-0.5603951, 1.91386, 0.5, -0.9138602, 1.560395, 0.1465349, -1.267325, 1.20693, -0.2069301,
		-3.678803, 3.738404, -0.5, 6.917208, 2.678803, -1.559601, 5.857606, 1.619202, -2.619202}
	train := []float64{-1.063841, 3.627681, 0.9468116, -1.734058, 2.957464, 0.2765942, -2.404276, 2.287246, -0.3936233,
		-4.806474, 1.503011, -2.102409, 4.207077, 0.6016562, -3.003764, 3.305722, -0.2996989, -3.905119}
	run(t, func(s *torch.Scope) {
		x := ramp(s, 1, 2, 3, 3)
		scale, shift := s.FromFloat32([]float32{2, 3}, 2), s.FromFloat32([]float32{.5, -.5}, 2)
		mean, variance := s.FromFloat32([]float32{.25, -.5}, 2), s.FromFloat32([]float32{2, .5}, 2)
		near(t, "eval", s, s.BatchNorm(x, scale, shift, mean, variance, false, .1, 1e-3), x.Shape(), eval)
		near(t, "mean after eval", s, mean, []int{2}, []float64{.25, -.5})
		near(t, "train", s, s.BatchNorm(x, scale, shift, mean, variance, true, .1, 1e-3), x.Shape(), train)
		near(t, "mean after train", s, mean, []int{2}, []float64{0.2333333, -0.4555556})
		near(t, "variance after train", s, variance, []int{2}, []float64{1.8625, 0.5277778})
	})
}

func TestArithmetic(t *testing.T) {
	m := func(s *torch.Scope) *torch.Tensor { return ramp(s, 2, 3) }
	r := func(s *torch.Scope) *torch.Tensor { return ramp(s, 3) }
	x := func(s *torch.Scope) *torch.Tensor { return ramp(s, 1, 2, 3, 3) }
	checkOperators(t, map[string]operatorTest{
		"Add":         {func(s *torch.Scope) *torch.Tensor { return s.Add(m(s), r(s)) }, []int{2, 3}, []float64{-1, 2.5, 0.5, -1.25, 2.25, 0.25}},
		"Sub":         {func(s *torch.Scope) *torch.Tensor { return s.Sub(m(s), ramp(s, 2, 1)) }, []int{2, 3}, []float64{0, 1.75, 0.75, -2, -0.25, -1.25}},
		"Mul":         {func(s *torch.Scope) *torch.Tensor { return s.Mul(m(s), s.Transpose(ramp(s, 3, 2), 0, 1)) }, []int{2, 3}, []float64{0.25, 0.3125, 0.25, -0.9375, -0.75, 0}},
		"Div":         {func(s *torch.Scope) *torch.Tensor { return s.Div(m(s), s.AddScalar(r(s), .3)) }, []int{2, 3}, []float64{2.5, 0.8064516, 0.4545454, 3.75, 0.6451613, 0}},
		"Abs, Sqrt":   {func(s *torch.Scope) *torch.Tensor { return s.Sqrt(s.Abs(m(s))) }, []int{2, 3}, []float64{0.7071068, 1.118034, 0.5, 0.8660254, 1, 0}},
		"ClampMin":    {func(s *torch.Scope) *torch.Tensor { return s.ClampMin(m(s), -.6) }, []int{2, 3}, []float64{-.5, 1.25, .25, -.6, 1, 0}},
		"Argmax":      {func(s *torch.Scope) *torch.Tensor { return s.Argmax(ramp(s, 3, 4), 0) }, []int{4}, []float64{1, 0, 2, 1}},
		"Sum":         {func(s *torch.Scope) *torch.Tensor { return s.Sum(x(s)) }, []int{}, []float64{.25}},
		"Mean":        {func(s *torch.Scope) *torch.Tensor { return s.Mean(x(s)) }, []int{}, []float64{0.01388889}},
		"SumDims":     {func(s *torch.Scope) *torch.Tensor { return s.SumDims(x(s), false, 0, 2, 3) }, []int{2}, []float64{.75, -.5}},
		"MeanDims":    {func(s *torch.Scope) *torch.Tensor { return s.MeanDims(x(s), true, 2) }, []int{1, 2, 1, 3}, []float64{-0.75, 1, 0, 0.3333333, 0.25, -0.75}},
		"MatMul":      {func(s *torch.Scope) *torch.Tensor { return s.MatMul(m(s), ramp(s, 3, 2)) }, []int{2, 2}, []float64{0.8125, -1.5625, 0.625, -1.6875}},
		"BatchMatMul": {func(s *torch.Scope) *torch.Tensor { return s.BatchMatMul(ramp(s, 2, 2, 3), ramp(s, 2, 3, 2)) }, []int{2, 2, 2}, []float64{0.8125, -1.5625, 0.625, -1.6875, 0.6875, -1.5625, 0.875, -1.3125}},
		"BatchMatMulAdd": {func(s *torch.Scope) *torch.Tensor {
			return s.BatchMatMulAdd(ramp(s, 2, 2), ramp(s, 2, 2, 3), ramp(s, 2, 3, 2), .5, -2)
		}, []int{2, 2, 2}, []float64{-1.875, 3.75, -1.125, 3, -1.625, 3.75, -1.625, 2.25}},
	})
}

func TestShapes(t *testing.T) {
	m := func(s *torch.Scope) *torch.Tensor { return ramp(s, 2, 3) } // -.5 1.25 .25 / -.75 1 0
	checkOperators(t, map[string]operatorTest{
		"Concat":    {func(s *torch.Scope) *torch.Tensor { return s.Concat(1, m(s), s.Ones(torch.Float32, 2, 1)) }, []int{2, 4}, []float64{-.5, 1.25, .25, 1, -.75, 1, 0, 1}},
		"Reshape":   {func(s *torch.Scope) *torch.Tensor { return s.Reshape(m(s), 3, -1) }, []int{3, 2}, []float64{-.5, 1.25, .25, -.75, 1, 0}},
		"Expand":    {func(s *torch.Scope) *torch.Tensor { return s.Expand(ramp(s, 2, 1), -1, 2) }, []int{2, 2}, []float64{-.5, -.5, 1.25, 1.25}},
		"Narrow":    {func(s *torch.Scope) *torch.Tensor { return s.Narrow(m(s), 1, 1, 2) }, []int{2, 2}, []float64{1.25, .25, 1, 0}},
		"Transpose": {func(s *torch.Scope) *torch.Tensor { return s.Transpose(m(s), 0, -1) }, []int{3, 2}, []float64{-.5, -.75, 1.25, 1, .25, 0}},
		"To":        {func(s *torch.Scope) *torch.Tensor { return s.To(m(s), torch.Int64) }, []int{2, 3}, []float64{0, 1, 0, 0, 1, 0}},
		"Eye":       {func(s *torch.Scope) *torch.Tensor { return s.Eye(2, torch.Float64) }, []int{2, 2}, []float64{1, 0, 0, 1}},
		"Full":      {func(s *torch.Scope) *torch.Tensor { return s.Full(torch.Uint8, 7, 1, 2) }, []int{1, 2}, []float64{7, 7}},
		"Zeros":     {func(s *torch.Scope) *torch.Tensor { return s.Zeros(torch.BFloat16, 2) }, []int{2}, []float64{0, 0}},
		"Ones":      {func(s *torch.Scope) *torch.Tensor { return s.Ones(torch.Float16) }, []int{}, []float64{1}},
	})
}

func TestInPlace(t *testing.T) {
	run(t, func(s *torch.Scope) {
		x := s.MulScalar(ramp(s, 2, 3), 8) // -4 10 2 / -6 8 0
		copied := s.Clone(x)
		near(t, "ReLUInPlace's result", s, s.ReLUInPlace(x), []int{2, 3}, []float64{0, 10, 2, 0, 8, 0})
		near(t, "ReLUInPlace", s, x, []int{2, 3}, []float64{0, 10, 2, 0, 8, 0})
		near(t, "ReLU6InPlace's result", s, s.ReLU6InPlace(x), []int{2, 3}, []float64{0, 6, 2, 0, 6, 0})
		near(t, "ReLU6InPlace", s, x, []int{2, 3}, []float64{0, 6, 2, 0, 6, 0})
		near(t, "Clone", s, copied, []int{2, 3}, []float64{-4, 10, 2, -6, 8, 0})
		s.AddInPlace(x, ramp(s, 3), 2)
		near(t, "AddInPlace", s, x, []int{2, 3}, []float64{-1, 8.5, 2.5, -1, 8.5, .5})
		s.MulInPlace(x, -2)
		near(t, "MulInPlace", s, x, []int{2, 3}, []float64{2, -17, -5, 2, -17, -1})
		s.Write(s.Transpose(x, 0, 1), []float32{1, 2, 3, 4, 5, 6})
		near(t, "Write through a view", s, x, []int{2, 3}, []float64{1, 3, 5, 2, 4, 6})
	})
}

// In training, each channel is dropped as a whole, and the others are doubled.
func TestFeatureDropoutInTraining(t *testing.T) {
	dropped := func(seed int64) (kept []bool) {
		run(t, func(s *torch.Scope) {
			s.Seed(seed)
			y := s.Float32s(s.FeatureDropout(s.Ones(torch.Float32, 4, 8, 2, 2), .5, true))
			for c := range 4 * 8 {
				channel := y[c*4 : c*4+4]
				if v := channel[0]; v != 0 && v != 2 || !slices.Equal(channel, []float32{v, v, v, v}) {
					t.Fatalf("channel %d: %v", c, channel)
				}
				kept = append(kept, channel[0] != 0)
			}
		})
		return kept
	}
	first := dropped(1)
	if !slices.Contains(first, true) || !slices.Contains(first, false) {
		t.Errorf("kept %v", first)
	}
	if again := dropped(1); !slices.Equal(first, again) {
		t.Error("the same seed drops other channels")
	}
	if slices.Equal(first, dropped(2)) {
		t.Error("another seed drops the same channels")
	}
}

func TestCrossEntropyOfIgnoredPixels(t *testing.T) {
	run(t, func(s *torch.Scope) {
		loss := s.CrossEntropy(ramp(s, 1, 3, 1, 2), s.FromInt64([]int64{255, 255}, 1, 1, 2), 255)
		if v := s.Item(loss); !math.IsNaN(v) {
			t.Errorf("mean over no pixel: %v", v)
		}
	})
}

// Every kind of argument that Call passes.
func TestCallArguments(t *testing.T) {
	checkOperators(t, map[string]operatorTest{
		"string": {func(s *torch.Scope) *torch.Tensor {
			return s.Call("div.Tensor_mode", ramp(s, 3), s.Ones(torch.Float32), "floor")
		}, []int{3}, []float64{-1, 1, 0}},
		"optional tensors": {func(s *torch.Scope) *torch.Tensor {
			return s.Call("index.Tensor", ramp(s, 2, 3), []*torch.Tensor{nil, s.FromInt64([]int64{2}, 1)})
		}, []int{2, 1}, []float64{.25, 0}},
		"float list": {func(s *torch.Scope) *torch.Tensor {
			return s.Call("upsample_nearest1d.vec", ramp(s, 1, 1, 2), nil, []float64{2})
		}, []int{1, 1, 4}, []float64{-.5, -.5, 1.25, 1.25}},
		"bool list": {func(s *torch.Scope) *torch.Tensor {
			return s.Call("convolution_backward", s.Ones(torch.Float32, 1, 1, 1, 1), ramp(s, 1, 1, 1, 1), ramp(s, 1, 1, 1, 1), []int{1}, []int{1, 1}, []int{0, 0}, []int{1, 1}, false, []int{0, 0}, 1, []bool{true, false, true})
		}, []int{1, 1, 1, 1}, []float64{-.5}},
		"int for float": {func(s *torch.Scope) *torch.Tensor { return s.Call("dropout", ramp(s, 2), 0, true) }, []int{2}, []float64{-.5, 1.25}},
		"number back":   {func(s *torch.Scope) *torch.Tensor { return s.Call("item", s.Full(torch.Float64, 1.5)) }, []int{}, []float64{1.5}},
	})
}

// Call returns the first of several results, and does not keep the others.
func TestCallOfSeveralResults(t *testing.T) {
	alive := live(t)
	run(t, func(s *torch.Scope) {
		x := ramp(s, 5)
		near(t, "first", s, s.Call("split.Tensor", x, 2), []int{2}, []float64{-.5, 1.25})
		alive("after split", 2)
		if r := s.Call("_foreach_mul_.Scalar", []*torch.Tensor{x}, 2.0); r != nil {
			t.Errorf("result of an operator without any: %v", r)
		}
		near(t, "foreach", s, x, []int{5}, []float64{-1, 2.5, .5, -1.5, 2})
	})
}
