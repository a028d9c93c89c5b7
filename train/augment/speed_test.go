package augment

import (
	"image"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/data"
)

// noisy is a picture of CamVid's size.
func noisy() *data.Picture {
	const width, height = 480, 360
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height), Labels: make([]uint8, width*height)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range p.RGB {
		p.RGB[i] = uint8(rng.Uint32())
	}
	return p
}

func BenchmarkParts(b *testing.B) {
	const side = 256
	p := noisy()
	r := Published(side)
	rng := rand.New(rand.NewPCG(1, 2))
	crop, scene := r.Crop(rng, p, nil)
	normal := rng.NormFloat64
	style := FDA{Beta: 0.01}.Style(p, side, side)
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"crop", func() { r.Crop(rng, p, nil) }},
		{"crop/half", func() { cropAt(r, 0.5, rng, p) }},
		{"crop/double", func() { cropAt(r, 2, rng, p) }},
		{"photometric", func() { r.Photometric(rng, crop.RGB, side, side) }},
		{"both", func() { c, _ := r.Crop(rng, p, nil); r.Photometric(rng, c.RGB, side, side) }},
		{"brightness", func() { brightness(crop.RGB, 1.1) }},
		{"contrast", func() { contrast(crop.RGB, 1.1) }},
		{"saturation", func() { saturation(crop.RGB, 1.1) }},
		{"hue", func() { rotateHue(crop.RGB, 0.07) }},
		{"blur/0.3", func() { gaussian(crop.RGB, side, side, 0.3) }},
		{"blur/0.7", func() { gaussian(crop.RGB, side, side, 0.7) }},
		{"blur/1.3", func() { gaussian(crop.RGB, side, side, 1.3) }},
		{"pasta", func() { PublishedPASTA().scale(crop.RGB, side, side, normal) }},
		{"fda", func() { style.Apply(crop, scene) }},
		{"fda/margin", func() { style.Apply(crop, image.Rect(3, 35, 254, 226)) }},
		{"fda/style", func() { FDA{Beta: 0.01}.Style(p, side, side) }},
	} {
		b.Run(part.name, func(b *testing.B) {
			before := processorTime()
			for b.Loop() {
				part.run()
			}
			b.ReportMetric((processorTime()-before).Seconds()*1e3/float64(b.N), "processor-ms/op")
		})
	}
}

// processorTime is what counts where other work wants the processors too.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func cropAt(r Recipe, scale float64, rng *rand.Rand, p *data.Picture) {
	r.ScaleMin, r.ScaleMax = scale, scale
	r.Crop(rng, p, &image.Point{X: 200, Y: 150})
}
