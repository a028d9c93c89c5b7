package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

func TestUnreadablePictureEndsTheFeed(t *testing.T) {
	o := plain(40)
	o.ClassUniform, o.Batch, o.Accumulate, o.Workers = 0, 4, 1, 3
	sound := take(t, o, 0, 10)
	const bad = 23
	at := slices.IndexFunc(sound, func(b Batch) bool { return seen([]Batch{b})[0][bad] > 0 })
	read := o.Sets[0]
	o.Sets[0] = data.NewSet("faulty", labels.Cityscapes(), names("set0", 40), func(s data.Sample) (*data.Picture, error) {
		if s.Name == fmt.Sprint("set0/", bad) {
			return nil, errors.New("street/23.png: the file ends early")
		}
		return read.Read(slices.Index(names("set0", 40), s))
	})
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- f.Run(t.Context(), 0) }()
	for i := range at {
		b, err := f.Next(t.Context())
		if err != nil {
			t.Fatalf("batch %d before the fault: %v", i, err)
		}
		if !equal(*b, sound[i]) {
			t.Fatalf("batch %d before the fault differs", i)
		}
	}
	for range 2 {
		if _, err := f.Next(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "street/23.png: the file ends early") {
			t.Fatalf("Next returns %v", err)
		}
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "street/23.png") {
		t.Fatalf("Run returns %v", err)
	}
}

func TestUnreadablePictureEndsTheSearch(t *testing.T) {
	o := plain(6)
	o.Sets[0] = data.NewSet("faulty", labels.Cityscapes(), names("x", 6), func(s data.Sample) (*data.Picture, error) {
		return nil, errors.New("street/1.png: the file ends early")
	})
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "street/1.png") {
		t.Fatalf("Run returns %v", err)
	}
	if err := f.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "street/1.png") {
		t.Fatalf("Ready returns %v", err)
	}
	if _, err := f.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "street/1.png") {
		t.Fatalf("Next returns %v", err)
	}
}

func TestUnreadableTargetEndsTheFeed(t *testing.T) {
	o := plain(6)
	o.ClassUniform = 0
	o.Recipe.FDA = augment.PublishedFDA()
	o.Targets = data.NewSet("night", labels.Cityscapes(), names("night", 2), func(s data.Sample) (*data.Picture, error) {
		return nil, errors.New("night/1.png: the file ends early")
	})
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(t.Context(), 0); err == nil || !strings.HasPrefix(err.Error(), "night/1.png") {
		t.Fatalf("Run returns %v", err)
	}
}

func TestCancellation(t *testing.T) {
	f, err := New(options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, 0) }()
	if _, err := f.Next(ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("Run returns %v", err)
	}
	for err == nil { // after those that are made
		_, err = f.Next(context.Background())
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Next returns %v", err)
	}
	if err := f.Ready(t.Context()); err != nil {
		t.Errorf("the search is over, and Ready returns %v", err)
	}
	if err := f.Run(t.Context(), 0); err == nil {
		t.Error("Run can be called twice")
	}
}

// A batch of which a picture is missing is never handed out.
func TestUnfinishedBatchesAreWithheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := plain(8)
		o.ClassUniform, o.Batch, o.Accumulate, o.Workers = 0, 2, 1, 1
		set, goOn := o.Sets[0], make(chan bool)
		o.Sets[0] = data.NewSet("slow", labels.Cityscapes(), names("set0", 8), func(s data.Sample) (*data.Picture, error) {
			<-goOn
			return set.Read(slices.Index(names("set0", 8), s))
		})
		f, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx, 0) }()
		goOn <- true
		goOn <- true    // one batch
		synctest.Wait() // half of the next is being read
		stop()
		synctest.Wait() // the other half will not be
		close(goOn)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("Run returns %v", err)
		}
		for i, want := range []error{nil, context.Canceled} {
			if _, err := f.Next(t.Context()); !errors.Is(err, want) {
				t.Fatalf("Next returns %v for batch %d, want %v", err, i, want)
			}
		}
	})
}

func TestWaitingCanBeCancelled(t *testing.T) {
	f, err := New(options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := f.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Ready returns %v", err)
	}
	if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Next returns %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	o := plain(5)
	reads := 0
	set := data.NewSet("counted", labels.Cityscapes(), names("set0", 5), func(s data.Sample) (*data.Picture, error) {
		reads++
		return o.Sets[0].Read(slices.Index(names("set0", 5), s))
	})
	c := cache{free: 150} // pictures have 64 bytes
	for range 3 {
		for i := range 5 {
			if p, err := c.read(place{set, i}); err != nil || p.RGB[1] != uint8(i) {
				t.Fatalf("picture %d is %v, %v", i, p, err)
			}
		}
	}
	if reads != 2+3*3 {
		t.Errorf("%d reads, want 11: two pictures are kept", reads)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	o := plain(50)
	o.ClassUniform, o.Batch, o.Accumulate, o.Workers = 0, 5, 1, 4
	var reads atomic.Int64
	set := o.Sets[0]
	o.Sets[0] = data.NewSet("counted", labels.Cityscapes(), names("set0", 50), func(s data.Sample) (*data.Picture, error) {
		reads.Add(1)
		return set.Read(slices.Index(names("set0", 50), s))
	})
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, 0) }()
	for range 3 {
		if _, err := f.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-ended
	// Three batches are out; two are ready, and a last one was refused.
	if n := reads.Load(); n > 5*(3+2) {
		t.Errorf("%d pictures were read for 15 that were taken", n)
	}
}
