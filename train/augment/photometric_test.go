package augment

import (
	"encoding/binary"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robustnet-edge/robustnet/train/data"
)

func TestFDAEqualsNumPy(t *testing.T) {
	target := &data.Picture{Width: goldenWidth, Height: goldenHeight, RGB: golden(t, "target.rgb")}
	for _, beta := range []float64{0.01, 0.09, 0.2} {
		t.Run(fmt.Sprint(beta), func(t *testing.T) {
			got := golden(t, "picture.rgb")
			FDA{Beta: beta}.Style(target, goldenWidth, goldenHeight).apply(got, goldenWidth, goldenHeight)
			if largest, share := difference(t, got, golden(t, fmt.Sprintf("fda_%v.rgb", beta))); largest > 1 || share > 0.001 {
				t.Errorf("pixels differ by up to %d in %.2f%%", largest, 100*share)
			}
		})
	}
}

// The mean colour, which is the amplitude of frequency 0, is always taken.
func TestFDATakesTheMeanColour(t *testing.T) {
	night := &data.Picture{Width: 200, Height: 90, RGB: slices.Repeat([]uint8{30, 20, 60}, 200*90)}
	rgb := slices.Repeat([]uint8{200, 180, 170}, 64*64)
	PublishedFDA().Style(night, 64, 64).apply(rgb, 64, 64)
	if !slices.Equal(rgb, slices.Repeat([]uint8{30, 20, 60}, 64*64)) {
		t.Errorf("the colour is %v", rgb[:3])
	}
}

// The margin of a crop has no style: it stays black, and the scene takes the target's mean as if
// it were the whole picture. Its contrast is low, for means shift where bytes are cut off.
func TestFDALeavesMargins(t *testing.T) {
	target := &data.Picture{Width: goldenWidth, Height: goldenHeight, RGB: golden(t, "target.rgb")}
	source := &data.Picture{Width: goldenWidth, Height: goldenHeight, RGB: golden(t, "picture.rgb")}
	for i := range source.RGB {
		source.RGB[i] = 96 + source.RGB[i]/4
	}
	const side = 64
	r := Recipe{CropSide: side, ScaleMin: 0.5, ScaleMax: 1, FlipProbability: 0.5}
	style := FDA{Beta: 0.05}.Style(target, side, side)
	rng := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		crop, scene := r.Crop(rng, source, nil)
		style.Apply(crop, scene)
		var sum, black [3]float64
		for i, v := range crop.RGB {
			if !image.Pt(i/3%side, i/3/side).In(scene) {
				black[i%3] += float64(v)
			}
			sum[i%3] += float64(v) / float64(scene.Dx()*scene.Dy())
		}
		want := meanColour(target)
		for c := range sum {
			if black[c] != 0 || math.Abs(sum[c]-want[c]) > 1 {
				t.Fatalf("scene %v has the mean %.1f, want %.1f; the margin sums to %v", scene, sum, want, black)
			}
		}
	}
}

func meanColour(p *data.Picture) (mean [3]float64) {
	for i, v := range p.RGB {
		mean[i%3] += float64(v) / float64(p.Width*p.Height)
	}
	return mean
}

// A style that was taken for a larger picture stands for one of the scene's size.
func TestStylesStandForSmallerOnes(t *testing.T) {
	target := &data.Picture{Width: goldenWidth, Height: goldenHeight, RGB: golden(t, "target.rgb")}
	for _, beta := range []float64{0.01, 0.05, 0.09} {
		got, want := golden(t, "picture.rgb"), golden(t, "picture.rgb")
		FDA{Beta: beta}.Style(target, 3*goldenWidth, 3*goldenWidth).apply(got, goldenWidth, goldenHeight)
		FDA{Beta: beta}.Style(target, goldenWidth, goldenHeight).apply(want, goldenWidth, goldenHeight)
		if largest, share := difference(t, got, want); largest > 2 {
			t.Errorf("β %v: pixels differ by up to %d in %.2f%%", beta, largest, 100*share)
		}
	}
}

