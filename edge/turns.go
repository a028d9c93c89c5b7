package edge

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/robustnet-edge/robustnet/trt"
)

// network is the one engine that all cameras share. Those that have a frame take turns, in
// the order in which they came, so that each gets the same number of frames through, however
// many it delivers.
type network struct {
	trt.Engine
	turn   *semaphore.Weighted // first come, first served
	frozen atomic.Bool
}

func newNetwork(e trt.Engine) *network {
	return &network{Engine: e, turn: semaphore.NewWeighted(1)}
}

// take waits for a turn, which the caller ends with release.
func (n *network) take(ctx context.Context) error {
	if err := n.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	if n.frozen.Load() {
		<-ctx.Done()
		n.release()
		return ctx.Err()
	}
	return nil
}

func (n *network) release() { n.turn.Release(1) }

// freeze lets no frame through any more, as a network that hangs does: for tests of what
// watches over the daemon.
func (n *network) freeze() { n.frozen.Store(true) }

// classes are the names of the model's classes, in the order of their ids.
func (n *network) classes() []string {
	card := n.Card()
	names := make([]string, len(card.Classes))
	for i, c := range card.Classes {
		names[i] = c.Name
	}
	return names
}
