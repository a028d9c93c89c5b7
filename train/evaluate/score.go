package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/run"
)

// Result is the accuracy on one set.
type Result struct {
	// Domain is the set's name.
	Domain   string
	Pictures int
	// Matrix counts pixels by the ids of Classes. Where predictions were translated it has one
	// class more, for those that are none of Classes.
	Matrix *confusion.Matrix
	// Classes are the names of those compared, and IoU goes with them, in points, 0 to 100;
	// NaN where a class neither occurs nor was predicted or the translation between the
	// model's classes and the set's does not reach it.
	Classes []string
	IoU     []float64
	// MIoU is the mean of those of IoU that are numbers; PixelAccuracy is in points, too.
	MIoU, PixelAccuracy float64
	// Predicting is the time spent in [Predictor.Predict].
	Predicting time.Duration
}

// Evaluation is the result as a run folder records it.
func (r Result) Evaluation(iteration int) run.Evaluation {
	e := run.Evaluation{Iteration: iteration, Domain: r.Domain, Pictures: r.Pictures, MIoU: r.MIoU, PixelAccuracy: r.PixelAccuracy}
	for i, iou := range r.IoU {
		if !math.IsNaN(iou) {
			e.Classes = append(e.Classes, r.Classes[i])
			e.IoU = append(e.IoU, iou)
		}
	}
	e.Confusion = r.confusion()
	return e
}

// confusion is the matrix with the names of the classes. A class more, of translated
// predictions, has a column only, for it never is the true one.
func (r Result) confusion() *run.Confusion {
	c := &run.Confusion{Classes: r.Classes}
	for truth := range r.Classes {
		row := make([]uint64, r.Matrix.Classes())
		for predicted := range row {
			row[predicted] = r.Matrix.Count(truth, predicted)
		}
		c.Pixels = append(c.Pixels, row)
	}
	return c
}

// Scorer scores a predictor on sets.
type Scorer struct {
	Predictor Predictor
	// Classes are the predictor's.
	Classes labels.Set
	// Change, if not nil, returns other pixels of the same size for a set's i-th picture. It
	// is called on a goroutine of its own, and must leave the picture's as they are.
	Change func(i int, p *data.Picture) (rgb []uint8, err error)
	// Each, if not nil, is called with every picture as it was scored: shrunk if the
	// predictor asks for it, its labels and the prediction in [Scoring.Classes].
	Each func(i int, p *data.Picture, prediction []uint8)
}

// Score segments all pictures of a set and compares them with their labels, by the rules of
// [Scoring]. The pixels of all pictures are counted into one matrix. The next picture is read
// while one is segmented. each may be nil; see [Scorer].
func Score(ctx context.Context, p Predictor, modelClasses labels.Set, set *data.Set, each func(i int, p *data.Picture, prediction []uint8)) (Result, error) {
	return Scorer{Predictor: p, Classes: modelClasses, Each: each}.Score(ctx, set)
}

// Score is [Score] with the scorer's predictor. It calls the predictor and Each on the
// calling goroutine, and ends soon after ctx, with its error.
func (s Scorer) Score(ctx context.Context, set *data.Set) (Result, error) {
	result, err := s.score(ctx, set)
	if err != nil {
		return Result{}, fmt.Errorf("score on %s: %w", set.Name, err)
	}
	return result, nil
}

func (s Scorer) score(ctx context.Context, set *data.Set) (Result, error) {
	scoring, err := NewScoring(s.Classes, set)
	if err != nil {
		return Result{}, err
	}
	r := Result{Domain: set.Name, Matrix: scoring.matrix()}
	ctx, cancel := context.WithCancel(ctx)
	pictures := make(chan readPicture, 1)
	var reader sync.WaitGroup
	reader.Go(func() { s.read(ctx, set, pictures) })
	defer reader.Wait()
	defer cancel()
	for read := range pictures {
		if read.err == nil {
			read.err = s.add(ctx, &r, scoring, read)
		}
		if read.err != nil {
			return Result{}, fmt.Errorf("%s: %w", set.Sample(read.i).Name, read.err)
		}
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if r.Matrix.Pixels() == 0 {
		return Result{}, fmt.Errorf("none of %d pictures has a labelled pixel", r.Pictures)
	}
	r.IoU = scoring.iou(r.Matrix)
	r.MIoU, r.PixelAccuracy = mean(r.IoU), 100*r.Matrix.PixelAccuracy()
	if math.IsNaN(r.MIoU) {
		return Result{}, errors.New("none of the classes that model and labels share occurs or was predicted")
	}
	for _, c := range scoring.Classes.Classes {
		r.Classes = append(r.Classes, c.Name)
	}
	return r, nil
}

// readPicture is the i-th picture of a set, or why it could not be read.
type readPicture struct {
	i       int
	picture *data.Picture
	err     error
}

// read sends the set's pictures, ready to be segmented, until one fails or ctx ends.
func (s Scorer) read(ctx context.Context, set *data.Set, to chan<- readPicture) {
	defer close(to)
	for i := range set.Len() {
		p, err := s.prepare(set, i)
		select {
		case to <- readPicture{i, p, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (s Scorer) prepare(set *data.Set, i int) (*data.Picture, error) {
	p, err := set.Read(i)
	if err != nil {
		return nil, err
	}
	if p.Labels == nil {
		return nil, errors.New("it has no labels to compare with")
	}
	if f, ok := s.Predictor.(framer); ok {
		if p, err = f.frame(p); err != nil {
			return nil, err
		}
	}
	if s.Change != nil {
		changed := *p
		changed.RGB, err = s.Change(i, p)
		p = &changed
	}
	return p, err
}

// add segments one picture and counts it.
func (s Scorer) add(ctx context.Context, r *Result, scoring *Scoring, read readPicture) error {
	start := time.Now()
	prediction, err := s.Predictor.Predict(ctx, read.picture)
	if err != nil {
		return err
	}
	r.Predicting += time.Since(start)
	p, prediction, err := scoring.translate(read.picture, prediction)
	if err != nil {
		return err
	}
	if err := scoring.add(r.Matrix, p.Labels, prediction); err != nil {
		return err
	}
	r.Pictures++
	if s.Each != nil {
		s.Each(read.i, p, prediction)
	}
	return nil
}
