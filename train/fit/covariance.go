package fit

import (
	"math"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// covariancePictures is the number of pictures over which the report's covariances are
// averaged.
const covariancePictures = 8

// covariances measures the absolute covariances of the channels at each of the network's taps,
// averaged over pictures of a set, and writes them into the run's folder as those before or
// after the training. Features are normalised first, whatever norm they come from, so that
// methods can be compared, with networks without whitening, too.
func covariances(s *torch.Scope, m *model.Model, set *data.Set, dir string, after bool) error {
	taps := m.Net.Taps
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
				if !taps[i].Norm.Collected() {
					feature = s.InstanceNorm(feature, nil, nil, nn.NormEps)
				}
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
