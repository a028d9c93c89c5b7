package torch_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/ranks/rankstest"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

func TestGroup(t *testing.T) {
	for _, world := range []int{2, 3} {
		t.Run(fmt.Sprint(world), func(t *testing.T) {
			rankstest.Succeed(t, rankstest.Start(t, "collectives", world))
		})
	}
}

// collectives is what each of the processes of TestGroup does.
func collectives(_ context.Context, lib *torch.Library, g *torch.Group) error {
	for _, step := range []struct {
		name string
		f    func(s *torch.Scope, g *torch.Group) error
	}{
		{"AllReduce", allReduce}, {"many tensors", manyTensors}, {"Broadcast", broadcast},
		{"AllReduceSum", allReduceSum},
	} {
		err := lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
			s.Barrier(g)
			return errors.Join(step.f(s, g), s.Err())
		})
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return aborted(lib, g)
}

// expect compares the values of a tensor.
func expect(s *torch.Scope, t *torch.Tensor, want ...float64) error {
	got := s.Float64s(t)
	if s.Err() == nil && !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func allReduce(s *torch.Scope, g *torch.Group) error {
	// Ranks 0, 1, … have 1, 2, …
	r, n := float64(g.Rank()+1), float64(g.World())
	sum := n * (n + 1) / 2
	whole := s.FromFloat64([]float64{r, 2 * r, 3 * r, 4 * r, 5 * r, 6 * r}, 2, 3)
	column := s.Narrow(whole, 1, 1, 1) // not contiguous
	single := s.FromFloat32([]float32{float32(r)}, 1)
	number := s.FromInt64([]int64{1<<60 + 1}, 1) // a float64 would lose the 1
	scalar := s.RequireGrad(s.Full(torch.Float64, 10*r))
	s.AllReduce(g, column, single, number, scalar)
	if got := s.Int64s(number); s.Err() == nil && got[0] != int64(g.World())*(1<<60+1) {
		return fmt.Errorf("the sum of integers is %d", got)
	}
	return errors.Join(
		expect(s, whole, r, 2*sum, 3*r, 4*r, 5*sum, 6*r),
		expect(s, single, sum), expect(s, scalar, 10*sum))
}

// manyTensors exchanges more than goes at once.
func manyTensors(s *torch.Scope, g *torch.Group) error {
	const count, size = 5, 3 << 20 // 60 MiB
	var ts []*torch.Tensor
	for i := range count {
		ts = append(ts, s.Full(torch.Float32, float64(i+g.Rank()), size))
	}
	s.AllReduce(g, ts...)
	for i, t := range ts {
		want := float64(i*g.World() + g.World()*(g.World()-1)/2)
		if err := errors.Join(expect(s, s.Call("min", t), want), expect(s, s.Call("max", t), want)); err != nil {
			return fmt.Errorf("tensor %d: %w", i, err)
		}
	}
	return nil
}

func broadcast(s *torch.Scope, g *torch.Group) error {
	last := g.World() - 1
	a := s.FromFloat64([]float64{float64(g.Rank()), 7}, 2)
	b := s.FromUint8([]uint8{uint8(100 + g.Rank())}, 1)
	s.Broadcast(g, last, a, b)
	return errors.Join(expect(s, a, float64(last), 7), expect(s, b, float64(100+last)))
}

// allReduceSum compares the gradient of L = Σ over the ranks r of (r + 1)·Σ yᵢ³, with
// y = Σ over the ranks of x², with differences.
func allReduceSum(s *torch.Scope, g *torch.Group) error {
	start := []float64{0.3 + float64(g.Rank()), -1.2, 0.7}
	loss := func(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
		y := s.AllReduceSum(g, s.Mul(x, x))
		return s.MulScalar(s.Sum(s.Mul(y, s.Mul(y, y))), float64(g.Rank()+1))
	}
	x := s.RequireGrad(s.FromFloat64(start, 3))
	s.Backward(loss(s, x))
	gradient := s.Float64s(s.Grad(x))
	// All ranks take all differences, of their own x or another's.
	for rank := range g.World() {
		for i := range start {
			total := func(step float64) float64 {
				moved := slices.Clone(start)
				if rank == g.Rank() {
					moved[i] += step
				}
				l := s.Call("detach", loss(s, s.FromFloat64(moved, 3)))
				s.AllReduce(g, l)
				return s.Item(l)
			}
			const step = 1e-5
			want := (total(step) - total(-step)) / (2 * step)
			if s.Err() != nil {
				return nil
			}
			if rank == g.Rank() && math.Abs(gradient[i]-want) > 1e-6*math.Abs(want) {
				return fmt.Errorf("gradient %d of rank %d is %v, by differences %v", i, rank, gradient[i], want)
			}
		}
	}
	return nil
}

// aborted ends an operation that the other ranks do not take part in.
func aborted(lib *torch.Library, g *torch.Group) error {
	cause := errors.New("enough")
	err := lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		x := s.Ones(torch.Float32, 1)
		s.Barrier(g)
		if g.Rank() == 0 {
			defer time.AfterFunc(100*time.Millisecond, func() { g.Abort(cause) }).Stop()
			s.AllReduce(g, x)
			return s.Err()
		}
		return nil
	})
	if g.Rank() != 0 {
		return err
	}
	var op *torch.OpError
	if !errors.Is(err, cause) || !errors.Is(err, torch.ErrGroup) || !errors.As(err, &op) || op.Op != "AllReduce" {
		return fmt.Errorf("aborted: %w", err)
	}
	if want := "AllReduce([float32[1]]): collective operation of rank 0 of "; !strings.HasPrefix(err.Error(), want) {
		return fmt.Errorf("aborted: %q is not %s…", err, want)
	}
	return nil
}

