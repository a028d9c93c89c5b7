package augment

import (
	"image"
	"math/rand/v2"
	"slices"

	"github.com/robustnet-edge/robustnet/train/data"
)

// Crop scales a picture by a random factor and cuts a square of CropSide from a random place,
// perhaps mirrored. The picture is resampled as Pillow's bicubic filter does, labels by their
// nearest neighbour. Where the scaled picture is smaller than the crop it gets a margin: black,
// and [data.Ignored] in the labels. A crop with a centre, a pixel of p, contains that pixel.
// Pictures without labels stay without. The picture p is not changed. Scene is the crop without
// its margin, and never empty.
//
// The margin is that of the published recipe, ⌊(side − d)/2⌋+1 pixels at both ends. There,
// centres are not moved by the margin; here they are.
func (r Recipe) Crop(rng *rand.Rand, p *data.Picture, centre *image.Point) (crop *data.Picture, scene image.Rectangle) {
	side := r.CropSide
	scale := uniform(rng, r.ScaleMin, r.ScaleMax)
	scaled := image.Pt(scaledLength(p.Width, scale), scaledLength(p.Height, scale))
	margin := image.Pt(marginFor(scaled.X, side), marginFor(scaled.Y, side))
	var at image.Point // of the crop in the scaled picture
	if centre == nil {
		at.X = rng.IntN(scaled.X+2*margin.X-side+1) - margin.X
		at.Y = rng.IntN(scaled.Y+2*margin.Y-side+1) - margin.Y
	} else {
		at.X = around(rng, scaledPlace(centre.X, p.Width, scaled.X), side, scaled.X, margin.X)
		at.Y = around(rng, scaledPlace(centre.Y, p.Height, scaled.Y), side, scaled.Y, margin.Y)
	}
	window := image.Rectangle{at, at.Add(image.Pt(side, side))}
	mirrored := rng.Float64() < r.FlipProbability

	crop = squareOf(p, window, image.Pt(p.Width, p.Height), scaled)
	scene = window.Intersect(image.Rectangle{Max: scaled}).Sub(at)
	if mirrored {
		mirror(crop)
		scene.Min.X, scene.Max.X = side-scene.Max.X, side-scene.Min.X
	}
	return crop, scene
}

// CentreSquare scales a picture to a height of side pixels, by the same filters as
// [Recipe.Crop], and returns the square in its centre. What a narrower picture leaves free at
// its sides is black, and [data.Ignored] in the labels. The published evaluation on Mapillary
// Vistas takes such squares of 1536 pixels; it moves narrow pictures and labels their margins
// as road. The picture p is not changed.
func CentreSquare(p *data.Picture, side int) *data.Picture {
	size, scaled := image.Pt(p.Width, p.Height), image.Pt(max(1, p.Width*side/p.Height), side)
	left := (scaled.X - side) / 2
	return squareOf(p, image.Rect(left, 0, left+side, side), size, scaled)
}

// squareOf returns a square window of a scaled picture.
func squareOf(p *data.Picture, window image.Rectangle, size, scaled image.Point) *data.Picture {
	side := window.Dx()
	square := &data.Picture{Width: side, Height: side, RGB: make([]uint8, 3*side*side)}
	resample(square.RGB, window, p.RGB, size, scaled)
	if p.Labels != nil {
		square.Labels = make([]uint8, side*side)
		resampleLabels(square.Labels, window, p.Labels, size, scaled)
	}
	return square
}

func scaledLength(d int, scale float64) int { return max(1, int(float64(d)*scale)) }

// scaledPlace returns the place of a pixel's centre after scaling from length n to m.
func scaledPlace(i, n, m int) int { return (2*i + 1) * m / (2 * n) }

// marginFor returns the margin that lengths below the crop's get.
func marginFor(d, side int) int {
	if d >= side {
		return 0
	}
	return (side-d)/2 + 1
}

// around draws the start of a crop that contains pixel c of a length with margins.
func around(rng *rand.Rand, c, side, length, margin int) int {
	start := c - rng.IntN(side)
	return min(max(start, -margin), length+margin-side)
}

// mirror swaps left and right.
func mirror(p *data.Picture) {
	for y := range p.Height {
		row := p.RGB[3*y*p.Width:][:3*p.Width]
		for i, j := 0, len(row)-3; i < j; i, j = i+3, j-3 {
			row[i], row[i+1], row[i+2], row[j], row[j+1], row[j+2] = row[j], row[j+1], row[j+2], row[i], row[i+1], row[i+2]
		}
		if p.Labels != nil {
			slices.Reverse(p.Labels[y*p.Width:][:p.Width])
		}
	}
}
