package feed

import (
	"context"
	"math/rand/v2"
)

// task is a picture that is to be made.
type task struct {
	batch *pending
	slot  int // in the batch
	draw  draw
	// random begins the random numbers of the picture.
	random uint64
}

// order hands out the pictures of one batch after the other.
func (f *Feed) order(ctx context.Context, iteration int, tasks chan<- task) error {
	o := f.options
	for ; ; iteration++ {
		for d, domain := range f.domains {
			for micro := range o.Accumulate {
				p := f.fresh()
				p.Iteration, p.Domain, p.Micro = iteration, d, micro
				p.Random = mix(o.Seed, uint64(iteration), uint64(d), uint64(micro))
				select {
				case f.ready <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
				first := iteration*o.joined() + (micro*o.World+o.Rank)*o.Batch
				for i := range o.Batch {
					t := task{p, i, domain.draw(first + i), mix(o.Seed, uint64(d), uint64(first+i))}
					select {
					case tasks <- t:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
		}
	}
}

// fresh returns a batch to be filled.
func (f *Feed) fresh() *pending {
	o := f.options
	p := &pending{done: make(chan struct{})}
	p.missing.Store(int32(o.Batch))
	if b, ok := f.used.Get().(*Batch); ok {
		p.Batch = *b
		return p
	}
	pixels := o.Batch * o.Recipe.CropSide * o.Recipe.CropSide
	p.Batch = Batch{Side: o.Recipe.CropSide, Size: o.Batch, Pictures: make([]uint8, 3*pixels), Labels: make([]uint8, pixels)}
	if o.TwoViews {
		p.Styled = make([]uint8, 3*pixels)
	}
	return p
}

// The streams of random numbers of a picture.
const (
	cropStream = iota
	styleStream
	viewStream
	secondViewStream
)

// make makes a picture.
func (f *Feed) make(t task) error {
	r := f.options.Recipe
	p, err := f.cache.read(t.draw.place)
	if err != nil {
		return err
	}
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(t.random, n)) }
	crop, scene := r.Crop(stream(cropStream), p, t.draw.centre)
	if rng := stream(styleStream); rng.Float64() < r.FDA.Probability {
		targets := f.options.Targets
		style, err := f.styles.of(r, targets, rng.IntN(targets.Len()))
		if err != nil {
			return err
		}
		style.Apply(crop, scene)
	}
	pixels := r.CropSide * r.CropSide
	first := t.batch.Pictures[3*pixels*t.slot:][:3*pixels]
	copy(first, crop.RGB)
	r.Photometric(stream(viewStream), first, r.CropSide, r.CropSide)
	copy(t.batch.Labels[pixels*t.slot:][:pixels], crop.Labels)
	if t.batch.Styled != nil {
		second := t.batch.Styled[3*pixels*t.slot:][:3*pixels]
		copy(second, crop.RGB)
		r.Photometric(stream(secondViewStream), second, r.CropSide, r.CropSide)
	}
	return nil
}

// Ready waits until [Feed.Run] has searched the pictures for classes, or has failed.
func (f *Feed) Ready(ctx context.Context) error {
	select {
	case <-f.searched:
		return nil
	case <-f.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-f.searched:
		return nil
	default:
		return f.err
	}
}

// Next returns the next batch, in order: for each iteration, for each domain, the batches of
// a step. It waits for [Feed.Run] to make it, and returns Run's error after the last batch
// that could be made. One goroutine at a time may call it.
func (f *Feed) Next(ctx context.Context) (*Batch, error) {
	if f.next == nil {
		select {
		case f.next = <-f.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.ended:
			select {
			case f.next = <-f.ready:
			default:
				return nil, f.err
			}
		}
	}
	p := f.next
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.ended:
		p.finish(f.err) // unless it is done
	}
	if p.err != nil {
		return nil, p.err
	}
	f.next = nil
	return &p.Batch, nil
}

// Release lets the feed fill the memory of a batch anew. The batch must not be used
// afterwards. Batches that are not released are left to the garbage collector.
func (f *Feed) Release(b *Batch) { f.used.Put(b) }

// mix makes a number from others, each of whose bits depends on all of theirs.
func mix(numbers ...uint64) uint64 {
	h := uint64(len(numbers))
	for _, n := range numbers { // the finaliser of SplitMix64
		h += n + 0x9E3779B97F4A7C15
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}
