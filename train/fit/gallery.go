package fit

import (
	"path/filepath"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/run"
)

// The numbers of pictures that a report shows: the same ones each time, and the worst.
const (
	samplePictures = 6
	worstPictures  = 4
)

// gallery collects the pictures of a validation for the report.
type gallery struct {
	dir     string
	samples []place
	shown   [samplePictures]evaluate.Exhibit // without picture until it was seen
	worst   evaluate.Worst
}

// place is a picture of a set.
type place struct{ set, picture int }

// spread chooses pictures evenly from all sets.
func spread(sets []*data.Set) []place {
	var places []place
	for i := range samplePictures {
		if len(sets) == 0 {
			break
		}
		set := i % len(sets)
		of := (samplePictures - set + len(sets) - 1) / len(sets) // samples from this set
		places = append(places, place{set, (2*(i/len(sets)) + 1) * sets[set].Len() / (2 * of)})
	}
	return places
}

// see looks at the n-th picture of a set.
func (g *gallery) see(set, n int, name string, scoring *evaluate.Scoring, p *data.Picture, prediction []uint8) {
	e, err := scoring.Exhibit(name, p, prediction)
	if err != nil {
		return
	}
	for i, sample := range g.samples {
		if sample == (place{set, n}) {
			g.shown[i] = e
		}
	}
	g.worst.Add(e)
}

// write draws all into the run's folder.
func (g *gallery) write() error {
	return evaluate.WriteExhibits(filepath.Join(g.dir, run.FiguresDir),
		evaluate.Exhibits{Kind: "sample", List: g.shown[:len(g.samples)]}, evaluate.Exhibits{Kind: "worst", List: g.worst.Exhibits})
}
