package live

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFeed(t *testing.T) {
	pool := camera.NewPool(4, 2)
	frame := func(seq uint64) *camera.Frame {
		f := pool.Get()
		f.Seq = seq
		return f
	}
	f := NewFeed("rtsp://h/x")
	f.Put(frame(1))
	f.Skipped.Add(3)
	f.Put(frame(2))
	got, err := f.Read(t.Context())
	if err != nil || got.Seq != 2 || got.Skipped != 4 {
		t.Fatalf("Read: %+v, %v; want frame 2 with 4 skipped before it", got, err)
	}
	got.Release()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Read(ctx); !errors.Is(err, context.Canceled) || err.Error() != "read camera rtsp://h/x: context canceled" {
		t.Errorf("Read with a context that has ended: %v", err)
	}

	f.Put(frame(3))
	f.Fail(fs.ErrNotExist)
	f.Fail(io.EOF)
	if got, err = f.Read(t.Context()); err != nil || got.Seq != 3 || got.Skipped != 0 {
		t.Fatalf("Read after the end: %+v, %v; want the last frame", got, err)
	}
	got.Release()
	if _, err := f.Read(t.Context()); !errors.Is(err, fs.ErrNotExist) || !errors.Is(f.Cause(), fs.ErrNotExist) {
		t.Errorf("Read at the end: %v, cause %v; want the first cause", err, f.Cause())
	}
}

// The regular end is io.EOF itself, as [camera.Source] promises.
func TestFeedEnds(t *testing.T) {
	f := NewFeed("clip")
	read := make(chan error)
	go func() {
		_, err := f.Read(context.Background())
		read <- err
	}()
	f.Fail(io.EOF)
	if err := <-read; err != io.EOF {
		t.Errorf("Read: %v, want io.EOF", err)
	}
	<-f.Done()
}

func TestFeedDrains(t *testing.T) {
	pool := camera.NewPool(4, 2)
	f, frame := NewFeed("clip"), pool.Get()
	f.Put(frame)
	f.Fail(fs.ErrClosed)
	for range 2 {
		f.Drain()
	}
	if again := pool.Get(); again != frame {
		t.Error("the frame that nobody read is not back in its pool")
	}
}
