package fit

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
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
	shown   [samplePictures]exhibit
	worst   []exhibit // the worst first
}

// place is a picture of a set.
type place struct{ set, picture int }

// exhibit is a picture with its prediction.
type exhibit struct {
	miou       float64
	picture    *data.Picture
	prediction []uint8
	classes    labels.Set
}

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
	miou, err := scoring.MIoU(p.Labels, prediction)
	if err != nil {
		return
	}
	e := exhibit{miou, p, prediction, scoring.Classes}
	for i, sample := range g.samples {
		if sample == (place{set, n}) {
			g.shown[i] = e
		}
	}
	if math.IsNaN(miou) {
		return // nothing is labelled
	}
	at, _ := slices.BinarySearchFunc(g.worst, miou, func(e exhibit, miou float64) int { return cmp.Compare(e.miou, miou) })
	g.worst = slices.Insert(g.worst, at, e)
	g.worst = g.worst[:min(len(g.worst), worstPictures)]
}

// write draws all into the run's folder.
func (g *gallery) write() error {
	folder := filepath.Join(g.dir, run.FiguresDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("draw figures: %w", err)
	}
	for i, e := range g.shown[:len(g.samples)] {
		if err := e.write(folder, fmt.Sprintf("sample_%d", i)); err != nil {
			return err
		}
	}
	for i, e := range g.worst {
		if err := e.write(folder, fmt.Sprintf("worst_%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// write draws picture, truth and prediction.
func (e exhibit) write(folder, name string) error {
	if e.picture == nil {
		return nil
	}
	size := image.Rect(0, 0, e.picture.Width, e.picture.Height)
	photo := image.NewNRGBA(size)
	for i := range e.picture.Labels {
		copy(photo.Pix[4*i:], e.picture.RGB[3*i:3*i+3])
		photo.Pix[4*i+3] = 255
	}
	palette := make(color.Palette, 256)
	for i := range palette {
		palette[i] = color.Black
	}
	for i, c := range e.classes.Classes {
		palette[i] = color.RGBA{c.Color[0], c.Color[1], c.Color[2], 255}
	}
	ids := func(labels []uint8) image.Image {
		return &image.Paletted{Pix: labels, Stride: size.Dx(), Rect: size, Palette: palette}
	}
	for part, img := range map[string]image.Image{"image": photo, "truth": ids(e.picture.Labels), "prediction": ids(e.prediction)} {
		path := filepath.Join(folder, name+"_"+part+".png")
		if err := atomicfile.Replace(path, func(w io.Writer) error { return png.Encode(w, img) }); err != nil {
			return fmt.Errorf("draw figures: %w", err)
		}
	}
	return nil
}
