package pace

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		start := time.Now()
		at := func(pts, want time.Duration) {
			t.Helper()
			if err := c.Wait(t.Context(), nil, pts); err != nil {
				t.Fatalf("Wait(%v): %v", pts, err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("picture at %v came at %v, want %v", pts, got, want)
			}
		}
		ms := time.Millisecond
		at(2000*ms, 0) // a recording need not begin at zero
		at(2100*ms, 100*ms)
		time.Sleep(250 * ms) // a short delay is made up
		at(2200*ms, 350*ms)
		at(2300*ms, 350*ms)
		at(2400*ms, 400*ms)
		time.Sleep(5000 * ms) // a long one is not
		at(2500*ms, 5400*ms)
		at(2600*ms, 5500*ms)
	})
}

func TestClockEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		if err := c.Wait(t.Context(), nil, 0); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		close(closed)
		if err := c.Wait(t.Context(), closed, time.Hour); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Wait on a closed source = %v, want fs.ErrClosed", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Wait(ctx, nil, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v, want context.Canceled", err)
		}
	})
}
