// Package feed makes the batches that a network is trained on: which pictures come in which
// order, and which crops of them. Every batch is determined by the options and its place in
// the training alone, whatever the number of workers and wherever a training is resumed.
package feed

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Options say what is fed.
type Options struct {
	// Sets are labelled sources with the same classes. Each is a domain of its own.
	Sets   []*data.Set
	Recipe augment.Recipe
	// Batch is the number of pictures in a batch of this process.
	Batch int
	// Accumulate is the number of batches that make a step.
	Accumulate int
	Seed       uint64
	// ClassUniform is the share of crops, 0 to 1, that are centred on a class, all classes
	// alike; Tile is the side in pixels of the areas in which classes are looked for.
	ClassUniform float64
	Tile         int
	// Concat makes one domain of all sets, in which every picture is as frequent.
	Concat bool
	// Rank is this process among World ones. Together they take the batches that one process
	// takes with batches World times as large.
	Rank, World int
	// Workers is the number of pictures that are worked on at a time; 0 is half of the
	// processors.
	Workers int
	// CacheBytes bounds the memory for decoded pictures that are kept.
	CacheBytes int64
	// TwoViews adds a second photometric view of each crop.
	TwoViews bool
	// Targets are the pictures whose style FDA takes; they need no labels.
	Targets *data.Set
	// Indexed, if there is one, hears how many of the pictures have been searched for
	// classes, before the first batch. Calls come one at a time.
	Indexed func(done, total int)
}

// Batch is what a network is trained on at a time.
type Batch struct {
	// Iteration counts steps of all domains; Domain is the set's number, 0 with Concat; Micro
	// counts the batches of a step.
	Iteration, Domain, Micro int
	// Random begins the random numbers of whatever is done with the batch; it is the same in
	// all processes.
	Random uint64
	// Side is that of the crops in pixels, and Size their number.
	Side, Size int
	// Pictures holds Size crops of Side rows of Side pixels of three bytes.
	Pictures []uint8
	// Labels holds Size crops of Side rows of Side class ids, or [data.Ignored].
	Labels []uint8
	// Styled holds a second photometric view of the same crops; nil without two views.
	Styled []uint8
}

// Feed makes batches ahead of their use. It keeps a few in memory: those that the caller has
// not released, as many as occupy all workers but two at least, and one more.
type Feed struct {
	options Options
	domains []*domain
	cache   cache
	styles  styles

	started atomic.Bool
	// ready holds the batches that are made, in order; ended is closed when Run has ended,
	// after err was set.
	ready chan *pending
	ended chan struct{}
	// searched is closed when classes have been searched for.
	searched chan struct{}
	err      error
	// next is the batch that Next waited for in vain.
	next *pending
	used sync.Pool
}

// pending is a batch that is being made. Done is closed when it is whole or has failed.
type pending struct {
	Batch
	missing atomic.Int32
	once    sync.Once
	done    chan struct{}
	err     error
}

func (p *pending) finish(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.done)
	})
}

// New checks the options. It starts nothing.
func New(o Options) (*Feed, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if o.Workers == 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	f := &Feed{options: o, cache: cache{free: o.CacheBytes}, ended: make(chan struct{}), searched: make(chan struct{})}
	f.ready = make(chan *pending, max(2, (o.Workers+o.Batch-1)/o.Batch))
	groups := [][]*data.Set{o.Sets}
	if !o.Concat {
		groups = groups[:0]
		for _, set := range o.Sets {
			groups = append(groups, []*data.Set{set})
		}
	}
	for i, sets := range groups {
		f.domains = append(f.domains, newDomain(o, i, sets))
	}
	return f, nil
}

func (o Options) validate() error {
	errs := []error{o.Recipe.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(o.Sets) > 0, "there are no data sets; name one to train on")
	for _, set := range o.Sets {
		check(set.Len() > 0, "%s has no pictures; name another split", set.Name)
		check(set.Labelled(), "%s has no labels; only labelled pictures can be trained on", set.Name)
		check(set.Classes.SameClasses(o.Sets[0].Classes), "%s and %s have different classes; map the labels of one to those of the other", o.Sets[0].Name, set.Name)
	}
	check(o.Batch >= 1, "a batch of %d pictures; take 1 or more", o.Batch)
	check(o.Accumulate >= 1, "%d batches a step; take 1 or more", o.Accumulate)
	check(o.ClassUniform >= 0 && o.ClassUniform <= 1, "a class-uniform share of %v; take 0 to 1", o.ClassUniform)
	check(o.ClassUniform == 0 || o.Tile >= 1, "tiles of %d pixels; take 1 or more", o.Tile)
	check(o.World >= 1 && o.Rank >= 0 && o.Rank < o.World, "rank %d of %d processes; take 0 up to the number less 1", o.Rank, o.World)
	check(o.Workers >= 0, "%d workers; take 0 or more", o.Workers)
	check(o.CacheBytes >= 0, "a cache of %d bytes; take 0 or more", o.CacheBytes)
	if o.Recipe.FDA.Probability > 0 {
		check(o.Targets != nil && o.Targets.Len() > 0, "FDA has no pictures to take styles from; name a target set or switch it off")
	}
	return errors.Join(errs...)
}

// EpochIterations returns the number of iterations in which each picture of the smallest
// domain is drawn about once; 1 at least.
func (f *Feed) EpochIterations() int {
	least := len(f.domains[0].places)
	for _, d := range f.domains[1:] {
		least = min(least, len(d.places))
	}
	return max(1, least/f.options.joined())
}

// BatchesPerIteration returns the number of batches in an iteration: those of a step, for
// every domain.
func (f *Feed) BatchesPerIteration() int { return len(f.domains) * f.options.Accumulate }

// joined returns the number of pictures in a step of all processes.
func (o Options) joined() int { return o.World * o.Batch * o.Accumulate }

// Run makes batches from an iteration on, until ctx ends or a picture cannot be read, and
// returns why it ended. Where crops are centred on classes, it first reads the labels of all
// pictures. It can be called once.
func (f *Feed) Run(ctx context.Context, firstIteration int) error {
	if !f.started.CompareAndSwap(false, true) {
		return errors.New("feed: it runs already, or has run")
	}
	f.err = f.run(ctx, firstIteration)
	close(f.ended)
	return f.err
}

func (f *Feed) run(ctx context.Context, firstIteration int) error {
	if err := f.search(ctx); err != nil {
		return err
	}
	close(f.searched)
	group, ctx := errgroup.WithContext(ctx)
	tasks := make(chan task)
	group.Go(func() error {
		defer close(tasks)
		return f.order(ctx, firstIteration, tasks)
	})
	for range f.options.Workers {
		group.Go(func() error {
			for t := range tasks {
				if err := f.make(t); err != nil {
					t.batch.finish(err)
					return err
				}
				if t.batch.missing.Add(-1) == 0 {
					t.batch.finish(nil)
				}
			}
			return nil
		})
	}
	return group.Wait()
}
