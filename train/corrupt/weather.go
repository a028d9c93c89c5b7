package corrupt

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"gocv.io/x/gocv"
)

// The strengths of fog and snow by severity are ImageNet-C's; brightnesses go from 0 to 1.
var (
	fogs = [MaxSeverity]struct {
		// thickness is the greatest brightness added, and decay how much finer clouds are
		// weaker.
		thickness, decay float64
	}{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}
	snows = [MaxSeverity]struct {
		// mean and deviation of the noise of which flakes are what exceeds the threshold,
		// enlarged by zoom.
		mean, deviation, zoom, threshold float64
		fall                             streak
		// clear is the weight of the picture against its whitened self.
		clear float64
	}{
		{0.1, 0.3, 3, 0.5, streak{10, 4}, 0.8},
		{0.2, 0.3, 2, 0.5, streak{12, 4}, 0.7},
		{0.55, 0.3, 4, 0.9, streak{12, 8}, 0.7},
		{0.55, 0.3, 4.5, 0.85, streak{12, 8}, 0.65},
		{0.55, 0.3, 2.5, 0.85, streak{12, 12}, 0.55},
	}
	rains = [MaxSeverity]struct {
		// drops is their number for a square of the picture's height.
		drops float64
		// opacity of the nearest drops, and share of the scene's light that the air between
		// replaces.
		opacity, veil float64
	}{{500, 0.45, 0.10}, {900, 0.5, 0.18}, {1500, 0.55, 0.26}, {2400, 0.6, 0.34}, {3600, 0.65, 0.42}}
)

// fog adds clouds of white and keeps the brightest value.
func fog(p picture, severity int, random *rand.Rand) ([]uint8, error) {
	f := fogs[severity-1]
	side := 1 << bits.Len(uint(max(p.width, p.height)-1))
	clouds := plasma(side, f.decay, random)
	brightest := 0.0
	for _, v := range p.rgb {
		brightest = max(brightest, float64(v)/255)
	}
	scale := brightest / (brightest + f.thickness)
	out := make([]uint8, len(p.rgb))
	for y := range p.height {
		for x := range p.width {
			at := 3 * (y*p.width + x)
			added := f.thickness * float64(clouds[y*side+x])
			for c := at; c < at+3; c++ {
				out[c] = level((float64(p.rgb[c])/255 + added) * scale)
			}
		}
	}
	return out, nil
}

// plasma returns a fractal of 0 to 1 by the diamond-square algorithm (Fournier, Fussell &
// Carpenter, CACM 1982): side rows, side being a power of two, that repeat beyond the edges.
// From one scale to the next, of half the size, amplitudes fall by the square of decay.
func plasma(side int, decay float64, random *rand.Rand) []float32 {
	m := make([]float32, side*side)
	mask := side - 1
	at := func(x, y int) float32 { return m[(y&mask)*side+x&mask] }
	amplitude := float32(1)
	displace := func(x, y int, mean float32) {
		m[(y&mask)*side+x&mask] = mean + amplitude*(2*random.Float32()-1)
	}
	for step := side; step >= 2; step /= 2 {
		half := step / 2
		for y := 0; y < side; y += step {
			for x := 0; x < side; x += step {
				displace(x+half, y+half, (at(x, y)+at(x+step, y)+at(x, y+step)+at(x+step, y+step))/4)
			}
		}
		for y := 0; y < side; y += step {
			for x := 0; x < side; x += step {
				displace(x+half, y, (at(x, y)+at(x+step, y)+at(x+half, y-half)+at(x+half, y+half))/4)
				displace(x, y+half, (at(x, y)+at(x, y+step)+at(x-half, y+half)+at(x+half, y+half))/4)
			}
		}
		amplitude /= float32(decay * decay)
	}
	low, high := m[0], m[0]
	for _, v := range m {
		low, high = min(low, v), max(high, v)
	}
	for i := range m {
		m[i] = (m[i] - low) / max(high-low, math.SmallestNonzeroFloat32)
	}
	return m
}

// snow whitens the picture and lets two layers of flakes fall before it, one being the other
// upside down.
func snow(p picture, severity int, random *rand.Rand) ([]uint8, error) {
	s := snows[severity-1]
	angle := -math.Pi/2 + (random.Float64()-0.5)*math.Pi/2
	layer, err := filter(flakes(p.width, p.height, severity, random), p.width, p.height, gocv.MatTypeCV8U, s.fall.kernel(angle))
	if err != nil {
		return nil, err
	}
	out := make([]uint8, len(p.rgb))
	for i := range layer {
		r, g, b := float64(p.rgb[3*i])/255, float64(p.rgb[3*i+1])/255, float64(p.rgb[3*i+2])/255
		white := luma(r, g, b)*1.5 + 0.5
		falling := float64(layer[i])/255 + float64(layer[len(layer)-1-i])/255
		for c, v := range [3]float64{r, g, b} {
			out[3*i+c] = level(s.clear*v + (1-s.clear)*max(v, white) + falling)
		}
	}
	return out, nil
}

