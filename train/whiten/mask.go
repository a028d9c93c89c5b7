// Package whiten makes the channels of a network's features uncorrelated: the whitening losses
// of RobustNet (Choi et al., "RobustNet: Improving Domain Generalization in Urban-Scene
// Segmentation via Instance Selective Whitening", CVPR 2021), the selection of the
// covariances that react to the style of a picture, and the whitening layers that the paper
// compares with. Nothing here starts goroutines.
package whiten

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Mask says which covariances of a layer a whitening loss penalises: the covariance of
// channels i and j, i < j. It never changes.
type Mask struct {
	channels, ones int
	// entries is channels × channels, row-major, 0 or 1; nothing is set outside i < j.
	entries []uint8
}

// AllPairs returns the mask of all C(C−1)/2 covariances of C ≥ 0 channels, as IW and IRW
// penalise them.
func AllPairs(channels int) Mask {
	channels = max(channels, 0)
	m := Mask{channels: channels, entries: make([]uint8, channels*channels)}
	for i := range channels {
		for j := i + 1; j < channels; j++ {
			m.set(i*channels + j)
		}
	}
	return m
}

// ParseMask reads what [Mask.Uint8] returned for so many channels. An error means another
// size, a number that is neither 0 nor 1, a one on or below the diagonal, or no ones at all.
func ParseMask(channels int, entries []uint8) (Mask, error) {
	if err := checkSize(channels, len(entries)); err != nil {
		return Mask{}, fmt.Errorf("whitening mask: %w", err)
	}
	m := Mask{channels: channels, entries: slices.Clone(entries)}
	for at, v := range entries {
		i, j := at/channels, at%channels
		if v > 1 {
			return Mask{}, fmt.Errorf("whitening mask: entry (%d, %d) is %d, neither 0 nor 1", i, j, v)
		}
		if v == 1 && i >= j {
			return Mask{}, fmt.Errorf("whitening mask: entry (%d, %d) is set, but only those above the diagonal may be", i, j)
		}
		m.ones += int(v)
	}
	if m.ones == 0 {
		return Mask{}, errors.New("whitening mask: it selects nothing, so its loss would be 0/0; select masks again")
	}
	return m, nil
}

// Channels returns the number of channels, C.
func (m Mask) Channels() int { return m.channels }

// Ones returns the number of penalised covariances, by which ISW divides its loss.
func (m Mask) Ones() int { return m.ones }

// Uint8 returns a copy of the mask, C×C, row-major: 1 where a covariance is penalised.
func (m Mask) Uint8() []uint8 { return slices.Clone(m.entries) }

// Margin returns what IRW takes off the sum of the absolute covariances:
// ⌊ones / relaxDenom⌋, or 0 when relaxDenom is 0.
func (m Mask) Margin(relaxDenom float64) int {
	if !(relaxDenom > 0) {
		return 0
	}
	ones := float64(m.ones)
	return int((ones - math.Mod(ones, relaxDenom)) / relaxDenom)
}

func (m *Mask) set(at int) {
	m.entries[at] = 1
	m.ones++
}

// checkSize refuses anything but a C×C matrix.
func checkSize(channels, entries int) error {
	if channels < 1 || entries%channels != 0 || entries/channels != channels {
		return fmt.Errorf("%d entries are not a square matrix of %d channels", entries, channels)
	}
	return nil
}

// Sensitivity averages how much the covariances of one layer differ between two views of
// a picture, the original and one with other colours and blur. It sums in float32 as the
// published code does: at the limit of a cluster the last digit decides. It is used by one
// goroutine at a time.
type Sensitivity struct {
	channels, pairs int
	sum             []float32
}

// NewSensitivity returns an empty average for a layer of so many channels, at least one.
func NewSensitivity(channels int) *Sensitivity {
	return &Sensitivity{channels: channels, sum: make([]float32, channels*channels)}
}

// Add counts one picture: a and b are the covariances of its two views, each C×C, row-major.
// Entries above the diagonal are used. An error means another size or a covariance that is
// not finite; then nothing is counted.
func (s *Sensitivity) Add(a, b []float32) error {
	for _, cov := range [][]float32{a, b} {
		if err := checkSize(s.channels, len(cov)); err != nil {
			return fmt.Errorf("compare covariances: %w", err)
		}
		for at, v := range cov {
			if v-v != 0 { // NaN or infinite
				return fmt.Errorf("compare covariances: entry (%d, %d) is %v; the network has diverged", at/s.channels, at%s.channels, v)
			}
		}
	}
	for i := range s.channels {
		for at := i*s.channels + i + 1; at < (i+1)*s.channels; at++ {
			difference := float64(a[at]) - float64(b[at])
			s.sum[at] += float32(difference * difference / 2)
		}
	}
	s.pairs++
	return nil
}

// Mean returns the mean over the pictures of the unbiased variance of each covariance over
// the two views, C×C, row-major, and zero on and below the diagonal. The paper's section on
// instance selective whitening divides by two views instead of one, which halves all entries
// and selects the same. An error means that no picture was added.
func (s *Sensitivity) Mean() ([]float64, error) {
	if s.pairs == 0 {
		return nil, errors.New("average sensitivity: no pictures were added")
	}
	mean := make([]float64, len(s.sum))
	for i, sum := range s.sum {
		mean[i] = float64(sum / float32(s.pairs))
	}
	return mean, nil
}

// Sum returns a copy of the sum over the pictures, C×C, row-major, and their number.
func (s *Sensitivity) Sum() (sum []float32, pictures int) { return slices.Clone(s.sum), s.pairs }

// SetSum replaces the average by that of other pictures, whose sum and number [Sensitivity.Sum]
// returned, or by that of several: their sums and numbers, added. An error means another size
// or a number below 0; then nothing is replaced.
func (s *Sensitivity) SetSum(sum []float32, pictures int) error {
	if err := checkSize(s.channels, len(sum)); err != nil {
		return fmt.Errorf("set the sum of sensitivities: %w", err)
	}
	if pictures < 0 {
		return fmt.Errorf("set the sum of sensitivities: of %d pictures", pictures)
	}
	s.sum, s.pairs = slices.Clone(sum), pictures
	return nil
}
