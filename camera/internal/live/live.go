// Package live hands frames from the goroutines of a camera that does not wait to its reader,
// who gets the newest.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/robustnet-edge/robustnet/camera"
)

// Feed is the part of a source that is read and that ends. It starts no goroutines, and all
// methods are safe for concurrent use.
type Feed struct {
	// Name is the camera's, for errors; without a password.
	Name string
	// Skipped counts the pictures that were lost since the last frame was read.
	Skipped atomic.Uint64

	frames *camera.Slot[*camera.Frame]
	done   chan struct{}
	once   sync.Once
	cause  error // set before done is closed
}

// NewFeed makes the feed of a camera.
func NewFeed(name string) *Feed {
	return &Feed{Name: name, frames: camera.NewSlot[*camera.Frame](), done: make(chan struct{})}
}

// Put hands a frame over without waiting. One that still lies there gives way and counts as
// skipped.
func (f *Feed) Put(frame *camera.Frame) {
	if f.frames.Put(frame) {
		f.Skipped.Add(1)
	}
}

// Fail ends the feed: what was put can still be read, and then comes the cause. The first one
// is kept. io.EOF is the regular end of the source.
func (f *Feed) Fail(cause error) {
	f.once.Do(func() {
		f.cause = cause
		close(f.done)
		f.frames.Close()
	})
}

// Done is closed when the feed has ended.
func (f *Feed) Done() <-chan struct{} { return f.done }

// Cause waits for the feed's end, and returns why it came.
func (f *Feed) Cause() error {
	<-f.done
	return f.cause
}

// Read is that of [camera.Source].
func (f *Feed) Read(ctx context.Context) (*camera.Frame, error) {
	frame, err := f.frames.Take(ctx)
	if errors.Is(err, io.EOF) {
		if err = f.Cause(); err == io.EOF {
			return nil, io.EOF
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read camera %s: %w", f.Name, err)
	}
	frame.Skipped = f.Skipped.Swap(0)
	return frame, nil
}

// Drain releases the frame that nobody has read, after Fail and the last Put.
func (f *Feed) Drain() {
	// Take does not block on a closed slot.
	if frame, err := f.frames.Take(context.Background()); err == nil {
		frame.Release()
	}
}
