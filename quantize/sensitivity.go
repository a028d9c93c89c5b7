package quantize

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Layer is how much the model suffers when one layer alone is quantised.
type Layer struct {
	Name string
	// Shape is outputs × inputs of a group × kernel.
	Shape string
	// SQNR is the ratio of signal to quantisation noise of the class scores in decibels.
	SQNR float64
}

// Scores names the outputs of the layers that score the classes.
func (net *Network) Scores() []string {
	var names []string
	for _, l := range net.layers {
		if l.head {
			names = append(names, l.node.Outputs[0])
		}
	}
	return names
}

// ScoreModel returns a float32 model whose only outputs are the class scores, at the resolution
// at which they are computed. With options it has the grids of [Placer.TensorRTFloat32],
// without, nil, it is the float model.
func (p *Placer) ScoreModel(o *Options) (*onnx.Model, error) {
	m := p.net.model
	if o != nil {
		var err error
		if m, err = p.TensorRTFloat32(*o); err != nil {
			return nil, err
		}
	}
	return m.WithOutputs(named(p.net.Scores())...), nil
}

// Rank compares the class scores of the model with each layer quantised alone with those of the
// float model, and returns the layers in the order of their harm. The grids are those with
// zero-point 0, the coarser ones. scores runs a model on the pictures that the ranking is by.
func (p *Placer) Rank(o Options, scores func(m *onnx.Model) ([]float32, error), progress func(done, total int)) ([]Layer, error) {
	float, err := p.ScoreModel(nil)
	if err != nil {
		return nil, err
	}
	want, err := scores(float)
	if err != nil {
		return nil, fmt.Errorf("rank layers: %w", err)
	}
	var ranked []Layer
	layers := p.net.quantisable(o)
	for i, l := range layers {
		alone := o
		alone.Only = []string{l.name()}
		m, err := p.ScoreModel(&alone)
		if err != nil {
			return nil, err
		}
		got, err := scores(m)
		if err == nil && len(got) != len(want) {
			err = fmt.Errorf("there are %d scores instead of %d", len(got), len(want))
		}
		if err != nil {
			return nil, fmt.Errorf("rank layer %s: %w", l.name(), err)
		}
		ranked = append(ranked, Layer{Name: l.name(), Shape: l.shapeText(), SQNR: SQNR(want, got)})
		if progress != nil {
			progress(i+1, len(layers))
		}
	}
	slices.SortStableFunc(ranked, func(a, b Layer) int { return cmp.Compare(a.SQNR, b.SQNR) })
	return ranked, nil
}

// quantisable are the layers that o quantises.
func (net *Network) quantisable(o Options) []*layer {
	return slices.DeleteFunc(slices.Clone(net.layers), func(l *layer) bool { return !o.quantised(l) })
}

func (l *layer) shapeText() string {
	var parts []string
	for _, d := range l.shape {
		parts = append(parts, fmt.Sprint(d))
	}
	return strings.Join(parts, "×")
}

// SQNR returns the ratio of signal to noise in decibels of values as they are to those that
// they should be; it is infinite where they are equal. Both have the same length.
func SQNR(want, got []float32) float64 {
	signal, noise := 0.0, 0.0
	for i, w := range want {
		d := float64(w) - float64(got[i])
		signal += float64(w) * float64(w)
		noise += d * d
	}
	return 10 * math.Log10(signal/noise)
}
