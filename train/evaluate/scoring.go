package evaluate

import (
	"fmt"
	"math"
	"slices"

	"github.com/robustnet-edge/robustnet/train/confusion"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// Scoring says in which classes a model's predictions are compared with the labels of a set:
// in those that both have, or else in the coarser ones of the two. If the set's are coarser,
// predictions are translated; if the model's are, labels are.
type Scoring struct {
	// Classes are the ones compared; they ignore [data.Ignored].
	Classes labels.Set

	modelClasses int
	// truth and predictions are what ids become, data.Ignored for none; nil where they stay.
	truth, predictions *[256]uint8
	// reached says which of Classes a translation leads to; nil for all.
	reached []bool
}

// NewScoring returns the comparison of a model's classes with a set's. It is an error that no
// map leads from one to the other.
func NewScoring(model, set labels.Set) (*Scoring, error) {
	s := &Scoring{Classes: set, modelClasses: len(model.Classes)}
	if !sameNames(model, set) {
		return nil, fmt.Errorf("compare classes %q of the model with %q of the labels: no map leads from one to the other", model.Name, set.Name)
	}
	s.Classes.Ignore = data.Ignored
	return s, nil
}

func sameNames(a, b labels.Set) bool {
	return slices.EqualFunc(a.Classes, b.Classes, func(a, b trt.Class) bool { return a.Name == b.Name })
}

// matrix returns an empty one: a class more than those compared counts predictions that are
// none of them.
func (s *Scoring) matrix() *confusion.Matrix {
	n := len(s.Classes.Classes)
	if s.predictions != nil {
		n++
	}
	return confusion.New(n, data.Ignored)
}

// translate returns the picture with its labels, and the prediction, in the compared classes.
func (s *Scoring) translate(p *data.Picture, prediction []uint8) (*data.Picture, []uint8, error) {
	if highest := slices.Max(prediction); int(highest) >= s.modelClasses {
		return nil, nil, fmt.Errorf("the model predicts class %d, but has the classes 0 to %d", highest, s.modelClasses-1)
	}
	if s.truth != nil {
		translated := *p
		translated.Labels = through(s.truth, p.Labels)
		p = &translated
	}
	if s.predictions != nil {
		prediction = through(s.predictions, prediction)
	}
	return p, prediction, nil
}

func through(table *[256]uint8, ids []uint8) []uint8 {
	out := make([]uint8, len(ids))
	for i, id := range ids {
		out[i] = table[id]
	}
	return out
}

// add counts a picture that was translated.
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

// MIoU returns the mean IoU of one picture in points, 0 to 100, for finding the worst ones:
// labels and prediction are in the compared classes, as each of [Score] gets them. It is NaN
// where nothing is labelled.
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
// were predicted, or that no label or no prediction could become.
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
