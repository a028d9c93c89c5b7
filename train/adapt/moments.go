package adapt

// moments are the mean and the variance of each channel over values that come in parts.
type moments struct {
	count float64
	mean  []float64
	// squares is the sum of the squared distances from the mean.
	squares []float64
}

func newMoments(channels int) *moments {
	return &moments{mean: make([]float64, channels), squares: make([]float64, channels)}
}

// add adds n values of each channel with their mean and biased variance, by the formulas of
// Chan et al., "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances"
// (1979).
func (m *moments) add(n float64, mean, variance []float64) {
	total := m.count + n
	for c := range m.mean {
		apart := mean[c] - m.mean[c]
		m.mean[c] += apart * n / total
		m.squares[c] += variance[c]*n + apart*apart*m.count*n/total
	}
	m.count = total
}

// running returns the mean and the unbiased variance.
func (m *moments) running() (mean, variance []float32) {
	for c := range m.mean {
		mean = append(mean, float32(m.mean[c]))
		variance = append(variance, float32(m.squares[c]/(m.count-1)))
	}
	return mean, variance
}
