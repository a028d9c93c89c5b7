package torch_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// live checks the number of tensors alive since the test began.
func live(t *testing.T) func(what string, want int) {
	t.Helper()
	l := torchtest.Library(t)
	before := l.Live()
	return func(what string, want int) {
		t.Helper()
		if got := l.Live() - before; got != want {
			t.Errorf("%s: %d tensors alive, want %d", what, got, want)
		}
	}
}

func TestScopesFree(t *testing.T) {
	alive := live(t)
	run(t, func(s *torch.Scope) {
		x := ramp(s, 2)
		alive("root", 1)
		var a, b, c *torch.Tensor
		s.In(func(in *torch.Scope) {
			in.Add(x, x)
			a, b = in.Return(in.Abs(x)), in.Return(in.ReLU(x))
			in.In(func(deeper *torch.Scope) {
				c = deeper.Return(deeper.MulScalar(x, 2)) // of in now, which ends
				in.Return(deeper.Return(c))               // and of s
				in.Return(x)
			})
			if in.Return(nil) != nil {
				t.Error("Return(nil) is not nil")
			}
			alive("inside", 5)
		})
		alive("behind", 4)
		near(t, "returned", s, a, []int{2}, []float64{.5, 1.25})
		near(t, "returned", s, b, []int{2}, []float64{0, 1.25})
		near(t, "returned twice", s, c, []int{2}, []float64{-1, 2.5})
		s.Return(a) // the root has nowhere to return to
		s.Free(a, a, nil, b)
		alive("after Free", 2)
		near(t, "kept", s, x, []int{2}, []float64{-.5, 1.25})
	})
	alive("after Run", 0)
}

func TestScopesFreeAfterPanic(t *testing.T) {
	alive := live(t)
	func() {
		defer func() {
			if recover() != "caller's own" {
				t.Error("the panic is gone")
			}
		}()
		run(t, func(s *torch.Scope) {
			ramp(s, 2)
			s.In(func(in *torch.Scope) { ramp(in, 2); panic("caller's own") })
		})
	}()
	alive("after panic", 0)
}

// Tensors that nobody can reach are freed while their scope goes on.
func TestLostTensorsAreFreed(t *testing.T) {
	l := torchtest.Library(t)
	before := l.Live()
	run(t, func(s *torch.Scope) {
		kept := ramp(s, 2)
		for range 100 {
			s.Add(kept, kept)
		}
		if n := l.Live() - before; n != 101 {
			t.Fatalf("%d tensors alive, want 101", n)
		}
		freed := func() bool {
			runtime.GC()
			s.Free(s.Abs(kept)) // any call collects
			return l.Live()-before <= 2
		}
		for i := 0; !freed(); i++ {
			if i == 1000 {
				t.Fatalf("%d tensors alive after %d collections", l.Live()-before, i)
			}
		}
		near(t, "kept", s, kept, []int{2}, []float64{-.5, 1.25})
	})
	if n := l.Live() - before; n != 0 {
		t.Errorf("%d tensors alive after Run", n)
	}
}

func TestRunsAtATime(t *testing.T) {
	alive := live(t)
	var wg sync.WaitGroup
	results := make([][]float32, 4)
	for i := range results {
		wg.Go(func() {
			run(t, func(s *torch.Scope) {
				for range 20 {
					s.In(func(in *torch.Scope) {
						c := newChain(in)
						in.Backward(c.loss(in))
						results[i] = in.Float32s(in.Grad(c.kernel))
					})
				}
			})
		})
	}
	wg.Wait()
	alive("after all", 0)
	for _, r := range results {
		if len(r) == 0 || !slices.Equal(r, results[0]) {
			t.Errorf("gradients differ: %v, %v", r, results[0])
		}
	}
}

func TestRunErrors(t *testing.T) {
	l := torchtest.Library(t)
	own := errors.New("own")
	if err := l.Run(torch.Options{}, func(*torch.Scope) error { return own }); err != own {
		t.Errorf("f's error: %v", err)
	}
	var failure *torch.OpError
	err := l.Run(torch.Options{}, func(s *torch.Scope) error { s.Call("nonsense"); return nil })
	if !errors.As(err, &failure) || failure.Op != "nonsense" {
		t.Errorf("failure: %v", err)
	}
	err = l.Run(torch.Options{}, func(s *torch.Scope) error { s.Call("nonsense"); return own })
	if !errors.As(err, &failure) || !errors.Is(err, own) {
		t.Errorf("both: %v", err)
	}
	err = l.Run(torch.Options{}, func(s *torch.Scope) error { s.Fail(nil); s.Fail(own); s.Call("nonsense"); return s.Err() })
	if err != own {
		t.Errorf("the caller's own failure: %v", err)
	}
}
