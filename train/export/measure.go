package export

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/trt"
)

// What measures runs the finished model, so that a card states what users get. The caller's
// engine stays open; [trt.Engine.Interrupt] ends a measurement with [trt.ErrInterrupted].

// SourceStyle returns the statistics of the model's style over all pictures of the sets: those
// of the domains that the model was trained on. each, if not nil, is called after each picture
// with how many are done.
func SourceStyle(ctx context.Context, engine trt.Engine, sets []*data.Set, each func(done int)) (trt.CardStyle, error) {
	predictor := evaluate.NewEngine(engine)
	var statistics evaluate.StyleStatistics
	done := 0
	for _, set := range sets {
		for i := range set.Len() {
			p, err := set.Read(i)
			if err != nil {
				return trt.CardStyle{}, fmt.Errorf("measure style: %w", err)
			}
			result, err := predictor.Run(ctx, p)
			if err != nil {
				return trt.CardStyle{}, fmt.Errorf("measure style on %s: %w", set.Sample(i).Name, err)
			}
			statistics.Add(result.Style)
			if done++; each != nil {
				each(done)
			}
		}
	}
	if done == 0 {
		return trt.CardStyle{}, errors.New("measure style: there are no pictures")
	}
	style := engine.Card().Style
	return statistics.Card(style.Layers, style.Order), nil
}

// Accuracy returns the result as the card of a model with these classes has it, in hundredths
// of points. PerClass is empty where the model was compared in other classes than its own; a
// class without IoU has 0 there, because JSON holds no NaN.
func Accuracy(r evaluate.Result, classes []trt.Class) trt.Accuracy {
	a := trt.Accuracy{MIoU: hundredths(r.MIoU), PerClass: []float64{}}
	if !slices.EqualFunc(r.Classes, classes, func(name string, c trt.Class) bool { return name == c.Name }) {
		return a
	}
	for _, iou := range r.IoU {
		if math.IsNaN(iou) {
			iou = 0
		}
		a.PerClass = append(a.PerClass, hundredths(iou))
	}
	return a
}

func hundredths(points float64) float64 { return math.Round(points*100) / 100 }
