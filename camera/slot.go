package camera

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Releaser is a value whose owner gives it back when it is done with it.
type Releaser interface{ Release() }

// ErrSlotClosed is reported by [Slot.PutWait] when nobody will take the value.
var ErrSlotClosed = errors.New("slot is closed")

// Slot hands values from one pipeline stage to the next and holds at most one: the
// newest. A slow consumer therefore loses old values and is never given stale ones.
// Every value put is either taken once or released once by the slot. It is safe for
// concurrent use, starts no goroutines and allocates nothing per operation.
type Slot[T Releaser] struct {
	mu      sync.Mutex
	value   T
	full    bool
	closed  bool
	dropped uint64

	// Wake-up hints with room for one. A waiter that received one rechecks the state
	// under mu, and acts on it whatever else has happened, so that no hint is lost.
	filled  chan struct{}
	emptied chan struct{}
	done    chan struct{} // closed by Close
}

// NewSlot makes an empty slot.
func NewSlot[T Releaser]() *Slot[T] {
	return &Slot[T]{
		filled:  make(chan struct{}, 1),
		emptied: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// Put hands v over without waiting. If an older value is still there, that one is
// released; on a closed slot v is. In both cases Put counts it and reports true.
func (s *Slot[T]) Put(v T) (dropped bool) {
	s.mu.Lock()
	if s.closed {
		s.dropped++
		s.mu.Unlock()
		v.Release()
		return true
	}
	old, dropped := s.value, s.full
	s.value, s.full = v, true
	if dropped {
		s.dropped++
	}
	s.mu.Unlock()
	hint(s.filled)
	if dropped {
		old.Release()
	}
	return dropped
}

// PutWait hands v over once the slot is empty, so that nothing is lost. If ctx ends or
// the slot is closed first, it releases v and returns ctx's error or [ErrSlotClosed].
func (s *Slot[T]) PutWait(ctx context.Context, v T) error {
	err := ctx.Err()
	for err == nil {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			err = ErrSlotClosed
			break
		}
		if !s.full {
			s.value, s.full = v, true
			s.mu.Unlock()
			hint(s.filled)
			return nil
		}
		s.mu.Unlock()
		select {
		case <-s.emptied:
		case <-s.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	v.Release()
	return err
}

// Take waits for a value and passes it to the caller. It returns io.EOF when the slot is
// closed and empty, and ctx's error when ctx ends first.
func (s *Slot[T]) Take(ctx context.Context) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	for {
		s.mu.Lock()
		if s.full {
			v := s.value
			s.value, s.full = none, false
			s.mu.Unlock()
			hint(s.emptied)
			return v, nil
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return none, io.EOF
		}
		select {
		case <-s.filled:
		case <-s.done:
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}

// Wait waits until there is a value and leaves it where it is, for a newer one to replace it
// before it is taken. It returns io.EOF when the slot is closed and empty, and ctx's error
// when ctx ends first. Only the one who takes may wait.
func (s *Slot[T]) Wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		full, closed := s.full, s.closed
		s.mu.Unlock()
		switch {
		case full:
			return nil
		case closed:
			return io.EOF
		}
		select {
		case <-s.filled:
		case <-s.done:
		case <-ctx.Done():
		}
	}
}

// Close says that no value will follow. A value still in the slot can be taken. Close is
// idempotent.
func (s *Slot[T]) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

// Dropped is how many values Put has released so far.
func (s *Slot[T]) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
