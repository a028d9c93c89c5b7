package corrupt

import (
	"image"
	"math"
	"math/rand/v2"

	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera/cvmat"
)

// The sizes by severity are ImageNet-C's, in pixels.
var (
	// disks are the radius of the circle of confusion, and the deviation of the Gaussian that
	// smooths its edge.
	disks = [MaxSeverity]struct {
		radius int
		soft   float64
	}{{3, 0.1}, {4, 0.5}, {6, 0.5}, {8, 0.5}, {10, 0.5}}
	streaks = [MaxSeverity]streak{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}
)

// streak is the trace of a moving point: one flank of a Gaussian of the deviation, cut off
// after 2·radius+1 pixels.
type streak struct{ radius, deviation float64 }

// defocus spreads each point over a disk.
func defocus(p picture, severity int, _ *rand.Rand) ([]uint8, error) {
	d := disks[severity-1]
	const margin = 2 // of the smoothing
	k := newKernel(2*(d.radius+margin) + 1)
	for y := -d.radius; y <= d.radius; y++ {
		for x := -d.radius; x <= d.radius; x++ {
			if x*x+y*y <= d.radius*d.radius {
				k.add(float64(x), float64(y), 1)
			}
		}
	}
	reach := 1
	if d.radius > 8 {
		reach = margin
	}
	return p.filter(k.smoothed(d.soft, reach))
}

// motion smears the picture along a random direction within 45° of the horizontal.
func motion(p picture, severity int, random *rand.Rand) ([]uint8, error) {
	angle := (random.Float64() - 0.5) * math.Pi / 2
	return p.filter(streaks[severity-1].kernel(angle))
}

// kernel returns the streak in a direction, in radians from the horizontal. ImageMagick's,
// which ImageNet-C uses, begins at the pixel and so moves the picture by several pixels; this
// one has its centre of mass there.
func (s streak) kernel(angle float64) kernel {
	length := int(2*s.radius + 1)
	weights := make([]float64, length)
	sum, centre := 0.0, 0.0
	for i := range weights {
		weights[i] = math.Exp(-float64(i*i) / (2 * s.deviation * s.deviation))
		sum += weights[i]
		centre += float64(i) * weights[i]
	}
	centre /= sum
	k := newKernel(2*int(math.Ceil(float64(length)-centre)) + 1)
	dy, dx := math.Sincos(angle)
	for i, weight := range weights {
		k.add(dx*(float64(i)-centre), dy*(float64(i)-centre), weight)
	}
	return k
}

// kernel is a square of weights, rows of an odd side.
type kernel struct {
	side    int
	weights []float32
}

func newKernel(side int) kernel { return kernel{side, make([]float32, side*side)} }

// add puts a weight at a place relative to the centre, shared by the four pixels around it.
func (k kernel) add(x, y, weight float64) {
	x, y = x+float64(k.side/2), y+float64(k.side/2)
	left, top := math.Floor(x), math.Floor(y)
	right, bottom := x-left, y-top // shares
	at := int(top)*k.side + int(left)
	k.weights[at] += float32(weight * (1 - right) * (1 - bottom))
	k.weights[at+1] += float32(weight * right * (1 - bottom))
	k.weights[at+k.side] += float32(weight * (1 - right) * bottom)
	k.weights[at+k.side+1] += float32(weight * right * bottom)
}

// smoothed returns the kernel convolved with a Gaussian that is cut off at reach pixels. The
// outermost weights must be 0 up to there.
func (k kernel) smoothed(deviation float64, reach int) kernel {
	out := newKernel(k.side)
	for i, weight := range k.weights {
		if weight == 0 {
			continue
		}
		for dy := -reach; dy <= reach; dy++ {
			for dx := -reach; dx <= reach; dx++ {
				share := math.Exp(-float64(dx*dx+dy*dy) / (2 * deviation * deviation))
				out.weights[i+dy*k.side+dx] += weight * float32(share)
			}
		}
	}
	return out
}

// filter returns the picture, mirrored beyond its edges, with each pixel spread by the
// kernel.
func (p picture) filter(k kernel) ([]uint8, error) {
	return filter(p.rgb, p.width, p.height, gocv.MatTypeCV8UC3, k)
}

func filter(pixels []uint8, width, height int, pixel gocv.MatType, k kernel) ([]uint8, error) {
	from, err := cvmat.Over(pixels, height, width, pixel)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	out := make([]uint8, len(pixels))
	to, err := cvmat.Over(out, height, width, pixel)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	weights := gocv.NewMatWithSize(k.side, k.side, gocv.MatTypeCV32F)
	defer weights.Close()
	sum := float32(0)
	for _, w := range k.weights {
		sum += w
	}
	// OpenCV correlates, so that the kernel is turned around.
	last := len(k.weights) - 1
	for i, w := range k.weights {
		weights.SetFloatAt((last-i)/k.side, (last-i)%k.side, w/sum)
	}
	gocv.Filter2D(from.Mat, &to.Mat, -1, weights, image.Pt(-1, -1), 0, gocv.BorderReflect101)
	return out, nil
}
