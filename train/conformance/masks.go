package conformance

import (
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/train/model"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// maskPictures is the number of pictures in each mask trial.
const maskPictures = 3

// trials returns how many mask trials the folder speaks of.
func (c *check) trials() int {
	n := 0
	for c.ref.Tensors[fmt.Sprintf("mask_after_trial%d_layer0", n)].Shape != nil {
		n++
	}
	return n
}

// masks repeats the selection of masks, trial by trial, and keeps the intersections.
func (c *check) masks() error {
	taps := c.m.Net.Collected()
	selected := make([][]whiten.Mask, len(taps))
	for trial := range c.trials() {
		variances, err := c.variances(trial)
		if err != nil {
			return err
		}
		for i, tap := range taps {
			if tap.Norm != nn.SelectiveWhitening {
				continue
			}
			if want := c.ref.tensor(fmt.Sprintf("trial%d_layer%d_mean_variance", trial, i)); want != nil {
				c.values(fmt.Sprintf("trial%d_layer%d_mean_variance", trial, i), want, float32s(variances[i]), gradientTolerance)
			}
			selector := whiten.Selector{Layer: tap.Name, Channels: tap.Channels, Clusters: c.ref.Clusters, RelaxDenom: c.ref.RelaxDenom}
			mask, err := selector.Select(variances[i])
			if err != nil {
				return err
			}
			selected[i] = append(selected[i], mask)
			if mask, err = selector.Intersect(selected[i]...); err != nil {
				return err
			}
			c.selected[tap.Name] = mask
			name := fmt.Sprintf("mask_after_trial%d_layer%d", trial, i)
			c.mask(name, c.ref.tensor(name), mask.Uint8())
		}
	}
	for i, want := range c.ref.MaskOnes {
		ones := math.NaN()
		if i < len(taps) {
			ones = float64(c.penalised(taps[i]).Ones())
		}
		c.number(fmt.Sprintf("mask_ones layer %d", i), float64(want), ones, 0, nearTied)
	}
	return nil
}

// penalised returns the covariances in the folder's loss: the selected ones (ISW), or all.
func (c *check) penalised(tap nn.Tap) whiten.Mask {
	if tap.Norm == nn.SelectiveWhitening {
		return c.selected[tap.Name]
	}
	return whiten.AllPairs(tap.Channels)
}

// variances returns for each tap the mean variance of covariances over the two views of the
// trial's pictures.
func (c *check) variances(trial int) ([][]float64, error) {
	averages := c.m.NewSensitivities()
	for picture := range maskPictures {
		plain, styled := c.ref.views(fmt.Sprintf("view0_%d_%d", trial, picture), fmt.Sprintf("view1_%d_%d", trial, picture))
		var err error
		c.s.In(func(s *torch.Scope) {
			tensor := func(pixels []float32) *torch.Tensor {
				return s.FromFloat32(pixels, 1, 3, c.ref.Input[2], c.ref.Input[3])
			}
			err = c.m.CompareViews(s, tensor(styled), tensor(plain), averages)
		})
		if err != nil {
			return nil, err
		}
	}
	means := make([][]float64, len(averages))
	for i, average := range averages {
		var err error
		if means[i], err = average.Mean(); err != nil {
			return nil, err
		}
	}
	return means, nil
}

// chooseLabels returns the batch's labels. The formula is stated for 19 classes; for other
// numbers it has two natural readings, and the one whose cross-entropy is the reference's is
// taken.
func (c *check) chooseLabels(o model.Objective) *torch.Tensor {
	var chosen *torch.Tensor
	best := math.Inf(1)
	for _, period := range []int{c.ref.Classes + 1, 20} {
		labels := c.s.FromInt64(c.ref.labels(period), c.ref.Input[0], c.ref.Input[2], c.ref.Input[3])
		if c.ref.Classes == 19 {
			return labels
		}
		c.s.In(func(s *torch.Scope) {
			losses, _ := c.m.Losses(s, c.input, nil, labels, o)
			if d := math.Abs(s.Item(losses.CE) - c.ref.Steps[0].CE); d < best || chosen == nil {
				chosen, best = labels, d
			}
		})
	}
	return chosen
}

func float32s(values []float64) []float32 {
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return narrow
}
