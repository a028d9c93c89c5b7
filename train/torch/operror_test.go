package torch_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// Each function fails; the text has to begin as given. Behind that is libtorch's own
// wording, which may change between versions.
func TestOpErrors(t *testing.T) {
	alive := live(t)
	many := func(s *torch.Scope) []*torch.Tensor {
		ts := make([]*torch.Tensor, 20)
		for i := range ts {
			ts[i] = ramp(s, i+1)
		}
		return ts
	}
	for want, f := range map[string]func(s *torch.Scope){
		"conv2d(float32[2 3 96 160], float32[32 4 3 3], none, [1 1], [1 1], [1 1], 1): Given groups=1, weight of size [32, 4, 3, 3], expected input[2, 3, 96, 160] to have 4 channels": func(s *torch.Scope) {
			s.Conv2D(s.Zeros(torch.Float32, 2, 3, 96, 160), s.Zeros(torch.Float32, 32, 4, 3, 3), nil, torch.Conv{Padding: [2]int{1, 1}})
		},
		"add.Tensor(float32[2], float32[3]): The size of tensor a (2) must match the size of tensor b (3)": func(s *torch.Scope) { s.Add(ramp(s, 2), ramp(s, 3)) },
		"cat([float32[1] float32[2] float32[3] float32[4] float32[5] float32[6] … 20], 1): ":               func(s *torch.Scope) { s.Concat(1, many(s)...) },
		"abs(none): argument self is none; it must be Tensor":                                              func(s *torch.Scope) { s.Abs(nil) },
		"softmax.int(float32[2], 1.5): argument dim is a float; it must be int":                            func(s *torch.Scope) { s.Call("softmax.int", ramp(s, 2), 1.5) },
		"conv2d(float32[1 1 2 2], float32[1 1 1 1], none, [1.5]): argument stride is floats; it must be ":  func(s *torch.Scope) { s.Call("conv2d", ramp(s, 1, 1, 2, 2), ramp(s, 1, 1, 1, 1), nil, []float64{1.5}) },
		"abs(float32[1], true): at most 1 arguments, not 2":                                                func(s *torch.Scope) { s.Call("abs", ramp(s, 1), true) },
		"add.Tensor(float32[1]): argument other has no default":                                            func(s *torch.Scope) { s.Call("add.Tensor", ramp(s, 1)) },
		"abs(complex128): there is no way to pass a complex128":                                            func(s *torch.Scope) { s.Call("abs", 1i) },
		"cat([none]): a list of tensors holds none":                                                        func(s *torch.Scope) { s.Call("cat", []*torch.Tensor{nil}) },
		`add.Nonsense("a\nb", uint8, cpu, [true]): libtorch `:                                              func(s *torch.Scope) { s.Call("add.Nonsense", "a\nb", torch.Uint8, torch.Device{}, []bool{true}) },
		"(): libtorch ":       func(s *torch.Scope) { s.Call("") },
		"a\x00b(): libtorch ": func(s *torch.Scope) { s.Call("a\x00b") },
		"abs(float32[2] (freed)): a tensor was freed before": func(s *torch.Scope) { x := ramp(s, 2); s.Free(x); s.Abs(x) },
		"Float32s(float32[2] (freed)): a tensor was freed": func(s *torch.Scope) {
			var x *torch.Tensor
			s.In(func(in *torch.Scope) { x = ramp(in, 2) })
			s.Float32s(x)
		},
		"cat([float32[2] (freed)], 0): a tensor was freed":        func(s *torch.Scope) { x := ramp(s, 2); s.Free(x); s.Concat(0, x) },
		"Backward(float32[2]): grad can be implicitly created":    func(s *torch.Scope) { s.Backward(s.Abs(s.RequireGrad(ramp(s, 2)))) },
		"Backward(float32[]): element 0 of tensors does not ":     func(s *torch.Scope) { s.Backward(s.Sum(ramp(s, 2))) },
		"Backward(none): there is no tensor":                      func(s *torch.Scope) { s.Backward(nil) },
		"RequireGrad(int64[1]): ":                                 func(s *torch.Scope) { s.RequireGrad(s.Zeros(torch.Int64, 1)) },
		"ZeroGrad(none): there is no tensor":                      func(s *torch.Scope) { s.ZeroGrad(nil) },
		"Grad(none): there is no tensor":                          func(s *torch.Scope) { s.Grad(nil) },
		"Item(float32[2]): 2 elements instead of 1":               func(s *torch.Scope) { s.Item(ramp(s, 2)) },
		"Item(float32[0]): 0 elements instead of 1":               func(s *torch.Scope) { s.Item(s.Zeros(torch.Float32, 0)) },
		"Write(float32[2]): 3 values for a tensor of 2":           func(s *torch.Scope) { s.Write(ramp(s, 2), make([]float32, 3)) },
		"FromFloat32([2 3]): 5 values for 6 elements":             func(s *torch.Scope) { s.FromFloat32(make([]float32, 5), 2, 3) },
		"FromInt64([-1]): a dimension is -1":                      func(s *torch.Scope) { s.FromInt64(make([]int64, 1), -1) },
		"FromUint8([4294967296 4294967296]): the shape is too la": func(s *torch.Scope) { s.FromUint8(nil, 1<<32, 1<<32) },
		"full([-1], 0, float32, none, cpu): ":                     func(s *torch.Scope) { s.Zeros(torch.Float32, -1) },
		"full([4611686018427387904 8], 0, float32, none, cpu): ":  func(s *torch.Scope) { s.Zeros(torch.Float32, 1<<62, 8) },
		"full([17592186044416], 0, float64, none, cpu): ":         func(s *torch.Scope) { s.Zeros(torch.Float64, 1<<44) },
		"full([1], 0, dtype99, none, cpu): ":                      func(s *torch.Scope) { s.Zeros(torch.DType(99), 1) },
		"eye(-1, float32, none, cpu): n must be greater or equal": func(s *torch.Scope) { s.Eye(-1, torch.Float32) },
		"Float64s(float32[1099511627776]): more than 2147483648 ": func(s *torch.Scope) { s.Float64s(s.Expand(s.Zeros(torch.Float32, 1), 1<<40)) },
		"split.Tensor(uint8[9000], 1): too many results at once":  func(s *torch.Scope) { s.Call("split.Tensor", s.Zeros(torch.Uint8, 9000), 1) },
		"upsample_bilinear2d(float32[1 1 2 2], [0 3], true): ":    func(s *torch.Scope) { s.ResizeBilinear(ramp(s, 1, 1, 2, 2), 0, 3) },
		"max_pool2d(float32[1 1 2 2], [2 2], [0 0], [0 0]): ":     func(s *torch.Scope) { s.MaxPool2D(ramp(s, 1, 1, 2, 2), 2, 0, 0) },
		"feature_dropout(float32[2], 1.5, true): ":                func(s *torch.Scope) { s.FeatureDropout(ramp(s, 2), 1.5, true) },
		"cross_entropy_loss(float32[1 2 1 1], uint8[1 1 1 1], ":   func(s *torch.Scope) { s.CrossEntropy(ramp(s, 1, 2, 1, 1), s.Zeros(torch.Uint8, 1, 1, 1, 1), 255) },
		"cross_entropy_loss(float32[1 2 1 1], int64[1 1 1], none, 1, 255): Target 2 is out of bounds": func(s *torch.Scope) {
			s.CrossEntropy(ramp(s, 1, 2, 1, 1), s.Full(torch.Int64, 2, 1, 1, 1), 255)
		},
	} {
		err := runErr(t, func(s *torch.Scope) {
			f(s)
			failed := s.Err()
			s.Call("another nonsense")
			if s.Err() != failed {
				t.Errorf("%s: a later failure took its place: %v", want, s.Err())
			}
		})
		var opErr *torch.OpError
		if !errors.As(err, &opErr) {
			t.Errorf("%s: no OpError: %v", want, err)
		} else if text := err.Error(); !strings.HasPrefix(text, want) || strings.Contains(text, "\n") {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	}
	alive("after all", 0)
}

func TestNothingHappensAfterAFailure(t *testing.T) {
	own := errors.New("own")
	err := runErr(t, func(s *torch.Scope) {
		x := s.RequireGrad(ramp(s, 2))
		s.Fail(own)
		s.In(func(in *torch.Scope) {
			in.NoGrad(func(in *torch.Scope) {
				y := in.Return(in.Softmax(in.Add(x, nil), 1))
				if y != nil || y.Dim(0) != 0 || y.Shape() != nil || y.Numel() != 0 || y.DType() == torch.Uint8 {
					t.Errorf("result of %v", y.Shape())
				}
				in.Backward(y)
				in.AddInPlace(x, x, 1)
				in.Write(x, []float32{5, 5})
				in.ZeroGrad(nil)
				if in.Grad(x) != nil || in.Float32s(x) != nil || in.FromUint8(nil, 0) != nil || in.Call("abs", x) != nil || !math.IsNaN(in.Item(x)) {
					t.Error("something was computed")
				}
			})
		})
		if x.Dim(0) != 2 || x.DType() != torch.Float32 {
			t.Error("the tensor of before is gone")
		}
	})
	if err != own {
		t.Errorf("error %v", err)
	}
}

func TestScopeAfterItsEnd(t *testing.T) {
	var ended *torch.Scope
	err := runErr(t, func(s *torch.Scope) {
		s.In(func(in *torch.Scope) { ended = in })
		ended.Abs(s.Ones(torch.Float32))
	})
	if err == nil || err.Error() != "abs(): the scope has ended" {
		t.Errorf("error %v", err)
	}
	var x *torch.Tensor
	run(t, func(s *torch.Scope) { ended, x = s, ramp(s, 2) })
	ended.Free(x)
	ended.In(func(in *torch.Scope) { in.Return(ramp(in, 2)) })
	if ended.Err() == nil {
		t.Error("a scope after its Run: no error")
	}
	if err := runErr(t, func(s *torch.Scope) { s.Abs(x) }); err == nil || !strings.Contains(err.Error(), "freed") {
		t.Errorf("a tensor after its Run: %v", err)
	}
}

func TestTensorOfAnotherRun(t *testing.T) {
	l := torchtest.Library(t)
	run(t, func(outer *torch.Scope) {
		x := ramp(outer, 2)
		err := l.Run(torch.Options{Threads: 2}, func(s *torch.Scope) error {
			s.Free(x)
			s.Return(x)
			s.Abs(x)
			return nil
		})
		if err == nil || err.Error() != "abs(float32[2]): a tensor belongs to another run" {
			t.Errorf("error %v", err)
		}
		near(t, "the tensor", outer, x, []int{2}, []float64{-.5, 1.25})
	})
}
