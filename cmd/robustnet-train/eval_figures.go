package main

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
	"strings"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
)

// gallery keeps the pictures with the lowest mIoU.
type gallery struct {
	scoring *evaluate.Scoring
	limit   int
	worst   []exhibit // the worst first
}

type exhibit struct {
	name       string
	miou       float64
	picture    *data.Picture
	prediction []uint8
}

func newGallery(s *evaluate.Scoring, limit int) *gallery { return &gallery{scoring: s, limit: limit} }

// add takes a picture in if it is worse than one of those that are kept. Pictures without a
// labelled pixel are passed over.
func (g *gallery) add(name string, p *data.Picture, prediction []uint8) {
	miou, err := g.scoring.MIoU(p.Labels, prediction)
	if err != nil || math.IsNaN(miou) {
		return
	}
	at, _ := slices.BinarySearchFunc(g.worst, miou, func(e exhibit, miou float64) int { return cmp.Compare(e.miou, miou) })
	if at < g.limit {
		g.worst = slices.Insert(g.worst, at, exhibit{name, miou, p, prediction})
		g.worst = g.worst[:min(len(g.worst), g.limit)]
	}
}

// write saves the pictures as dir/MODEL/DOMAIN/worst_1_image.png, …_truth.png and
// …_prediction.png, and list.txt, which says what they are.
func (g *gallery) write(dir, model, domain string) error {
	dir = filepath.Join(dir, fileName(model), fileName(domain))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	var list strings.Builder
	for i, e := range g.worst {
		fmt.Fprintf(&list, "%d\t%.2f\t%s\n", i+1, e.miou, e.name)
		p := e.picture
		for part, img := range map[string]image.Image{
			"image":      opaque(p),
			"truth":      g.colored(p.Labels, p),
			"prediction": g.colored(e.prediction, p),
		} {
			path := filepath.Join(dir, fmt.Sprintf("worst_%d_%s.png", i+1, part))
			if err := atomicfile.Replace(path, func(w io.Writer) error { return png.Encode(w, img) }); err != nil {
				return fmt.Errorf("--figures: %w", err)
			}
		}
	}
	if err := atomicfile.Bytes(filepath.Join(dir, "list.txt"), []byte(list.String())); err != nil {
		return fmt.Errorf("--figures: %w", err)
	}
	return nil
}

// fileName makes the name of a file of any text.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, text)
	if strings.Trim(name, ".") == "" { // "." and ".." are folders
		name = "_" + name
	}
	return name
}

// opaque is the picture for encoders.
func opaque(p *data.Picture) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(img.Pix[4*i:], p.RGB[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// colored draws class ids in the colours of the compared classes, and others in black.
func (g *gallery) colored(ids []uint8, p *data.Picture) image.Image {
	palette := slices.Repeat(color.Palette{color.NRGBA{A: 255}}, 256)
	for i, c := range g.scoring.Classes.Classes {
		palette[i] = classColor(c)
	}
	return &image.Paletted{Pix: ids, Stride: p.Width, Rect: image.Rect(0, 0, p.Width, p.Height), Palette: palette}
}

func classColor(c trt.Class) color.NRGBA {
	return color.NRGBA{c.Color[0], c.Color[1], c.Color[2], 255}
}
