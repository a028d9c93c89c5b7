package feed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
)

// camvid opens the day pictures of CamVid.
func camvid(b *testing.B) *data.Set {
	dir := filepath.Join("..", "..", "..", "shared", "data", "camvid")
	if _, err := os.Stat(dir); err != nil {
		b.Skipf("no pictures: %v", err)
	}
	set, err := data.Open("camvid=" + dir + ":day_train")
	if err != nil {
		b.Fatal(err)
	}
	return set
}

func BenchmarkFeed(b *testing.B) {
	set := camvid(b)
	for _, cache := range []int64{0, 1 << 30} {
		b.Run(fmt.Sprintf("cache=%dMiB", cache>>20), func(b *testing.B) {
			f, err := New(Options{Sets: []*data.Set{set}, Recipe: augment.Published(256), Batch: 4, Accumulate: 1, World: 1, CacheBytes: cache})
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- f.Run(ctx, 0) }()
			for range set.Len() / 4 {
				batch, err := f.Next(ctx)
				if err != nil {
					b.Fatal(err)
				}
				f.Release(batch)
			}
			before := processorTime()
			for b.Loop() {
				batch, err := f.Next(ctx)
				if err != nil {
					b.Fatal(err)
				}
				f.Release(batch)
			}
			b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
			b.ReportMetric((processorTime()-before).Seconds()*1e3/float64(4*b.N), "processor-ms/picture")
			stop()
			<-ended
		})
	}
}

// processorTime is what counts where other work wants the processors too.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
