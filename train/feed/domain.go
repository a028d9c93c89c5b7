package feed

import (
	"image"
	"math/rand/v2"

	"github.com/robustnet-edge/robustnet/train/data"
)

// domain is a source of crops. Its epochs follow each other without a gap, so that all
// pictures are drawn equally often.
type domain struct {
	// seed begins the random numbers of the epochs.
	seed    uint64
	classes int
	share   float64 // of crops that are centred on classes
	places  []place
	// centroids are by class.
	centroids [][]centroid

	epoch int // of draws
	draws []draw
}

// place is where a picture is.
type place struct {
	set   *data.Set
	index int
}

// centroid is the middle of a class's pixels in a tile of a picture.
type centroid struct {
	place int32 // in the domain
	x, y  int32
}

// draw is a crop of an epoch.
type draw struct {
	place
	centre *image.Point // nil is anywhere
}

func newDomain(o Options, number int, sets []*data.Set) *domain {
	d := &domain{seed: mix(o.Seed, uint64(number)), classes: len(sets[0].Classes.Classes), share: o.ClassUniform, epoch: -1}
	for _, set := range sets {
		for index := range set.Len() {
			d.places = append(d.places, place{set, index})
		}
	}
	return d
}

// draw returns the crop at a place in the sequence of all epochs.
func (d *domain) draw(i int) draw {
	if epoch := i / len(d.places); epoch != d.epoch {
		d.epoch, d.draws = epoch, d.plan(epoch)
	}
	return d.draws[i%len(d.places)]
}

// plan returns the crops of an epoch, as many as there are pictures. Each class is the centre
// of ⌊share·pictures/classes⌋ of them: its centroids in random order, again and again where
// they are few. The rest, with the share of classes that do not occur, are crops from
// anywhere, at most one of each picture.
func (d *domain) plan(epoch int) []draw {
	rng := rand.New(rand.NewPCG(d.seed, uint64(epoch)))
	draws := make([]draw, 0, len(d.places))
	each := int(d.share * float64(len(d.places)) / float64(d.classes))
	for _, centroids := range d.centroids {
		if len(centroids) == 0 {
			continue
		}
		order := rng.Perm(len(centroids))
		for i := range each {
			c := centroids[order[i%len(order)]]
			draws = append(draws, draw{d.places[c.place], &image.Point{X: int(c.x), Y: int(c.y)}})
		}
	}
	for _, i := range rng.Perm(len(d.places))[:len(d.places)-len(draws)] {
		draws = append(draws, draw{place: d.places[i]})
	}
	rng.Shuffle(len(draws), func(i, j int) { draws[i], draws[j] = draws[j], draws[i] })
	return draws
}
