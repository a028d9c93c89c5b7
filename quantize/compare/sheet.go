package compare

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"path/filepath"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// Sheet is a picture with its labels and what two models make of it, all of the picture's
// size. Truth is in TruthClasses, the predictions are in Classes.
type Sheet struct {
	Picture               *data.Picture
	Float, Integer        []uint8
	Classes, TruthClasses labels.Set
}

// Draw segments a picture of a domain by two predictors.
func (c *Comparison) Draw(domain, picture int, predict func(p *data.Picture) (float, integer []uint8, err error)) (Sheet, error) {
	set := c.Domains[domain]
	p, err := set.Read(picture)
	if err == nil {
		p, err = evaluate.Shrink(p, c.Framing.MaxWidth)
	}
	if err != nil {
		return Sheet{}, fmt.Errorf("draw %s of %s: %w", set.Sample(picture).Name, set.Name, err)
	}
	s := Sheet{Picture: p, TruthClasses: set.Classes}
	s.Float, s.Integer, err = predict(p)
	return s, err
}

// Write stores the sheet as PNG files with names that begin with name, in a folder that is
// there, and enters the files into r.
func (s Sheet) Write(dir, name string, r *report.Sheet) error {
	size := image.Rect(0, 0, s.Picture.Width, s.Picture.Height)
	parts := []struct {
		part string
		file *string
		img  image.Image
	}{
		{"input", &r.Input, s.Picture.Image()},
		{"truth", &r.Truth, evaluate.ClassImage(size, s.Picture.Labels, s.TruthClasses)},
		{"float", &r.Float, evaluate.ClassImage(size, s.Float, s.Classes)},
		{"integer", &r.Integer, evaluate.ClassImage(size, s.Integer, s.Classes)},
		{"disagreement", &r.Disagreement, s.disagreement(size)},
	}
	for _, p := range parts {
		*p.file = name + "_" + p.part + ".png"
		err := atomicfile.Replace(filepath.Join(dir, *p.file), func(w io.Writer) error { return png.Encode(w, p.img) })
		if err != nil {
			return fmt.Errorf("draw a sheet: %w", err)
		}
	}
	share, err := agreement(s.Float, s.Integer)
	r.Agreement = 100 * share
	return err
}

// disagreement is the picture in faint grey with pixels in red that the two call differently.
func (s Sheet) disagreement(size image.Rectangle) image.Image {
	img := image.NewNRGBA(size)
	for i := range s.Float {
		rgb := s.Picture.RGB[3*i : 3*i+3]
		grey := uint8((int(rgb[0]) + 2*int(rgb[1]) + int(rgb[2])) / 8)
		c := color.NRGBA{grey, grey, grey, 255}
		if s.Float[i] != s.Integer[i] {
			c = color.NRGBA{255, 64, 64, 255}
		}
		img.SetNRGBA(i%size.Dx(), i/size.Dx(), c)
	}
	return img
}
