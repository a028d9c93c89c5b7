package edge

import (
	"sync/atomic"
	"time"
)

// pulseSlack is how much longer than its own deadlines a pipeline may take to tell anything.
// The first frame gets more: nobody knows yet how long the network takes for one.
const (
	pulseSlack      = 5 * time.Second
	firstFrameSlack = 60 * time.Second
)

// pulse knows by when a pipeline must have told something: that a frame has come through,
// that the camera was lost, or that it is open again. A pipeline that has not hangs, in a
// driver, in the network or in an encoder, and only a new process gets over that. It is safe
// for concurrent use.
type pulse struct {
	deadline atomic.Int64 // Unix nanoseconds
}

// within says that the next sign of life is due.
func (p *pulse) within(d time.Duration) { p.deadline.Store(time.Now().Add(d).UnixNano()) }

// beats says whether the pipeline is within its deadline.
func (p *pulse) beats() bool { return time.Now().UnixNano() < p.deadline.Load() }
