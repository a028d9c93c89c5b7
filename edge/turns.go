package edge

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
)

// network is the one engine that all cameras share. Those that have a frame take turns, in
// the order in which they came, so that each gets the same number of frames through, however
// many it delivers.
type network struct {
	trt.Engine
	turns
	frozen atomic.Bool
}

func newNetwork(e trt.Engine) *network { return &network{Engine: e} }

// run segments a frame in the turn of its camera.
func (n *network) run(ctx context.Context, f *camera.Frame) (trt.Result, error) {
	if n.frozen.Load() {
		<-ctx.Done()
		return trt.Result{}, ctx.Err()
	}
	return n.Run(f)
}

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

// turns let one at a time use what they share, first come, first served. Unlike the semaphore of
// golang.org/x/sync, which is as fair, they allocate nothing for those who wait.
type turns struct {
	mu    sync.Mutex
	taken bool
	queue []*place
}

// place is where one goroutine waits for its turns.
type place struct{ called chan struct{} }

func newPlace() *place { return &place{called: make(chan struct{}, 1)} }

// take waits for a turn, which the caller ends with release.
func (t *turns) take(ctx context.Context, p *place) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	t.queue = append(t.queue, p)
	t.mu.Unlock()
	select {
	case <-p.called:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(t.queue, p)
	if at >= 0 {
		t.queue = slices.Delete(t.queue, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // called meanwhile
		<-p.called
		t.release()
	}
	return ctx.Err()
}

// release passes the turn on to the one who has waited longest.
func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.taken = false
		return
	}
	next := t.queue[0]
	t.queue = slices.Delete(t.queue, 0, 1)
	next.called <- struct{}{} // has room: it is called once for each time it waits
}
