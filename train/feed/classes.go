package feed

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/robustnet-edge/robustnet/train/data"
)

// search finds the centroids of classes in all pictures. It reads their labels alone, many times
// faster than the pictures, and leaves the cache to those that are trained on.
func (f *Feed) search(ctx context.Context) error {
	o := f.options
	if o.ClassUniform == 0 {
		return nil
	}
	total, done := 0, 0
	for _, d := range f.domains {
		total += len(d.places)
	}
	var reporting sync.Mutex
	report := func() {
		reporting.Lock()
		defer reporting.Unlock()
		if done++; o.Indexed != nil {
			o.Indexed(done, total)
		}
	}
	for _, d := range f.domains {
		found := make([][][]centroid, len(d.places)) // by place, then class
		group, searching := errgroup.WithContext(ctx)
		group.SetLimit(o.Workers)
		for i, place := range d.places {
			if searching.Err() != nil {
				break
			}
			group.Go(func() error {
				p, err := place.set.ReadLabels(place.index)
				if err != nil {
					return err
				}
				found[i] = centroids(p, int32(i), o.Tile, d.classes)
				report()
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		d.centroids = make([][]centroid, d.classes)
		for _, classes := range found {
			for class, list := range classes {
				d.centroids[class] = append(d.centroids[class], list...)
			}
		}
	}
	return nil
}

// centroids returns, by class, the rounded-down means of the places of its pixels in each
// tile where it occurs. Tiles begin at the upper left and cover the whole picture; those at
// the other edges may be smaller.
func centroids(p *data.Picture, place int32, tile, classes int) [][]centroid {
	found := make([][]centroid, classes)
	for top := 0; top < p.Height; top += tile {
		for left := 0; left < p.Width; left += tile {
			var n, x, y [256]int
			right := min(left+tile, p.Width)
			for row := top; row < min(top+tile, p.Height); row++ {
				for i, id := range p.Labels[row*p.Width+left : row*p.Width+right] {
					n[id]++
					x[id] += left + i
					y[id] += row
				}
			}
			for class := range found {
				if n[class] > 0 {
					found[class] = append(found[class], centroid{place, int32(x[class] / n[class]), int32(y[class] / n[class])})
				}
			}
		}
	}
	return found
}