// flakes is a layer of flakes before they fall. Noise is cut off to bytes at the end only: what
// lies between pixels takes part in how far they exceed white or black.
func flakes(width, height, severity int, random *rand.Rand) []uint8 {
	s := snows[severity-1]
	across, down := newStretch(width, s.zoom), newStretch(height, s.zoom)
	noise := make([]float32, across.from*down.from)
	for i := range noise {
		noise[i] = float32(s.mean + s.deviation*random.NormFloat64())
	}
	layer := make([]uint8, width*height)
	for y := range height {
		top, lower := down.at(y)
		above, below := noise[top*across.from:], noise[min(top+1, down.from-1)*across.from:]
		for x := range width {
			left, share := across.at(x)
			right := min(left+1, across.from-1)
			a := above[left] + share*(above[right]-above[left])
			b := below[left] + share*(below[right]-below[left])
			if v := float64(a + lower*(b-a)); v >= s.threshold {
				layer[y*width+x] = level(v)
			}
		}
	}
	return layer
}

// stretch makes a line of the given length from a shorter one: the middle of what is zoom times
// as long, interpolated linearly. Ends lie on ends, as in ImageNet-C (scipy.ndimage.zoom), so
// that pixels lie anywhere between those of the noise. With OpenCV's grid all would be a quarter
// off them at a zoom of 2, which averages more of the noise away, and a seventh of the flakes.
type stretch struct {
	from, first int
	step        float64
}

func newStretch(length int, zoom float64) stretch {
	from := int(math.Ceil(float64(length) / zoom))
	whole := int(math.RoundToEven(float64(from) * zoom))
	return stretch{from, (whole - length) / 2, float64(from-1) / float64(max(whole-1, 1))}
}

// at returns the pixel before place i, and the share of the next one there.
func (s stretch) at(i int) (before int, share float32) {
	place := s.step * float64(s.first+i)
	before = min(int(place), s.from-1)
	return before, float32(place - float64(before))
}

// luma is the brightness of a colour (ITU-R BT.601).
func luma(r, g, b float64) float64 { return 0.299*r + 0.587*g + 0.114*b }

// rain takes contrast from the scene, as the air full of drops does, and draws the traces of
// the near ones. They shine with the light of the sky, whatever is behind them.
func rain(p picture, severity int, random *rand.Rand) ([]uint8, error) {
	r := rains[severity-1]
	traces := drops(p.width, p.height, r.drops, random)
	sum := 0.0
	for i := 0; i < len(p.rgb); i += 3 {
		sum += luma(float64(p.rgb[i]), float64(p.rgb[i+1]), float64(p.rgb[i+2])) / 255
	}
	mean := sum / float64(len(p.rgb)/3)
	shine := min(0.3+1.1*mean, 1)
	out := make([]uint8, len(p.rgb))
	for i, trace := range traces {
		covered := r.opacity * min(float64(trace), 1)
		for c := 3 * i; c < 3*i+3; c++ {
			v := float64(p.rgb[c]) / 255
			v += (mean - v) * r.veil
			out[c] = level(v + (shine-v)*covered)
		}
	}
	return out, nil
}

// drops draws the traces of falling drops: rows of how much of each pixel they cover, 0 to 1
// and more where several do. Near drops are few, long and wide. number is for a square of the
// picture's height.
func drops(width, height int, number float64, random *rand.Rand) []float32 {
	traces := make([]float32, width*height)
	wind := (random.Float64() - 0.5) * 0.6 // pixels aside for one down
	unit := float64(height) / 360
	for range int(number * float64(width) / float64(height)) {
		near := random.Float64()
		near *= near
		x, y := random.Float64()*float64(width), random.Float64()*float64(height)
		slope := wind + 0.03*random.NormFloat64()
		length, half := unit*(7+38*near), unit*(0.35+0.8*near)
		strength := (0.35 + 0.65*near) * (0.6 + 0.4*random.Float64())
		for row := int(y - length/2); row <= int(y+length/2); row++ {
			if row < 0 || row >= height {
				continue
			}
			along := (float64(row) - y) / (length/2 + 1) // -1 to 1
			centre := x + slope*(float64(row)-y)
			for column := int(centre - 2*half - 1); column <= int(centre+2*half+1); column++ {
				if column < 0 || column >= width {
					continue
				}
				across := (float64(column) - centre) / max(half, 0.5)
				cover := strength * (1 - along*along) * math.Exp(-across*across)
				traces[row*width+column] += float32(cover)
			}
		}
	}
	return traces
}
