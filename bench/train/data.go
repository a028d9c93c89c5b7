package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/feed"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// dataCost lets iterations on a fixed batch and ones that are fed from a data set by the
// published recipe take turns, in one process, and prints what the data adds.
func (b bench) dataCost(source string) error {
	set, err := data.Open(source)
	if err != nil {
		return err
	}
	load := workload{batch: 4, side: 256, threads: b.threads}
	f, err := feed.New(feed.Options{Sets: []*data.Set{set}, Recipe: augment.Published(load.side), Batch: load.batch,
		Accumulate: 1, Seed: 1, World: 1, CacheBytes: 1 << 30})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, 0) }()
	err = b.fedAndBare(ctx, f, load)
	stop()
	if failed := <-ended; !errors.Is(failed, context.Canceled) {
		err = errors.Join(err, failed)
	}
	return err
}

// perTurn is far above the number of batches that are prepared ahead, so that a turn pays for
// nearly all that it uses.
const perTurn = 40

func (b bench) fedAndBare(ctx context.Context, f *feed.Feed, load workload) error {
	lib, err := torch.Load("")
	if err != nil {
		return err
	}
	return lib.Run(torch.Options{Threads: load.threads, Seed: 1}, func(s *torch.Scope) error {
		t, err := newTrainer(s, load)
		if err != nil {
			return err
		}
		var bare, fed, waited time.Duration
		for turn := range 1 + b.rounds/2 {
			start := time.Now()
			for range perTurn {
				t.step(t.x, t.labels)
			}
			middle := time.Now()
			var wait time.Duration
			for range perTurn {
				asked := time.Now()
				batch, err := f.Next(ctx)
				if err != nil {
					return err
				}
				wait += time.Since(asked)
				s.In(func(s *torch.Scope) {
					t.step(model.Pictures(s, batch.Pictures, batch.Size, batch.Side, batch.Side),
						model.Labels(s, batch.Labels, batch.Size, batch.Side, batch.Side))
				})
				f.Release(batch)
			}
			if turn == 0 {
				continue // the first reads every picture from the disk
			}
			bare += middle.Sub(start)
			fed += time.Since(middle)
			waited += wait
		}
		fmt.Printf("data adds to an iteration, batch %d at %d²: %+.1f %% (%.0f ms bare, %.0f ms with data, of which %.2f ms waiting)\n",
			load.batch, load.side, 100*(fed.Seconds()/bare.Seconds()-1), milliseconds(bare, b.rounds/2*perTurn),
			milliseconds(fed, b.rounds/2*perTurn), milliseconds(waited, b.rounds/2*perTurn))
		return s.Err()
	})
}

func milliseconds(d time.Duration, n int) float64 { return 1e3 * d.Seconds() / float64(n) }
