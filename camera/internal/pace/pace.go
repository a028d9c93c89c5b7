// Package pace delivers recorded pictures at the rate at which they were taken.
package pace

import (
	"context"
	"io/fs"
	"time"
)

// maxLag is how far delivery may fall behind before the lost time is given up. Below it,
// late pictures follow each other at once until the schedule is met again.
const maxLag = 500 * time.Millisecond

// Clock maps the time line of a recording to the wall clock. The zero value is ready; it
// starts with the first Wait. One goroutine may use it.
type Clock struct {
	start time.Time
	timer *time.Timer
}

// Wait blocks until the picture at pts is due. It returns ctx's error when ctx ends
// first, and fs.ErrClosed when closed does.
func (c *Clock) Wait(ctx context.Context, closed <-chan struct{}, pts time.Duration) error {
	now := time.Now()
	if c.timer == nil {
		c.start = now.Add(-pts)
		c.timer = time.NewTimer(0)
		<-c.timer.C
	}
	wait := c.start.Add(pts).Sub(now)
	if wait < -maxLag {
		c.start = c.start.Add(-wait)
	}
	if wait <= 0 {
		return ctx.Err()
	}
	c.timer.Reset(wait)
	defer c.timer.Stop()
	select {
	case <-c.timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return fs.ErrClosed
	}
}