// PASTA's numbers are drawn in our order, so that they come from the computation for every
// frequency in make.py: for a frequency and its mirror image their mean counts.
func TestPASTAEqualsNumPy(t *testing.T) {
	for _, size := range []image.Point{{goldenWidth, goldenHeight}, {goldenWidth - 1, goldenHeight - 1}} {
		name := fmt.Sprintf("pasta_%dx%d", size.X, size.Y)
		t.Run(name, func(t *testing.T) {
			normals := golden(t, name+"_normal.f64")
			normal := func(channel, n, m int) float64 {
				i := (channel*size.Y+(n+size.Y)%size.Y)*size.X + (m+size.X)%size.X
				return math.Float64frombits(binary.LittleEndian.Uint64(normals[8*i:]))
			}
			var got []uint8
			whole := golden(t, "picture.rgb")
			for y := range size.Y {
				got = append(got, whole[3*y*goldenWidth:][:3*size.X]...)
			}
			i, columns := 0, size.X/2+1
			PublishedPASTA().scale(got, size.X, size.Y, func() float64 {
				channel, m, n := i/(columns*size.Y), i/size.Y%columns, i%size.Y
				i++
				if m == 0 || 2*m == size.X {
					return normal(channel, n, m)
				}
				return (normal(channel, n, m) + normal(channel, -n, -m)) / math.Sqrt2
			})
			if largest, share := difference(t, got, golden(t, name+".rgb")); largest > 1 || share > 0.001 {
				t.Errorf("pixels differ by up to %d in %.2f%%", largest, 100*share)
			}
		})
	}
}

// An even number of columns has a highest frequency of its own: without noise nothing
// changes, whatever the size.
func TestSpectraAreReversible(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{1, 1}, {2, 2}, {1, 9}, {9, 1}, {16, 12}, {15, 13}, {64, 64}} {
		rgb := make([]uint8, 3*size[0]*size[1])
		for i := range rgb {
			rgb[i] = uint8(rng.Uint32())
		}
		want := slices.Clone(rgb)
		PublishedPASTA().scale(rgb, size[0], size[1], func() float64 { return 0 })
		if !slices.Equal(rgb, want) {
			t.Errorf("%v: the picture changes", size)
		}
		style := FDA{Beta: 0.5}.Style(&data.Picture{Width: size[0], Height: size[1], RGB: want}, size[0], size[1])
		if style.apply(rgb, size[0], size[1]); !slices.Equal(rgb, want) {
			t.Errorf("%v: a picture's own style changes it", size)
		}
	}
}

func TestEvenSurfacesKeepTheirColour(t *testing.T) {
	for _, sigma := range []float64{0.15, 0.5, 1.3, 5} {
		for v := range 256 {
			rgb := slices.Repeat([]uint8{uint8(v), 255, uint8(255 - v)}, 7*3)
			want := slices.Clone(rgb)
			if gaussian(rgb, 7, 3, sigma); !slices.Equal(rgb, want) {
				t.Fatalf("a blur of %v changes colour %v to %v", sigma, want[:3], rgb[:3])
			}
		}
	}
}

func TestProbabilities(t *testing.T) {
	const n = 2000
	rng := rand.New(rand.NewPCG(5, 6))
	r := Published(8)
	r.Blur.Probability = 0.25
	changed := func(part func(rgb []uint8)) (count int) {
		for range n {
			rgb := []uint8{10, 200, 90, 250, 3, 77, 120, 20, 10, 200, 90, 60}
			before := slices.Clone(rgb)
			if part(rgb); !slices.Equal(rgb, before) {
				count++
			}
		}
		return count
	}
	if c := changed(func(rgb []uint8) { r.Jitter.apply(rng, rgb) }); c < 900 || c > 1100 {
		t.Errorf("%d of %d pictures are jittered, want half", c, n)
	}
	// Blurs below 0.3 pixels may change nothing.
	r.Blur.SigmaMin = 0.4
	if c := changed(func(rgb []uint8) { r.Blur.apply(rng, rgb, 2, 2) }); c < 420 || c > 580 {
		t.Errorf("%d of %d pictures are blurred, want a quarter", c, n)
	}
	if c := changed(func(rgb []uint8) { Recipe{}.Photometric(rng, rgb, 2, 2) }); c != 0 {
		t.Errorf("%d pictures are changed by an empty recipe", c)
	}
}

func TestStyledLeavesThePicture(t *testing.T) {
	p := noisy()
	before := slices.Clone(p.RGB)
	a := PublishedView().Of(rand.New(rand.NewPCG(1, 2)), p)
	b := PublishedView().Of(rand.New(rand.NewPCG(1, 2)), p)
	c := PublishedView().Of(rand.New(rand.NewPCG(1, 3)), p)
	if !slices.Equal(p.RGB, before) {
		t.Error("the picture was changed")
	}
	if !slices.Equal(a, b) || slices.Equal(a, c) || slices.Equal(a, before) {
		t.Error("the style does not depend on the random numbers alone")
	}
}
