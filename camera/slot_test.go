package camera

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// token counts how often it was released.
type token struct {
	n        int
	released atomic.Int32
}

func (k *token) Release() { k.released.Add(1) }

func TestSlotKeepsNewest(t *testing.T) {
	s := NewSlot[*token]()
	values := []*token{{n: 0}, {n: 1}, {n: 2}}
	for i, v := range values {
		if got, want := s.Put(v), i > 0; got != want {
			t.Errorf("Put(%d) reported dropped = %v, want %v", i, got, want)
		}
	}
	got, err := s.Take(t.Context())
	if err != nil || got.n != 2 {
		t.Fatalf("Take = %v, %v; want value 2", got, err)
	}
	for i, want := range []int32{1, 1, 0} {
		if r := values[i].released.Load(); r != want {
			t.Errorf("value %d was released %d times, want %d", i, r, want)
		}
	}
	if s.Dropped() != 2 {
		t.Errorf("Dropped = %d, want 2", s.Dropped())
	}
}

func TestSlotClose(t *testing.T) {
	s := NewSlot[*token]()
	s.Put(&token{n: 1})
	s.Close()
	s.Close()
	late, waiting := &token{}, &token{}
	if !s.Put(late) || late.released.Load() != 1 {
		t.Errorf("Put on a closed slot released its value %d times, want once", late.released.Load())
	}
	if err := s.PutWait(t.Context(), waiting); !errors.Is(err, ErrSlotClosed) || waiting.released.Load() != 1 {
		t.Errorf("PutWait on a closed slot = %v and %d releases; want ErrSlotClosed and 1", err, waiting.released.Load())
	}
	if v, err := s.Take(t.Context()); err != nil || v.n != 1 {
		t.Errorf("Take after Close = %v, %v; want the value left in the slot", v, err)
	}
	if _, err := s.Take(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("second Take after Close = %v, want io.EOF", err)
	}
}

func TestSlotWaitEnds(t *testing.T) {
	ends := map[string]struct {
		end      func(s *Slot[*token], cancel func())
		put, get error
	}{
		"context": {func(_ *Slot[*token], cancel func()) { cancel() }, context.Canceled, context.Canceled},
		"close":   {func(s *Slot[*token], _ func()) { s.Close() }, ErrSlotClosed, io.EOF},
	}
	for name, tc := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				full, empty := NewSlot[*token](), NewSlot[*token]()
				full.Put(&token{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				v := &token{}
				var putErr, getErr error
				var wg sync.WaitGroup
				wg.Go(func() { putErr = full.PutWait(ctx, v) })
				wg.Go(func() { _, getErr = empty.Take(ctx) })
				synctest.Wait()
				if v.released.Load() != 0 {
					t.Fatal("PutWait released its value while it could still wait")
				}
				tc.end(full, cancel)
				tc.end(empty, cancel)
				wg.Wait()
				if !errors.Is(putErr, tc.put) || v.released.Load() != 1 {
					t.Errorf("PutWait = %v and %d releases; want %v and 1", putErr, v.released.Load(), tc.put)
				}
				if !errors.Is(getErr, tc.get) {
					t.Errorf("Take = %v, want %v", getErr, tc.get)
				}
			})
		})
	}
}

func TestSlotPutWaitLosesNothing(t *testing.T) {
	const n = 10000
	s := NewSlot[*token]()
	go func() {
		defer s.Close()
		for i := range n {
			if err := s.PutWait(t.Context(), &token{n: i}); err != nil {
				t.Errorf("PutWait(%d): %v", i, err)
			}
		}
	}()
	for i := range n {
		if v, err := s.Take(t.Context()); err != nil || v.n != i {
			t.Fatalf("Take = %v, %v; want value %d", v, err, i)
		}
	}
	if _, err := s.Take(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Take at the end = %v, want io.EOF", err)
	}
}

// Whatever the putters, takers and the closing goroutine do to each other, each value is
// either taken by one taker or released by the slot, once.
func TestSlotOwnership(t *testing.T) {
	for round := range 200 {
		s := NewSlot[*token]()
		const putters, each = 4, 50
		values := make([]token, putters*each)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var puts, takes sync.WaitGroup
		for p := range putters {
			puts.Go(func() {
				for i := range each {
					v := &values[p*each+i]
					if p%2 == 0 {
						s.Put(v)
					} else {
						// Failure is one of the outcomes under test: the slot releases.
						_ = s.PutWait(ctx, v)
					}
				}
			})
		}
		for range 2 {
			takes.Go(func() {
				for {
					v, err := s.Take(ctx)
					if err != nil {
						return
					}
					v.Release()
				}
			})
		}
		if round%2 == 0 {
			puts.Wait()
		}
		s.Close()
		puts.Wait()
		takes.Wait()
		if ctx.Err() != nil {
			t.Fatal("a goroutine slept through a wake-up")
		}
		cancel()
		for i := range values {
			if got := values[i].released.Load(); got != 1 {
				t.Fatalf("round %d: value %d was released %d times, want once", round, i, got)
			}
		}
	}
}

func TestSlotAllocatesNothing(t *testing.T) {
	s, v, ctx := NewSlot[*token](), &token{}, t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		s.Put(v)
		s.Put(v)
		if _, err := s.Take(ctx); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("two Put and one Take allocate %v times, want 0", n)
	}
}

func BenchmarkSlotPutTake(b *testing.B) {
	s, v, ctx := NewSlot[*token](), &token{}, b.Context()
	b.ReportAllocs()
	for b.Loop() {
		s.Put(v)
		if _, err := s.Take(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
