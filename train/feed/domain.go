package feed

import (
	"context"
	"image"
	"math/rand/v2"
	"sync"

	"github.com/robustnet-edge/robustnet/train/data"
)

// domain is a source of crops. Its epochs follow each other without a gap, so that every
// picture is drawn equally often.
type domain struct {
	number  uint64
	seed    uint64
	classes int
	share   float64 // of crops centred on classes
	sets    []*data.Set
	// pictures are those of all sets.
	pictures []picture
	// centroids are by class, after search.
	centroids [][]centroid

	mu    sync.Mutex
	epoch int // of draws
	draws []draw
}

// draw is a crop of an epoch.
type draw struct {
	set, picture int
	centre       *image.Point // nil is anywhere
}

func newDomain(o Options, number int, sets []*data.Set) *domain {
	d := &domain{number: uint64(number), seed: o.Seed, classes: len(sets[0].Classes.Classes), share: o.ClassUniform, sets: sets, epoch: -1}
	for i, set := range sets {
		for index := range set.Len() {
			d.pictures = append(d.pictures, picture{i, index})
		}
	}
	return d
}

func (d *domain) len() int { return len(d.pictures) }

// draw returns the crop at a place in the sequence of all epochs.
func (d *domain) draw(place int) draw {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch := place / d.len(); epoch != d.epoch {
		d.epoch, d.draws = epoch, d.plan(epoch)
	}
	return d.draws[place%d.len()]
}

// plan returns the crops of an epoch, as many as there are pictures. Each class is the centre
// of ⌊share·pictures/classes⌋ of them, drawn from its centroids without repetition as long as
// there are others. The rest, with the share of classes that do not occur, are crops from
// anywhere, at most one of each picture.
func (d *domain) plan(epoch int) []draw {
	rng := rand.New(rand.NewPCG(mix(d.seed, d.number), mix(uint64(epoch))))
	draws := make([]draw, 0, d.len())
	each := int(d.share * float64(d.len()) / float64(d.classes))
	for _, centroids := range d.centroids {
		if len(centroids) == 0 {
			continue
		}
		order := rng.Perm(len(centroids))
		for i := range each {
			draws = append(draws, d.at(centroids[order[i%len(order)]]))
		}
	}
	for _, i := range rng.Perm(d.len())[:d.len()-len(draws)] {
		draws = append(draws, draw{set: d.pictures[i].set, picture: d.pictures[i].index})
	}
	rng.Shuffle(len(draws), func(i, j int) { draws[i], draws[j] = draws[j], draws[i] })
	return draws
}

func (d *domain) at(c centroid) draw {
	p := d.pictures[c.picture]
	return draw{p.set, p.index, &image.Point{X: int(c.x), Y: int(c.y)}}
}

// centroid is the middle of a class's pixels in a tile of a picture.
type centroid struct {
	picture int32
	x, y    uint16
}

func (d *domain) search(context.Context, Options, *cache) error { return nil }
