package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drawn returns a set of small pictures, all different, of the 19 classes.
func drawn(name string, n int) *data.Set {
	return data.NewSet(name, labels.Cityscapes(), names(name, n), func(s data.Sample) (*data.Picture, error) {
		h := uint64(0)
		for _, c := range s.Name {
			h = mix(h, uint64(c))
		}
		rng := rand.New(rand.NewPCG(h, 0))
		p := &data.Picture{Width: 37 + rng.IntN(20), Height: 25 + rng.IntN(20)}
		p.RGB, p.Labels = make([]uint8, 3*p.Width*p.Height), make([]uint8, p.Width*p.Height)
		for i := range p.RGB {
			p.RGB[i] = uint8(rng.Uint32())
		}
		for i := range p.Labels {
			p.Labels[i] = uint8(rng.IntN(19))
		}
		return p, nil
	})
}

func names(set string, n int) []data.Sample {
	samples := make([]data.Sample, n)
	for i := range samples {
		samples[i].Name = fmt.Sprintf("%s/%d", set, i)
	}
	return samples
}

// plain returns options that leave little to chance: whole pictures of one colour, the red
// channel telling the set and the green one the picture.
func plain(sets ...int) Options {
	o := options()
	o.Sets = nil
	o.Recipe = augment.Recipe{CropSide: 4, ScaleMin: 1, ScaleMax: 1}
	for set, n := range sets {
		name := fmt.Sprint("set", set)
		o.Sets = append(o.Sets, data.NewSet(name, labels.Cityscapes(), names(name, n), func(s data.Sample) (*data.Picture, error) {
			var picture int
			if _, err := fmt.Sscanf(s.Name, name+"/%d", &picture); err != nil {
				return nil, err
			}
			p := &data.Picture{Width: 4, Height: 4, RGB: make([]uint8, 48), Labels: make([]uint8, 16)}
			for i := range p.Labels {
				p.RGB[3*i], p.RGB[3*i+1] = uint8(set), uint8(picture)
			}
			return p, nil
		}))
	}
	return o
}

func options() Options {
	return Options{Sets: []*data.Set{drawn("a", 11), drawn("b", 7)}, Recipe: augment.Published(24), Batch: 3, Accumulate: 2, Seed: 5, ClassUniform: 0.5, Tile: 16, World: 1, Workers: 2, TwoViews: true}
}

// take returns copies of the next n batches from an iteration on.
func take(t testing.TB, o Options, firstIteration, n int) []Batch {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx, firstIteration) }()
	batches := make([]Batch, n)
	for i := range batches {
		b, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		batches[i] = *b
		batches[i].Pictures, batches[i].Labels, batches[i].Styled = slices.Clone(b.Pictures), slices.Clone(b.Labels), slices.Clone(b.Styled)
		f.Release(b)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("Run ended with %v", err)
	}
	return batches
}

func equal(a, b Batch) bool {
	return a.Iteration == b.Iteration && a.Domain == b.Domain && a.Micro == b.Micro && a.Side == b.Side && a.Size == b.Size &&
		slices.Equal(a.Pictures, b.Pictures) && slices.Equal(a.Labels, b.Labels) && slices.Equal(a.Styled, b.Styled)
}

func requireEqual(t *testing.T, got, want []Batch) {
	t.Helper()
	for i := range want {
		if !equal(got[i], want[i]) {
			t.Fatalf("batch %d differs", i)
		}
	}
}

func TestBatchesDependOnTheirPlaceAlone(t *testing.T) {
	for _, variant := range []struct {
		name   string
		change func(*Options)
	}{
		{"domains", func(*Options) {}},
		{"mixed", func(o *Options) { o.Concat = true }},
		{"FDA and PASTA", func(o *Options) {
			o.Targets = drawn("target", 3)
			o.Recipe.FDA = augment.FDA{Beta: 0.1, Probability: 0.5}
			o.Recipe.PASTA = augment.PublishedPASTA()
		}},
	} {
		t.Run(variant.name, func(t *testing.T) {
			o := options()
			variant.change(&o)
			f, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			each := f.BatchesPerIteration()
			whole := take(t, o, 0, 9*each)
			for i, b := range whole {
				if b.Iteration != i/each || b.Domain != i%each/o.Accumulate || b.Micro != i%o.Accumulate {
					t.Fatalf("batch %d is of iteration %d, domain %d, %d", i, b.Iteration, b.Domain, b.Micro)
				}
				if i > 0 && slices.Equal(b.Pictures, whole[i-1].Pictures) {
					t.Fatalf("batch %d repeats the one before", i)
				}
				if slices.Equal(b.Pictures, b.Styled) {
					t.Fatalf("batch %d has twice the same view", i)
				}
			}
			for _, workers := range []int{1, 5} {
				for _, cache := range []int64{0, 20_000, 1 << 30} {
					other := o
					other.Workers, other.CacheBytes = workers, cache
					requireEqual(t, take(t, other, 0, len(whole)), whole)
				}
			}
			requireEqual(t, take(t, o, 4, 5*each), whole[4*each:])
			single := o
			single.TwoViews = false
			for i, b := range take(t, single, 0, 4) {
				if b.Styled != nil || !slices.Equal(b.Pictures, whole[i].Pictures) {
					t.Fatalf("batch %d depends on the second view", i)
				}
			}
		})
	}
}

