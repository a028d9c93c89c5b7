package augment

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

// marked is a picture whose labels are 0 but for one pixel.
func marked(width, height int, at image.Point) *data.Picture {
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height), Labels: make([]uint8, width*height)}
	for i := range p.RGB {
		p.RGB[i] = 200
	}
	p.Labels[at.Y*width+at.X] = 1
	return p
}

func TestCropsContainTheirCentre(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range []image.Point{{480, 360}, {100, 300}, {30, 20}, {1, 1}, {700, 8}} {
		for _, side := range []int{64, 65, 256} {
			t.Run(fmt.Sprint(size, side), func(t *testing.T) {
				r := Published(side)
				r.ScaleMin = 1 // below, nearest neighbours leave pixels out
				for range 30 {
					at := image.Pt(rng.IntN(size.X), rng.IntN(size.Y))
					if crop, _ := r.Crop(rng, marked(size.X, size.Y, at), &at); !slices.Contains(crop.Labels, 1) {
						t.Fatalf("the crop does not contain %v", at)
					}
				}
			})
		}
	}
}

// A centre may lie anywhere in the crop.
func TestCentresAreSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const side = 4
	at := image.Pt(20, 20)
	p := marked(40, 40, at)
	var seen [side * side]int
	for range 1600 {
		crop, _ := Recipe{CropSide: side, ScaleMin: 1, ScaleMax: 1}.Crop(rng, p, &at)
		seen[slices.Index(crop.Labels, 1)]++
	}
	for place, n := range seen {
		if n < 60 || n > 140 { // 100 ± 4 deviations
			t.Errorf("the centre is at %d in %d of 1600 crops", place, n)
		}
	}
}

// The published margin is ⌊(side − d)/2⌋+1 pixels at both ends.
func TestSmallPicturesGetMargins(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const side = 16
	for _, size := range []image.Point{{9, 40}, {40, 9}, {10, 6}, {15, 16}} {
		p := &data.Picture{Width: size.X, Height: size.Y, RGB: slices.Repeat([]uint8{9}, 3*size.X*size.Y), Labels: make([]uint8, size.X*size.Y)}
		want := 1
		for _, d := range []int{size.X, size.Y} {
			if d < side {
				want *= 2*((side-d)/2+1) + d - side + 1
			}
		}
		for name, centre := range map[string]*image.Point{"anywhere": nil, "around a pixel": {X: size.X / 2, Y: size.Y / 2}} {
			t.Run(fmt.Sprint(size, name), func(t *testing.T) {
				starts := map[image.Point]bool{}
				for range 300 {
					crop, scene := Recipe{CropSide: side, ScaleMin: 1, ScaleMax: 1, FlipProbability: 0.5}.Crop(rng, p, centre)
					start := startInCrop(t, crop, size)
					if want := (image.Rectangle{start, start.Add(image.Pt(min(size.X, side), min(size.Y, side)))}); scene != want {
						t.Fatalf("the scene is said to be at %v, and is at %v", scene, want)
					}
					starts[start] = true
				}
				if len(starts) != want {
					t.Errorf("the picture begins at %d places, want %d", len(starts), want)
				}
			})
		}
	}
}

// startInCrop returns where a picture without black pixels begins in a crop that has a margin.
func startInCrop(t *testing.T, crop *data.Picture, size image.Point) image.Point {
	t.Helper()
	side := crop.Width
	inside := image.Rectangle{Min: image.Pt(side, side)}
	for i, id := range crop.Labels {
		black := crop.RGB[3*i] == 0
		if black != (id == data.Ignored) {
			t.Fatalf("pixel %d is black or ignored, but not both", i)
		}
		if !black {
			inside.Min.X, inside.Min.Y = min(inside.Min.X, i%side), min(inside.Min.Y, i/side)
			inside.Max.X, inside.Max.Y = max(inside.Max.X, i%side+1), max(inside.Max.Y, i/side+1)
		}
	}
	if want := image.Pt(min(size.X, side), min(size.Y, side)); inside.Size() != want {
		t.Fatalf("%v of the picture are in the crop", inside.Size())
	}
	return inside.Min
}

