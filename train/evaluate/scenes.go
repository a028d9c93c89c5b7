// Package evaluate measures models on data whose truth is known: networks in libtorch and
// model files, on data sets whose classes may be others than the model's. [Scorer.Score] reads
// ahead on a goroutine that has ended when it returns; nothing else starts any.
package evaluate

import (
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/scene"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/trt"
)

// HeldOut is the first seed of the streets that are kept for evaluation: whoever trains on
// procedural streets uses smaller seeds.
const HeldOut = data.HeldOut

// Streets describes a set of procedural streets: Count streets with consecutive seeds, in
// each the frames with the numbers Frames, drawn at Width×Height.
type Streets struct {
	Style         scene.Style
	FirstSeed     uint64
	Count         int
	Frames        []int
	Width, Height int
}

// DefaultStreets is the set on which the accuracy of model cards is measured: 40 pictures of
// 20 held-out streets at 1280×720.
func DefaultStreets(style scene.Style) Streets {
	return Streets{Style: style, FirstSeed: HeldOut, Count: 20, Frames: []int{100, 700}, Width: 1280, Height: 720}
}

// Scenes segments the streets and compares the masks, scaled to picture size by nearest
// neighbour, with the truth. The model must have the classes of package scene, in their
// order. each, if not nil, is called with every result while it is valid.
func Scenes(engine trt.Engine, s Streets, each func(trt.Result)) (*confusion.Matrix, error) {
	if n := len(engine.Card().Classes); n != scene.NumClasses {
		return nil, fmt.Errorf("evaluate %s on streets: it has %d classes, and streets have %d", engine.Card().Name, n, scene.NumClasses)
	}
	matrix := confusion.New(scene.NumClasses, scene.NumClasses)
	desc := engine.Describe()
	frame := camera.NewPool(s.Width, s.Height).Get()
	truth := make([]byte, s.Width*s.Height)
	for seed := s.FirstSeed; seed < s.FirstSeed+uint64(s.Count); seed++ {
		street, err := scene.New(scene.Options{Width: s.Width, Height: s.Height, FPS: 30, Style: s.Style, Seed: seed})
		if err != nil {
			return nil, fmt.Errorf("evaluate on streets: %w", err)
		}
		for _, n := range s.Frames {
			street.Render(n, frame.Pix, truth)
			result, err := engine.Run(frame)
			if err != nil {
				return nil, fmt.Errorf("evaluate on street %d: %w", seed, err)
			}
			if each != nil {
				each(result)
			}
			mask, err := confusion.Resize(result.Mask, desc.MaskWidth, desc.MaskHeight, s.Width, s.Height)
			if err != nil {
				return nil, fmt.Errorf("evaluate on street %d: %w", seed, err)
			}
			if err := matrix.Add(truth, mask); err != nil {
				return nil, fmt.Errorf("evaluate on street %d: %w", seed, err)
			}
		}
	}
	return matrix, nil
}

// StyleStatistics gathers mean and standard deviation of style vectors.
type StyleStatistics struct {
	sum, squares []float64
	n            int
}

// Add counts one vector. All must have the same length.
func (s *StyleStatistics) Add(style []float32) {
	if s.n == 0 {
		s.sum, s.squares = make([]float64, len(style)), make([]float64, len(style))
	}
	s.n++
	for i, v := range style {
		s.sum[i] += float64(v)
		s.squares[i] += float64(v) * float64(v)
	}
}

// Card returns the statistics for a model card: mean and population standard deviation.
func (s *StyleStatistics) Card(layers []string, order string) trt.CardStyle {
	c := trt.CardStyle{Layers: layers, Order: order, Images: s.n}
	for i := range s.sum {
		mean := s.sum[i] / float64(s.n)
		c.Mean = append(c.Mean, float32(mean))
		c.Std = append(c.Std, float32(math.Sqrt(max(0, s.squares[i]/float64(s.n)-mean*mean))))
	}
	return c
}
