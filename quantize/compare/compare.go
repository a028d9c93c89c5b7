// Package compare scores several forms of a model on labelled pictures and tells how often they
// agree with the first one.
package compare

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// Comparison holds the masks of the first model that was scored.
type Comparison struct {
	// Domains are the sets to score on.
	Domains []*data.Set
	// Framing is that of the pictures; see [evaluate.Framing].
	Framing evaluate.Framing
	// Progress, if not nil, is called after each picture.
	Progress func(domain string, done, total int)

	reference [][][]uint8 // masks by domain and picture
	agreement [][]float64 // of the last model with the reference, by domain and picture, 0 to 1
}

// Score runs a model over all domains. The first model that is scored becomes the reference.
// The engine stays the caller's; [trt.Engine.Interrupt] ends it within a picture.
func (c *Comparison) Score(ctx context.Context, engine trt.Engine) ([]evaluate.Result, error) {
	card := engine.Card()
	classes := labels.Set{Name: "its card", Classes: card.Classes, Ignore: card.Ignore}
	first := c.reference == nil
	if first {
		c.reference = make([][][]uint8, len(c.Domains))
	}
	c.agreement = make([][]float64, len(c.Domains))
	var results []evaluate.Result
	for i, domain := range c.Domains {
		p := &agreeing{comparison: c, domain: i, first: first, engine: engine, Engine: evaluate.NewEngine(engine)}
		p.Framing = c.Framing
		done := 0
		result, err := evaluate.Score(ctx, p, classes, domain, func(int, *data.Picture, []uint8) {
			done++
			if c.Progress != nil {
				c.Progress(domain.Name, done, domain.Len())
			}
		})
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// Agreement returns the share of pixels, in percent, on which the last model and the reference
// agree on a domain.
func (c *Comparison) Agreement(domain int) float64 {
	sum := 0.0
	for _, share := range c.agreement[domain] {
		sum += share
	}
	return 100 * sum / float64(len(c.agreement[domain]))
}

// Worst returns the picture of a domain on which the last model and the reference agree least.
func (c *Comparison) Worst(domain int) int {
	worst := 0
	for i, share := range c.agreement[domain] {
		if share < c.agreement[domain][worst] {
			worst = i
		}
	}
	return worst
}

// agreeing is a predictor that keeps masks, or compares them with those that were kept.
// Pictures come in their order.
type agreeing struct {
	*evaluate.Engine
	comparison *Comparison
	engine     trt.Engine
	domain     int
	first      bool
	next       int
}

// Predict implements [evaluate.Predictor].
func (a *agreeing) Predict(ctx context.Context, p *data.Picture) ([]uint8, error) {
	result, err := a.Run(ctx, p)
	if err != nil {
		return nil, err
	}
	c := a.comparison
	if a.first {
		c.reference[a.domain] = append(c.reference[a.domain], append([]uint8(nil), result.Mask...))
	}
	if a.next >= len(c.reference[a.domain]) {
		return nil, errors.New("there are more pictures than the first model was scored on")
	}
	share, err := agreement(c.reference[a.domain][a.next], result.Mask)
	if err != nil {
		return nil, err
	}
	c.agreement[a.domain] = append(c.agreement[a.domain], share)
	a.next++
	d := a.engine.Describe()
	return confusion.Resize(result.Mask, d.MaskWidth, d.MaskHeight, p.Width, p.Height)
}

// agreement returns the share of pixels that are the same, 0 to 1.
func agreement(a, b []uint8) (float64, error) {
	if len(a) != len(b) || len(a) == 0 {
		return 0, fmt.Errorf("masks of %d and %d pixels cannot be compared; compare models of the same size", len(a), len(b))
	}
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	return float64(same) / float64(len(a)), nil
}

// Accuracy returns a result as reports have it.
func Accuracy(r evaluate.Result, agreement float64) report.Accuracy {
	a := report.Accuracy{MIoU: r.MIoU, PixelAccuracy: r.PixelAccuracy, Agreement: agreement}
	for _, iou := range r.IoU {
		if math.IsNaN(iou) {
			a.IoU = append(a.IoU, nil)
			continue
		}
		a.IoU = append(a.IoU, &iou)
	}
	return a
}
