// Package confusion evaluates semantic segmentation: it counts which class was predicted
// for the pixels of which, and derives intersection over union from the counts.
package confusion

import (
	"fmt"
	"math"
)

// Matrix counts pixels by true and predicted class. It is used by one goroutine at a time;
// several can be filled side by side and merged.
type Matrix struct {
	classes int
	ignore  int
	// counts holds one row of classes numbers for each true class.
	counts []uint64
}

// New returns an empty matrix of the classes 0 to classes−1. Pixels whose true label is
// ignore count for nothing; a negative ignore leaves none out. It panics when classes is
// not 1 to 256, or when ignore is one of the classes.
func New(classes, ignore int) *Matrix {
	if classes < 1 || classes > 256 {
		panic(fmt.Sprintf("confusion: %d classes; 1 to 256 are possible", classes))
	}
	if ignore >= 0 && ignore < classes {
		panic(fmt.Sprintf("confusion: ignored label %d is one of %d classes", ignore, classes))
	}
	return &Matrix{classes: classes, ignore: ignore, counts: make([]uint64, classes*classes)}
}

// Add counts one picture: truth and predicted hold one label per pixel, in the same order.
// A label that is neither a class nor, in truth, the ignored one is an error, and then
// nothing is counted. What is predicted where truth is ignored does not matter.
func (m *Matrix) Add(truth, predicted []uint8) error {
	if len(truth) != len(predicted) {
		return fmt.Errorf("compare labels: %d true ones and %d predicted ones", len(truth), len(predicted))
	}
	if err := m.check(truth, predicted); err != nil {
		return err
	}
	for i, t := range truth {
		if int(t) != m.ignore {
			m.counts[int(t)*m.classes+int(predicted[i])]++
		}
	}
	return nil
}

func (m *Matrix) check(truth, predicted []uint8) error {
	for i, t := range truth {
		if int(t) == m.ignore {
			continue
		}
		if int(t) >= m.classes {
			return fmt.Errorf("compare labels: pixel %d has the true label %d, but classes are 0 to %d and %d is ignored", i, t, m.classes-1, m.ignore)
		}
		if int(predicted[i]) >= m.classes {
			return fmt.Errorf("compare labels: pixel %d has the predicted label %d, but classes are 0 to %d", i, predicted[i], m.classes-1)
		}
	}
	return nil
}

// Merge adds the counts of other, which must have the same classes and ignored label.
func (m *Matrix) Merge(other *Matrix) error {
	if m.classes != other.classes || m.ignore != other.ignore {
		return fmt.Errorf("merge evaluations: one has %d classes and ignores %d, the other has %d and ignores %d",
			m.classes, m.ignore, other.classes, other.ignore)
	}
	for i, n := range other.counts {
		m.counts[i] += n
	}
	return nil
}

// Classes returns the number of classes.
func (m *Matrix) Classes() int { return m.classes }

// Count returns the number of pixels of class truth that were predicted as class predicted.
func (m *Matrix) Count(truth, predicted int) uint64 {
	return m.counts[truth*m.classes+predicted]
}

// Pixels returns the number of pixels counted.
func (m *Matrix) Pixels() uint64 {
	var sum uint64
	for _, n := range m.counts {
		sum += n
	}
	return sum
}

// IoU returns each class's intersection over union, 0 to 1: pixels that are and were
// predicted as the class, over pixels that are or were. It is NaN for a class that neither
// occurs nor was predicted, and 0 for one that was predicted only.
func (m *Matrix) IoU() []float64 {
	union := make([]uint64, m.classes)
	for t := range m.classes {
		for p := range m.classes {
			n := m.Count(t, p)
			union[t] += n
			if p != t {
				union[p] += n
			}
		}
	}
	iou := make([]float64, m.classes)
	for c := range iou {
		iou[c] = float64(m.Count(c, c)) / float64(union[c]) // 0/0 is NaN
	}
	return iou
}

// MeanIoU returns the mean of those of [Matrix.IoU] that are numbers. It is NaN when there
// are none. This is the figure that papers on Cityscapes report: all pictures are counted
// into one matrix, every class weighs the same, absent classes are left out.
func (m *Matrix) MeanIoU() float64 {
	sum, n := 0.0, 0
	for _, v := range m.IoU() {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}

// PixelAccuracy returns the share of pixels that were predicted as what they are, 0 to 1.
// It is NaN when nothing was counted.
func (m *Matrix) PixelAccuracy() float64 {
	var right uint64
	for c := range m.classes {
		right += m.Count(c, c)
	}
	return float64(right) / float64(m.Pixels())
}
