package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
)

// Scoring says in which classes a model's predictions are compared with a set's labels: those
// that both have, or else the coarser ones of the two. If these are the model's, labels are
// mapped to them; if they are the set's, predictions are.
type Scoring struct {
	// Classes are the ones compared.
	Classes labels.Set

	model              labels.Set
	truth, predictions *labels.Map // at most one is there
	reached            []bool      // nil where all classes are
}

// NewScoring returns the comparison of a model's classes with a set's. It is an error that
// no map leads from one to the other. If maps lead both ways, labels are mapped, so that all
// sets with such a map are compared in the same classes, the model's.
//
// Classes that the map does not reach are left out of means. With mapped labels, predictions
// of such a class count against the class that is there, as all wrong ones do; with mapped
// predictions, labels of such a class count against the class that is predicted.
func NewScoring(model labels.Set, set *data.Set) (*Scoring, error) {
	if model.SameClasses(set.Classes) {
		return &Scoring{Classes: set.Classes, model: model}, nil
	}
	if m, ok := set.MapTo(model); ok {
		return &Scoring{Classes: model, model: model, truth: &m, reached: m.Reaches()}, nil
	}
	if m, ok := labels.FindMap(model, set.Classes); ok {
		return &Scoring{Classes: set.Classes, model: model, predictions: &m, reached: m.Reaches()}, nil
	}
	return nil, fmt.Errorf("the model has the classes of %s and the labels those of %s, and no map leads from one to the other; the dataset.yaml of the labels or of the first --train can name one, see docs/data.md", model.Name, set.Classes.Name)
}

// matrix returns an empty one. A class more than those compared counts predictions that
// become none of them.
func (s *Scoring) matrix() *confusion.Matrix {
	n := len(s.Classes.Classes)
	if s.predictions != nil {
		n++
	}
	return confusion.New(n, data.Ignored)
}

// translate returns the picture with its labels, and the prediction, in the compared classes.
func (s *Scoring) translate(p *data.Picture, prediction []uint8) (*data.Picture, []uint8, error) {
	if len(prediction) != len(p.Labels) || len(prediction) == 0 {
		return nil, nil, fmt.Errorf("the model predicts %d pixels, and %d are labelled or ignored", len(prediction), len(p.Labels))
	}
	if highest := slices.Max(prediction); int(highest) >= len(s.model.Classes) {
		return nil, nil, fmt.Errorf("the model predicts class %d, but its classes are 0 to %d", highest, len(s.model.Classes)-1)
	}
	switch {
	case s.truth != nil:
		mapped := *p
		mapped.Labels = slices.Clone(p.Labels)
		s.truth.Apply(mapped.Labels)
		return &mapped, prediction, nil
	case s.predictions != nil:
		s.predictions.Apply(prediction)
	}
	return p, prediction, nil
}

// add counts what translate returned.
func (s *Scoring) add(m *confusion.Matrix, truth, prediction []uint8) error {
	if s.predictions != nil {
		prediction = slices.Clone(prediction)
		for i, id := range prediction {
			if id == data.Ignored {
				prediction[i] = uint8(len(s.Classes.Classes))
			}
		}
	}
	return m.Add(truth, prediction)
}

// MIoU returns the mean IoU of one picture in points, 0 to 100, by which the worst ones are
// found. Labels and prediction are in the compared classes, as [Scorer.Each] gets them. It is
// NaN where nothing is labelled.
func (s *Scoring) MIoU(truth, prediction []uint8) (float64, error) {
	m := s.matrix()
	if err := s.add(m, truth, prediction); err != nil {
		return 0, err
	}
	if m.Pixels() == 0 {
		return math.NaN(), nil
	}
	return mean(s.iou(m)), nil
}

// iou returns the IoU of each compared class in points; NaN for those that neither occur nor
// were predicted, and for those that the map does not reach.
func (s *Scoring) iou(m *confusion.Matrix) []float64 {
	iou := m.IoU()[:len(s.Classes.Classes)]
	for c := range iou {
		iou[c] *= 100
		if s.reached != nil && !s.reached[c] {
			iou[c] = math.NaN()
		}
	}
	return iou
}

// mean returns that of the values that are numbers, NaN without any.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}