// alone makes a group of one, and a store.
func alone(t *testing.T) (*torch.Library, *torch.Store, *torch.Group) {
	t.Helper()
	l := torchtest.Library(t)
	store, err := l.OpenStore(rankstest.FreeAddress(t), true, "alone", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	g, err := l.Join(store, torch.GroupOptions{World: 1, Host: "127.0.0.1", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return l, store, g
}

func TestGroupFaults(t *testing.T) {
	_, _, g := alone(t)
	before := torchtest.Library(t).Live()
	for name, c := range map[string]struct {
		f    func(s *torch.Scope)
		want string
	}{
		"no tensor":      {func(s *torch.Scope) { s.AllReduce(g, s.Ones(torch.Float32, 2), nil) }, "AllReduce([float32[2] none]): there is no tensor"},
		"none to sum":    {func(s *torch.Scope) { s.AllReduceSum(g, nil) }, "AllReduceSum(none): there is no tensor"},
		"no such root":   {func(s *torch.Scope) { s.Broadcast(g, 1, s.Ones(torch.Float32, 2)) }, "Broadcast([float32[2]]): collective operation of rank 0 of 1: "},
		"type without +": {func(s *torch.Scope) { s.AllReduce(g, s.Ones(torch.Bool, 2)) }, "AllReduce([bool[2]]): collective operation of rank 0 of 1: "},
		"sum without +":  {func(s *torch.Scope) { s.AllReduceSum(g, s.Ones(torch.Bool, 2)) }, "AllReduceSum(bool[2]): collective operation of rank 0 of 1: "},
		"freed": {func(s *torch.Scope) {
			x := s.Ones(torch.Float32, 2)
			s.Free(x)
			s.AllReduce(g, x)
		}, "AllReduce([float32[2] (freed)]): a tensor was freed before"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := runErr(t, c.f); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s…", err, c.want)
			}
		})
	}
	g.Close()
	g.Close()
	g.Abort(errors.New("too late"))
	err := runErr(t, func(s *torch.Scope) { s.Barrier(g) })
	if err == nil || err.Error() != "Barrier([]): the group is closed" {
		t.Error(err)
	}
	if n := torchtest.Library(t).Live(); n != before {
		t.Errorf("%d tensors more than before", n-before)
	}
}

func TestJoinFaults(t *testing.T) {
	l, store, _ := alone(t)
	for want, o := range map[string]torch.GroupOptions{
		"join group: rank 2 of 2: want 0 to 1":                      {Rank: 2, World: 2},
		"join group: rank -1 of 2: want 0 to 1":                     {Rank: -1, World: 2},
		"join group: rank 0 of 0: want 0 to -1":                     {},
		"collective operation: join as rank 0 of 2: ":               {World: 2, Host: "127.0.0.1", Timeout: 100 * time.Millisecond},
		"collective operation: join as rank 0 of 1: Cannot resolve": {World: 1, Host: "no such host.", Timeout: time.Minute},
	} {
		if _, err := l.Join(store, o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v; want %s…", o, err, want)
		}
	}
}

func TestStore(t *testing.T) {
	l := torchtest.Library(t)
	address := rankstest.FreeAddress(t)
	server, err := l.OpenStore(address, true, "a", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	client, err := l.OpenStore(address, false, "a", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.OpenStore(address, false, "b", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	long := []byte(strings.Repeat("\x00\xff", 2048))
	if err := client.Set("key", long); err != nil {
		t.Error(err)
	}
	if got, err := server.Get("key"); err != nil || !slices.Equal(got, long) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if got, err := other.Get("key"); err != nil || got != nil {
		t.Errorf("with another prefix: %q, %v", got, err)
	}
	for _, value := range [][]byte{nil, make([]byte, 4097)} {
		if err := client.Set("key", value); err == nil || !strings.Contains(err.Error(), "want 1 to 4096") {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	}
	client.Close()
	client.Close()
	if _, err := client.Get("key"); err == nil || err.Error() != `get "key" from the store: the store is closed` {
		t.Error(err)
	}
	server.Close()
	if _, err := other.Get("key"); err == nil {
		t.Error("a store answers that has ended")
	}
	for address, want := range map[string]string{
		"nowhere": "missing port", "localhost:0": `port "0": want 1 to 65535`, "localhost:http": `port "http"`, address: "open store at " + address,
	} {
		if _, err := l.OpenStore(address, false, "", 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", address, err, want)
		}
	}
}
