package fit

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// selectsMasks says whether the masks are to be selected before the next iteration.
func (t *trainer) selectsMasks() bool {
	return t.run.Config.Method == nn.ISW && t.masks == nil && t.progress.Iterations >= t.config.Masks.After
}

// selectMasks selects the covariances that react to the style of the sources' pictures, and
// from then on penalises them: in each trial and source by themselves, then those that all
// agree on. When it is interrupted there are no masks yet.
func (t *trainer) selectMasks(ctx context.Context, s *torch.Scope) error {
	start := time.Now()
	if err := t.status("selecting masks", ""); err != nil {
		return err
	}
	total := 0
	for _, set := range t.sources {
		total += t.config.Masks.Trials * min(t.config.Masks.Pictures, set.Len())
	}
	done := 0
	selected := map[string][]whiten.Mask{}
	for trial := range t.config.Masks.Trials {
		for i, set := range t.sources {
			rng := rand.New(rand.NewPCG(t.config.Seed, uint64(trial)<<32|uint64(i)))
			averages, err := t.compare(ctx, s, set, rng, func() {
				if done++; t.Events.Masks != nil {
					t.Events.Masks(done, total)
				}
			})
			if err != nil || averages == nil {
				return err
			}
			for i, tap := range t.run.Net.Collected() {
				variances, err := averages[i].Mean()
				if err != nil {
					return fmt.Errorf("%s: %w", tap.Name, err)
				}
				mask, err := t.selector(tap).Select(variances)
				if err != nil {
					return err
				}
				selected[tap.Name] = append(selected[tap.Name], mask)
			}
		}
	}
	masks := map[string]whiten.Mask{}
	for _, tap := range t.run.Net.Collected() {
		mask, err := t.selector(tap).Intersect(selected[tap.Name]...)
		if err != nil {
			return err
		}
		masks[tap.Name] = mask
	}
	t.masks = masks
	t.progress.Seconds += time.Since(start).Seconds()
	if _, err := t.save(s); err != nil {
		return err
	}
	return t.aim(s)
}

func (t *trainer) selector(tap nn.Tap) whiten.Selector {
	w := t.run.Config.Whitening
	return whiten.Selector{Layer: tap.Name, Channels: tap.Channels, Clusters: w.Clusters, RelaxDenom: w.RelaxDenom}
}

// views are a picture and the same in other colours.
type views struct {
	plain  *data.Picture
	styled []uint8
	err    error
}

// compare averages how much covariances differ between the views of pictures of a set, drawn
// by rng. Each process takes its share of the pictures. When one of them is interrupted, all
// return nil.
func (t *trainer) compare(ctx context.Context, s *torch.Scope, set *data.Set, rng *rand.Rand, counted func()) ([]*whiten.Sensitivity, error) {
	order := rng.Perm(set.Len())
	order = order[:min(t.config.Masks.Pictures, len(order))]
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	view := cmp.Or(t.config.Masks.View, augment.PublishedView())
	ready := restyled(reading, set, order, view, rng.Uint64(), t.rank(), t.world())
	averages := t.model.NewSensitivities()
	for first := 0; first < len(order); first += t.world() {
		mine := goOn
		if ctx.Err() != nil {
			mine = interrupted
		}
		if vote, err := t.agree(s, mine); err != nil || vote == interrupted {
			return nil, err
		}
		if v, more := <-ready; more {
			if err := t.compareViews(s, v, averages); err != nil {
				return nil, err
			}
		}
		for range min(t.world(), len(order)-first) {
			counted()
		}
	}
	return averages, t.model.MergeSensitivities(s, averages)
}

func (t *trainer) compareViews(s *torch.Scope, v views, averages []*whiten.Sensitivity) (err error) {
	if v.err != nil {
		return v.err
	}
	s.In(func(s *torch.Scope) {
		w, h := v.plain.Width, v.plain.Height
		err = t.model.CompareViews(s, model.Pictures(s, v.styled, 1, h, w), model.Pictures(s, v.plain.RGB, 1, h, w), averages)
	})
	return err
}

// restyled reads the pictures of one of several processes and styles them, a little ahead of
// the reader. The channel ends after the last, after an error, or with ctx.
func restyled(ctx context.Context, set *data.Set, order []int, view augment.View, seed uint64, rank, world int) <-chan views {
	ready := make(chan views, 2)
	go func() {
		defer close(ready)
		for n := rank; n < len(order); n += world {
			var v views
			if v.plain, v.err = set.Read(order[n]); v.err == nil {
				v.styled = view.Of(rand.New(rand.NewPCG(seed, uint64(n))), v.plain)
			}
			select {
			case ready <- v:
			case <-ctx.Done():
				return
			}
			if v.err != nil {
				return
			}
		}
	}()
	return ready
}
