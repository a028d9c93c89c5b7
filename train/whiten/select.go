package whiten

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Selector chooses the covariances of one layer that instance selective whitening penalises.
type Selector struct {
	// Layer names the layer in errors.
	Layer string
	// Channels is the number of channels, C.
	Channels int
	// Clusters is the number of clusters into which k-means divides the sensitivities, at
	// least 2; all but the lowest are selected, so more clusters select more. The published
	// MobileNetV2 has 20, ResNet-50 3.
	Clusters int
	// RelaxDenom, when not 0, replaces the clusters: of N covariances all but the
	// ⌊N / RelaxDenom⌋ least sensitive are selected. Where that is none to leave out, the
	// clusters choose, as in the published code.
	RelaxDenom float64
}

// Validate reports everything that is wrong with the settings, joined.
func (s Selector) Validate() error {
	var errs []error
	if s.Channels < 2 {
		errs = append(errs, fmt.Errorf("select covariances of %s: %d channels have none; put no whitening there", s.Layer, s.Channels))
	}
	if !(s.RelaxDenom == 0 || s.RelaxDenom > 1) {
		errs = append(errs, fmt.Errorf("select covariances of %s: a relax denominator of %v; choose 0 for clusters, or more than 1", s.Layer, s.RelaxDenom))
	}
	if s.margin() == 0 && s.Clusters < 2 {
		errs = append(errs, fmt.Errorf("select covariances of %s: %d clusters select nothing; choose 2 or more", s.Layer, s.Clusters))
	}
	return errors.Join(errs...)
}

// margin is the number of covariances that RelaxDenom leaves out.
func (s Selector) margin() int {
	return AllPairs(s.Channels).Margin(s.RelaxDenom)
}

// Select returns the mask of one trial and source from the mean variance of the covariances
// over the two views, as [Sensitivity.Mean] returns it. K-means sees all C² entries: the
// zeros on and below the diagonal draw the lowest cluster down, and the published masks
// depend on that. Of equally sensitive covariances at the limit of RelaxDenom the first by
// row and column are selected.
//
// When fewer distinct values than clusters occur, each makes a cluster, so that zero is not
// sensitive; the published code then selects the whole matrix. An error means wrong
// settings, something else than such a matrix, or nothing to select.
func (s Selector) Select(variance []float64) (Mask, error) {
	if err := errors.Join(s.Validate(), s.check(variance)); err != nil {
		return Mask{}, err
	}
	var m Mask
	var err error
	if margin := s.margin(); margin > 0 {
		m = s.mostSensitive(variance, margin)
	} else {
		m, err = s.aboveLowestCluster(variance)
	}
	if err == nil && m.ones == 0 {
		err = fmt.Errorf("select covariances of %s: the two views of each picture gave the same covariances; check that colours and blur change", s.Layer)
	}
	return m, err
}

// check refuses what is not a matrix of variances above the diagonal.
func (s Selector) check(variance []float64) error {
	if err := checkSize(s.Channels, len(variance)); err != nil {
		return fmt.Errorf("select covariances of %s: %w", s.Layer, err)
	}
	for at, v := range variance {
		i, j := at/s.Channels, at%s.Channels
		if !(v >= 0) || math.IsInf(v, 1) || i >= j && v != 0 {
			return fmt.Errorf("select covariances of %s: entry (%d, %d) is %v, not a variance above the diagonal", s.Layer, i, j, v)
		}
	}
	return nil
}

func (s Selector) aboveLowestCluster(variance []float64) (Mask, error) {
	clusters, err := KMeans(variance, s.Clusters)
	if err != nil {
		return Mask{}, fmt.Errorf("select covariances of %s: %w", s.Layer, err)
	}
	m := Mask{channels: s.Channels, entries: make([]uint8, len(variance))}
	if len(clusters.Smallest) < 2 {
		return m, nil
	}
	for at, v := range variance {
		if v >= clusters.Smallest[1] {
			m.set(at)
		}
	}
	return m, nil
}

// mostSensitive leaves out as many of the least sensitive covariances as margin says.
func (s Selector) mostSensitive(variance []float64, margin int) Mask {
	var pairs []int
	for at := range variance {
		if at/s.Channels < at%s.Channels {
			pairs = append(pairs, at)
		}
	}
	slices.SortStableFunc(pairs, func(a, b int) int { return cmp.Compare(variance[b], variance[a]) })
	m := Mask{channels: s.Channels, entries: make([]uint8, len(variance))}
	for _, at := range pairs[:len(pairs)-margin] {
		m.set(at)
	}
	return m
}

// Intersect returns the covariances that all masks, of all trials and sources, have selected.
// An error means that there is no mask, that one has another size, or that nothing is left:
// the loss would divide by zero.
func (s Selector) Intersect(masks ...Mask) (Mask, error) {
	if len(masks) == 0 {
		return Mask{}, fmt.Errorf("intersect masks of %s: none were selected; run at least one trial", s.Layer)
	}
	for _, m := range masks {
		if m.channels != s.Channels {
			return Mask{}, fmt.Errorf("intersect masks of %s: one has %d channels, the layer %d", s.Layer, m.channels, s.Channels)
		}
	}
	common := Mask{channels: s.Channels, entries: make([]uint8, s.Channels*s.Channels)}
	for at := range common.entries {
		if !slices.ContainsFunc(masks, func(m Mask) bool { return m.entries[at] == 0 }) {
			common.set(at)
		}
	}
	if common.ones == 0 {
		return Mask{}, fmt.Errorf("intersect masks of %s: %d trials and sources have no covariance in common; choose more clusters, fewer trials or more pictures in each", s.Layer, len(masks))
	}
	return common, nil
}
