package fit

import (
	"math"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// covariancePictures is the number of pictures over which the report's covariances are
// averaged.
const covariancePictures = 8

// covariances measures the absolute covariances of each whitened layer's channels, averaged
// over pictures of a set, and writes them into the run's folder as those before or after the
// training.
func covariances(s *torch.Scope, m *model.Model, set *data.Set, dir string, after bool) error {
	taps := m.Net.Collected()
	if len(taps) == 0 {
		return nil
	}
	sums := make([][]float32, len(taps))
	n := min(covariancePictures, set.Len())
	for i := range n {
		p, err := set.Read(i * set.Len() / n)
		if err != nil {
			return err
		}
		s.NoGrad(func(s *torch.Scope) {
			nodes := make([]int, len(taps))
			for i, tap := range taps {
				nodes[i] = tap.After
			}
			for i, feature := range m.Forward(s, model.Pictures(s, p.RGB, 1, p.Height, p.Width), model.Inference, nodes...) {
				sums[i] = addAbsolute(sums[i], s.Float32s(whiten.Covariance(s, feature)), 1/float32(n))
			}
		})
		if err := s.Err(); err != nil {
			return err
		}
	}
	known, err := run.ReadCovariances(dir)
	if err != nil {
		return err
	}
	all := make([]run.Covariance, len(taps))
	for i, tap := range taps {
		c := known[tap.Name]
		c.Tap, c.Channels = tap.Name, tap.Channels
		if after {
			c.After = sums[i]
		} else {
			c.Before = sums[i]
		}
		all[i] = c
	}
	return run.WriteCovariances(dir, all)
}

// addAbsolute adds the weighted absolute values to sum, which may be nil.
func addAbsolute(sum, values []float32, weight float32) []float32 {
	if sum == nil {
		sum = make([]float32, len(values))
	}
	for i, v := range values {
		sum[i] += weight * float32(math.Abs(float64(v)))
	}
	return sum
}