// What is ignored here is margin alone.
func TestFDALeavesMarginsBlack(t *testing.T) {
	o := options()
	o.Targets = drawn("target", 3)
	o.Recipe = augment.Recipe{CropSide: 64, ScaleMin: 0.5, ScaleMax: 2, FlipProbability: 0.5, FDA: augment.FDA{Beta: 0.1, Probability: 1}}
	margin := 0
	for _, b := range take(t, o, 0, 12) {
		for i, id := range b.Labels {
			if id != data.Ignored {
				continue
			}
			margin++
			if pixel := [3]uint8(b.Pictures[3*i:]); pixel != [3]uint8{} {
				t.Fatalf("a pixel of the margin is %v", pixel)
			}
		}
	}
	if margin == 0 {
		t.Error("no crop has a margin")
	}
}

func TestRanksShareJoinedBatches(t *testing.T) {
	joined := options()
	joined.Batch = 6
	want := take(t, joined, 2, 8)
	const world = 3
	for rank := range world {
		o := options()
		o.Batch, o.World, o.Rank = 2, world, rank
		for i, b := range take(t, o, 2, len(want)) {
			w := want[i]
			pixels := b.Size * b.Side * b.Side
			from := rank * pixels
			w.Size, w.Pictures, w.Labels, w.Styled = b.Size, w.Pictures[3*from:][:3*pixels], w.Labels[from:][:pixels], w.Styled[3*from:][:3*pixels]
			if !equal(b, w) {
				t.Fatalf("rank %d: batch %d is not the share of the joined one", rank, i)
			}
		}
	}
}

// seen counts how often each picture is in batches, by set.
func seen(batches []Batch) map[int]map[int]int {
	counts := map[int]map[int]int{}
	for _, b := range batches {
		for i := range b.Size {
			p := b.Pictures[3*b.Side*b.Side*i:]
			if counts[int(p[0])] == nil {
				counts[int(p[0])] = map[int]int{}
			}
			counts[int(p[0])][int(p[1])]++
		}
	}
	return counts
}

func TestEveryPictureIsDrawnOnceAnEpoch(t *testing.T) {
	o := plain(11, 7)
	o.ClassUniform, o.Batch, o.Accumulate = 0, 3, 1
	for name, concat := range map[string]bool{"domains": false, "mixed": true} {
		t.Run(name, func(t *testing.T) {
			o.Concat = concat
			// 77 draws of each domain are 7 epochs of one set and 11 of the other, but for
			// those that the last batch lacks; 54 of both together are 3 epochs.
			batches, want := 2*(77/3), [2][2]int{{6, 7}, {10, 11}}
			if concat {
				batches, want = 54/3, [2][2]int{{3, 3}, {3, 3}}
			}
			counts := seen(take(t, o, 0, batches))
			for set, n := range []int{11, 7} {
				for picture := range n {
					if c := counts[set][picture]; c < want[set][0] || c > want[set][1] {
						t.Errorf("picture %d of set %d is drawn %d times", picture, set, c)
					}
				}
			}
		})
	}
}

func TestEpochsDifferInOrder(t *testing.T) {
	o := plain(12)
	o.ClassUniform, o.Batch, o.Accumulate = 0, 12, 1
	epochs := take(t, o, 0, 3)
	if slices.Equal(epochs[0].Pictures, epochs[1].Pictures) || slices.Equal(epochs[1].Pictures, epochs[2].Pictures) {
		t.Error("epochs have the same order")
	}
	o.Seed++
	if slices.Equal(take(t, o, 0, 1)[0].Pictures, epochs[0].Pictures) {
		t.Error("the seed does not change the order")
	}
}

func TestIterationsOfAnEpoch(t *testing.T) {
	for _, c := range []struct {
		sets               []int
		batch, world       int
		concat             bool
		iterations, passes int
	}{
		{[]int{100}, 5, 1, false, 10, 2},
		{[]int{100, 30}, 5, 1, false, 3, 4},
		{[]int{100, 30}, 5, 1, true, 13, 2},
		{[]int{100}, 5, 2, false, 5, 2},
		{[]int{3}, 5, 1, false, 1, 2},
	} {
		o := plain(c.sets...)
		o.Batch, o.World, o.Concat = c.batch, c.world, c.concat
		f, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if f.EpochIterations() != c.iterations || f.BatchesPerIteration() != c.passes {
			t.Errorf("%+v: an epoch has %d iterations of %d batches", c, f.EpochIterations(), f.BatchesPerIteration())
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	tests := []struct {
		name, want string
		change     func(*Options)
	}{
		{"no sets", "no data sets", func(o *Options) { o.Sets = nil }},
		{"empty set", "empty has no pictures", func(o *Options) { o.Sets = append(o.Sets, drawn("empty", 0)) }},
		{"classes", "different classes", func(o *Options) { o.Sets[1] = data.NewSet("c", labels.CamVid(), names("c", 1), nil) }},
		{"batch", "a batch of 0", func(o *Options) { o.Batch = 0 }},
		{"accumulate", "0 batches a step", func(o *Options) { o.Accumulate = 0 }},
		{"share", "share of 1.5", func(o *Options) { o.ClassUniform = 1.5 }},
		{"tile", "tiles of 0", func(o *Options) { o.Tile = 0 }},
		{"rank", "rank 2 of 2", func(o *Options) { o.Rank, o.World = 2, 2 }},
		{"workers", "-1 workers", func(o *Options) { o.Workers = -1 }},
		{"cache", "-1 bytes", func(o *Options) { o.CacheBytes = -1 }},
		{"recipe", "augmentation.crop", func(o *Options) { o.Recipe.CropSide = 0 }},
		{"targets", "FDA has no pictures", func(o *Options) { o.Recipe.FDA = augment.PublishedFDA() }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			test.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