// Where nothing is scaled, crops are copies, and half of them are mirrored.
func TestCropsAreCopiesOrMirrored(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const width, height, side, crops = 50, 40, 16, 400
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height), Labels: make([]uint8, width*height)}
	for i := range p.Labels {
		p.RGB[3*i], p.RGB[3*i+1], p.RGB[3*i+2], p.Labels[i] = uint8(i%width), uint8(i/width), 7, uint8(i%width)
	}
	before := slices.Clone(p.RGB)
	mirrored := 0
	starts := map[int]bool{}
	for range crops {
		crop, _ := Recipe{CropSide: side, ScaleMin: 1, ScaleMax: 1, FlipProbability: 0.5}.Crop(rng, p, nil)
		x0, step := int(crop.RGB[0]), 1
		if crop.RGB[3] < crop.RGB[0] {
			mirrored++
			step = -1
		}
		starts[min(x0, x0+step*(side-1))] = true
		y0 := int(crop.RGB[1])
		for i := range crop.Labels {
			x, y := x0+step*(i%side), y0+i/side
			if want := [4]uint8{uint8(x), uint8(y), 7, uint8(x)}; [4]uint8{crop.RGB[3*i], crop.RGB[3*i+1], crop.RGB[3*i+2], crop.Labels[i]} != want {
				t.Fatalf("pixel %d is not that at %d, %d", i, x, y)
			}
		}
	}
	if mirrored < 160 || mirrored > 240 {
		t.Errorf("%d of %d crops are mirrored", mirrored, crops)
	}
	if len(starts) != width-side+1 {
		t.Errorf("crops begin in %d columns, want %d", len(starts), width-side+1)
	}
	if !slices.Equal(p.RGB, before) {
		t.Error("the picture was changed")
	}
}

func TestPicturesWithoutLabelsStayWithout(t *testing.T) {
	p := noisy()
	p.Labels = nil
	if crop, _ := Published(32).Crop(rand.New(rand.NewPCG(1, 1)), p, nil); crop.Labels != nil || len(crop.RGB) != 3*32*32 {
		t.Errorf("%d labels, %d bytes", len(crop.Labels), len(crop.RGB))
	}
}

// Labels stay with the pixels that they are of, at every scale.
func TestLabelsStayWithPixels(t *testing.T) {
	const width, height = 90, 70
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height), Labels: make([]uint8, width*height)}
	for i := range p.Labels {
		if i%width >= 40 != (i/width >= 30) {
			p.Labels[i] = 1
			p.RGB[3*i], p.RGB[3*i+1], p.RGB[3*i+2] = 255, 255, 255
		}
	}
	rng := rand.New(rand.NewPCG(8, 9))
	for range 200 {
		crop, _ := Published(64).Crop(rng, p, nil)
		wrong, counted := 0, 0
		for i, id := range crop.Labels {
			if id == data.Ignored {
				continue
			}
			counted++
			if (crop.RGB[3*i] > 127) != (id == 1) {
				wrong++
			}
		}
		if wrong > counted/50 {
			t.Fatalf("%d of %d pixels do not have their label", wrong, counted)
		}
	}
}

// Pictures of 8 rows become 4 high; the colours of their columns tell where these end up.
func TestCentreSquare(t *testing.T) {
	const ignored = data.Ignored
	for name, c := range map[string]struct {
		width int
		row   []uint8 // of the square's labels
	}{
		"wide":   {16, []uint8{4, 6, 8, 10}},
		"square": {8, []uint8{0, 2, 4, 6}},
		"narrow": {4, []uint8{ignored, 0, 2, ignored}},
		"line":   {1, []uint8{ignored, 0, ignored, ignored}},
	} {
		t.Run(name, func(t *testing.T) {
			const height, side = 8, 4
			p := &data.Picture{Width: c.width, Height: height}
			for range height {
				for x := range c.width {
					p.Labels = append(p.Labels, uint8(x/2*2))
					p.RGB = append(p.RGB, 100, 100, 100)
				}
			}
			got := CentreSquare(p, side)
			if got.Width != side || got.Height != side || !slices.Equal(got.Labels, slices.Repeat(c.row, side)) {
				t.Errorf("%d×%d pixels with labels %v, want 4×4 of %v", got.Width, got.Height, got.Labels, c.row)
			}
			for i, id := range got.Labels {
				want := uint8(100)
				if id == ignored {
					want = 0
				}
				if got.RGB[3*i] != want {
					t.Errorf("pixel %d is %d, want %d", i, got.RGB[3*i], want)
				}
			}
			p.Labels = nil
			if CentreSquare(p, side).Labels != nil {
				t.Error("labels where there were none")
			}
		})
	}
}
