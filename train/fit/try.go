package fit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/internal/memory"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// Trial is what a few iterations have shown.
type Trial struct {
	// Iteration is the median time of one.
	Iteration time.Duration
	// PeakBytes is the most memory that the process has had, that of a GPU not included; 0
	// where the system does not tell.
	PeakBytes int64
}

// Try takes some iterations, at least two, as [Run] would, and writes nothing. The first one
// does not count, for memory is new and pictures are not decoded then. Masks are not selected.
func Try(ctx context.Context, lib *torch.Library, r *run.Run, o Options, iterations int) (trial Trial, err error) {
	t, err := newTrainer(r, o)
	if err != nil {
		return trial, fmt.Errorf("try %s: %w", r.Dir, err)
	}
	if t.complete() {
		return trial, fmt.Errorf("try %s: its schedule is complete", r.Dir)
	}
	var times []time.Duration
	err = t.fed(ctx, lib, func(s *torch.Scope) error {
		if err := t.restore(s); err != nil {
			return err
		}
		if err := t.feed.Ready(ctx); err != nil {
			return err
		}
		for range max(iterations, 2) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			start := time.Now()
			if err := t.iterate(s); err != nil {
				return err
			}
			times = append(times, time.Since(start))
		}
		return nil
	})
	if err != nil {
		return trial, fmt.Errorf("try %s: %w", r.Dir, err)
	}
	times = slices.Sorted(slices.Values(times[1:]))
	return Trial{Iteration: times[len(times)/2], PeakBytes: memory.PeakBytes()}, nil
}

// fed calls train while the feed prepares batches.
func (t *trainer) fed(ctx context.Context, lib *torch.Library, train func(s *torch.Scope) error) error {
	// Batches come until the iteration is complete, though ctx has ended.
	feeding, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	if !t.complete() {
		group.Go(func() error { return t.feed.Run(feeding, t.progress.Iterations) })
	}
	err := lib.Run(torch.Options{Device: t.Device, Threads: t.Threads, Seed: int64(t.config.Seed)}, train)
	stop()
	_ = group.Wait() // a batch that nobody asked for may have failed
	return err
}
