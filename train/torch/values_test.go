package torch_test

import (
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
)

func TestValues(t *testing.T) {
	run(t, func(s *torch.Scope) {
		data := []float32{1, 2.5, 300}
		x := s.FromFloat32(data, 3)
		data[0] = 9
		if got := s.Float32s(x); !slices.Equal(got, []float32{1, 2.5, 300}) {
			t.Errorf("Float32s: %v; the tensor has to be a copy", got)
		}
		if got := s.Int64s(x); !slices.Equal(got, []int64{1, 2, 300}) {
			t.Errorf("Int64s: %v", got)
		}
		if got := s.Float64s(s.FromFloat64([]float64{1e-300}, 1)); !slices.Equal(got, []float64{1e-300}) {
			t.Errorf("Float64s: %v", got)
		}
		if got := s.Int64s(s.FromInt64([]int64{-1 << 63}, 1)); !slices.Equal(got, []int64{-1 << 63}) {
			t.Errorf("Int64s: %v", got)
		}
		if got := s.Float32s(s.Transpose(s.FromUint8([]uint8{1, 2, 3, 4, 5, 6}, 2, 3), 0, 1)); !slices.Equal(got, []float32{1, 4, 2, 5, 3, 6}) {
			t.Errorf("a transposed view: %v", got)
		}
		if got := s.Item(s.FromFloat32([]float32{2.5})); got != 2.5 {
			t.Errorf("Item: %v", got)
		}
		if got := s.Float32s(s.FromFloat32(nil, 2, 0)); got == nil || len(got) != 0 {
			t.Errorf("no elements: %v", got)
		}
	})
}

func TestTensor(t *testing.T) {
	run(t, func(s *torch.Scope) {
		x := s.Zeros(torch.Bool, 2, 3, 1, 1, 4)
		if !slices.Equal(x.Shape(), []int{2, 3, 1, 1, 4}) || x.Numel() != 24 || x.DType() != torch.Bool {
			t.Errorf("shape %v, %d elements of %v", x.Shape(), x.Numel(), x.DType())
		}
		x.Shape()[0] = 7
		for i, want := range map[int]int{0: 2, 4: 4, -1: 4, -5: 2, 5: 0, -6: 0} {
			if got := x.Dim(i); got != want {
				t.Errorf("Dim(%d) = %d, want %d", i, got, want)
			}
		}
		for d, want := range map[torch.DType]string{torch.Uint8: "uint8", torch.Int64: "int64", torch.Float16: "float16", torch.Float32: "float32", torch.Float64: "float64", torch.Bool: "bool", torch.BFloat16: "bfloat16"} {
			if got := s.Ones(d, 1); got.DType() != d || d.String() != want || s.Item(got) != 1 {
				t.Errorf("%v: %v", want, got.DType())
			}
		}
	})
}

// A call allocates the tensor, what its scope keeps of it, and the safety net.
func TestAllocationsOfACall(t *testing.T) {
	run(t, func(s *torch.Scope) {
		x, w := ramp(s, 1, 2, 4, 4), ramp(s, 2, 2, 3, 3)
		for name, f := range map[string]func(){
			"Add":    func() { s.Free(s.Add(x, x)) },
			"Conv2D": func() { s.Free(s.Conv2D(x, w, nil, torch.Conv{Padding: [2]int{1, 1}})) },
		} {
			if n := testing.AllocsPerRun(50, f); n > 4 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
		if n := testing.AllocsPerRun(50, func() { s.AddInPlace(x, x, .5) }); n > 0 {
			t.Errorf("AddInPlace allocates %v times", n)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	run(b, func(s *torch.Scope) {
		x := ramp(s, 1)
		b.Run("AddInPlace", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.AddInPlace(x, x, 0)
			}
		})
		b.Run("Add", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Free(s.Add(x, x))
			}
		})
	})
}
