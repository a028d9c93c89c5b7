package edge

import (
	"sync/atomic"
	"time"
)

// stage is a part of a pipeline that can hang by itself.
type stage int

// The stages, named by what hangs.
const (
	capturing  stage = iota // the camera's driver
	segmenting              // the network, with a frame of this camera
	presenting              // drawing, encoding or writing
	stageCount
)

// String is the stage for the log.
func (s stage) String() string {
	return [stageCount]string{"camera", "network", "output"}[s]
}

const (
	// pulseSlack is how much longer than its own deadlines a stage may take.
	pulseSlack = 5 * time.Second
	// firstFrameSlack is for the first frame: nobody knows yet how long the network takes.
	firstFrameSlack = 60 * time.Second
	// presentSlack has room for an encoder that hangs, is begun anew, hangs again and is
	// replaced.
	presentSlack = 20 * time.Second
)

// pulse knows by when each stage of a pipeline must be done with what it does. One that has not
// been done by then hangs, and only a new process gets over that. A stage that waits for another,
// or for its turn, has no deadline: what it waits for has. So a camera that is away, a slow
// network and many cameras are not taken for something that hangs. It is safe for concurrent use.
type pulse struct {
	begun     time.Time                // deadlines must not follow a clock that is set
	deadlines [stageCount]atomic.Int64 // nanoseconds since then; 0 for none
}

func newPulse() *pulse { return &pulse{begun: time.Now()} }

// within says that the stage has begun something that must end by then.
func (p *pulse) within(s stage, d time.Duration) {
	p.deadlines[s].Store(int64(time.Since(p.begun) + d))
}

// rests says that the stage waits for another.
func (p *pulse) rests(s stage) { p.deadlines[s].Store(0) }

// hanging returns the first stage that is past its deadline, if any is.
func (p *pulse) hanging() (s stage, hangs bool) {
	now := int64(time.Since(p.begun))
	for s := range stageCount {
		if by := p.deadlines[s].Load(); by != 0 && now > by {
			return s, true
		}
	}
	return 0, false
}
