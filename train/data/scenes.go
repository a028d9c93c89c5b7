package data

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// HeldOut is the first seed of the streets that are kept for evaluation: whoever trains on
// procedural streets uses smaller seeds.
const HeldOut = 900_000

// The splits of procedural streets: their first seed and how many follow.
const (
	trainStreets = 2000
	valStreets   = 100
)

// street says which picture of which street is drawn.
type street struct {
	scene.Options
	frame int
}

// openScenes reads STYLE[+STYLE...][@WIDTHxHEIGHT][:FIRST-LAST|:train|:val]. Every street is
// drawn once in each style.
func openScenes(place string) (*Set, error) {
	what, split, _ := strings.Cut(place, ":")
	names, size, sized := strings.Cut(what, "@")
	o := scene.Options{Width: 640, Height: 360, FPS: 30}
	if sized {
		if n, err := fmt.Sscanf(size, "%dx%d", &o.Width, &o.Height); n != 2 || size != fmt.Sprintf("%dx%d", o.Width, o.Height) {
			return nil, fmt.Errorf("size %q: write WIDTHxHEIGHT, as in @640x360; %w", size, err)
		}
	}
	if split == "" {
		split = "train"
	}
	first, last, err := seeds(split)
	if err != nil {
		return nil, err
	}
	s := &Set{Name: "scenes/" + names + ":" + split, Classes: labels.CamVid(), read: drawStreet}
	for _, name := range strings.Split(names, "+") {
		if o.Style, err = scene.ParseStyle(name); err != nil {
			return nil, err
		}
		for seed := first; seed <= last; seed++ {
			o.Seed = seed
			s.samples = append(s.samples, Sample{
				Name:   fmt.Sprintf("%s/%06d", name, seed),
				street: street{Options: o, frame: frameOf(seed)},
			})
		}
	}
	if _, err := scene.New(s.samples[0].street.Options); err != nil {
		return nil, err
	}
	return s, nil
}

// seeds returns the first and last seed of a split.
func seeds(split string) (first, last uint64, err error) {
	switch split {
	case "train":
		return 0, trainStreets - 1, nil
	case "val":
		return HeldOut, HeldOut + valStreets - 1, nil
	}
	from, to, ok := strings.Cut(split, "-")
	first, err1 := strconv.ParseUint(from, 10, 32)
	last, err2 := strconv.ParseUint(to, 10, 32)
	const most = 1 << 20
	if !ok || err1 != nil || err2 != nil || last < first || last-first >= most {
		return 0, 0, fmt.Errorf("streets %q: write train, val, or the first and last seed, as in 0-1999; seeds from %d are for evaluation", split, HeldOut)
	}
	return first, last, nil
}

// frameOf spreads the pictures over the first minute of their streets, so that cars and
// walkers are met at all distances.
func frameOf(seed uint64) int {
	const frames = 1800
	const golden = 0.6180339887498949
	_, part := math.Modf(float64(seed%1_000_000) * golden)
	return int(part * frames)
}

// drawStreet draws a picture by a scene of its own, because scenes are for one at a time.
func drawStreet(s Sample, _ bool) (*Picture, error) {
	drawn, err := scene.New(s.street.Options)
	if err != nil {
		return nil, fmt.Errorf("draw street %s: %w", s.Name, err)
	}
	w, h := s.street.Width, s.street.Height
	p := &Picture{Width: w, Height: h, RGB: make([]uint8, 3*w*h), Labels: make([]uint8, w*h)}
	drawn.Render(s.street.frame, p.RGB, p.Labels)
	swapRedBlue(p.RGB, p.RGB)
	return p, nil
}
