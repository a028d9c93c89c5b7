package torch

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrGroup is wrapped by the failures of collective operations.
var ErrGroup = errors.New("collective operation")

// Group is this process's end of a group of processes that exchange tensors: over Gloo on
// the CPU, over NCCL on GPUs (which has never been run). Its operations are methods of
// [Scope], and collective: every member calls the same ones in the same order, with tensors
// of the same types and shapes, and each waits for the others. They fail at once where the
// connection to a member breaks, and otherwise wait until [Group.Abort].
type Group struct {
	rank, world int

	mu     sync.Mutex
	handle int64 // 0 once closed
	cause  error // of the abort
}

// GroupOptions describe a member of a group.
type GroupOptions struct {
	// Rank numbers the member, from 0 to World - 1.
	Rank, World int
	// Device is where the tensors are that the members exchange.
	Device Device
	// Host is the address of this machine at which the others reach it.
	Host string
	// Timeout ends a collective operation, and Join, after so long.
	Timeout time.Duration
}

// Join connects this process to the other members, and returns when all are connected. Only
// one group may be made with a store.
func (l *Library) Join(store *Store, o GroupOptions) (*Group, error) {
	if o.World < 1 || o.Rank < 0 || o.Rank >= o.World {
		return nil, fmt.Errorf("join group: rank %d of %d: want 0 to %d", o.Rank, o.World, o.World-1)
	}
	if err := o.Device.Check(); err != nil {
		return nil, fmt.Errorf("join group: %w", err)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	err := store.closed()
	var handle int64
	if err == nil {
		handle, err = newFailure().groupJoin(store.handle, o.Rank, o.World, o.Device, o.Host, o.Timeout.Milliseconds())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: join as rank %d of %d: %w", ErrGroup, o.Rank, o.World, err)
	}
	return &Group{rank: o.Rank, world: o.World, handle: handle}, nil
}

// Rank returns the member's number, from 0 to World - 1.
func (g *Group) Rank() int { return g.rank }

// World returns the number of members.
func (g *Group) World() int { return g.world }

// Abort makes this member's collective operations fail with the cause from now on, those
// under way included. It may be called at any time from any goroutine; the first cause counts.
func (g *Group) Abort(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		g.cause = cause
	}
	if g.handle != 0 {
		shimGroupAbort(g.handle)
	}
}

// Close leaves the group, when no run uses it any more. The others' operations fail then.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.handle != 0 {
		shimGroupClose(g.handle)
		g.handle = 0
	}
}

// failed says what a failure was about.
func (g *Group) failed(err error) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause != nil {
		err = g.cause
	}
	return fmt.Errorf("%w of rank %d of %d: %w", ErrGroup, g.rank, g.world, err)
}

// open returns the handle.
func (g *Group) open() (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.handle == 0 {
		return 0, errors.New("the group is closed")
	}
	return g.handle, nil
}

// AllReduce replaces tensors by their sums over all members, unseen by [Scope.Backward]. Many
// small tensors are exchanged at once.
func (s *Scope) AllReduce(g *Group, ts ...*Tensor) {
	s.collective("AllReduce", g, ts, s.run.failure.groupSum)
}

// Broadcast replaces tensors by those of the member root, unseen by [Scope.Backward]. Many
// small tensors are exchanged at once.
func (s *Scope) Broadcast(g *Group, root int, ts ...*Tensor) {
	s.collective("Broadcast", g, ts, func(group int64, handles []int64) error {
		return s.run.failure.groupBroadcast(group, root, handles)
	})
}

// Barrier returns when all members have called it.
func (s *Scope) Barrier(g *Group) {
	s.collective("Barrier", g, nil, func(group int64, _ []int64) error {
		return s.run.failure.groupBarrier(group)
	})
}

// collective calls one of the shim's functions on tensors.
func (s *Scope) collective(op string, g *Group, ts []*Tensor, f func(group int64, handles []int64) error) {
	if !s.ready(op) {
		return
	}
	group, err := g.open()
	handles := s.run.args[:0]
	for _, t := range ts {
		if err != nil {
			break
		}
		var h int64
		h, err = s.given(t)
		handles = append(handles, h)
	}
	s.run.args = handles
	if err == nil {
		err = g.failed(f(group, handles))
	}
	s.fail(op, []any{ts}, err)
}

// AllReduceSum returns the sum of x over all members. The gradient of x is the sum of the
// members' gradients, so that Backward, too, is collective: every member must call it.
func (s *Scope) AllReduceSum(g *Group, x *Tensor) *Tensor {
	var sum *Tensor
	s.onTensor("AllReduceSum", x, func(handle int64) error {
		group, err := g.open()
		if err != nil {
			return err
		}
		if _, err = s.run.failure.groupSumOf(group, s.grad, handle, s.run.results); err != nil {
			return g.failed(err)
		}
		sum, _ = s.adopt(s.run.results)
		return nil
	})
	return sum
}
