package whiten

import (
	"math"
	"slices"
	"testing"
)

func TestParseMaskRestores(t *testing.T) {
	stored := fourChannels([6]uint8{0, 1, 1, 0, 0, 1})
	m, err := ParseMask(4, stored)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Uint8(); !slices.Equal(got, stored) || m.Channels() != 4 || m.Ones() != 3 {
		t.Errorf("mask = %v of %d channels with %d ones, want %v of 4 with 3", got, m.Channels(), m.Ones(), stored)
	}
	stored[1] = 1
	m.Uint8()[2] = 0
	if got, want := m.Uint8(), fourChannels([6]uint8{0, 1, 1, 0, 0, 1}); !slices.Equal(got, want) {
		t.Errorf("mask follows foreign memory: %v, want %v", got, want)
	}
}

func TestParseMaskErrors(t *testing.T) {
	set := func(at int, v uint8) []uint8 {
		m := make([]uint8, 16)
		m[at] = v
		return m
	}
	cases := map[string]struct {
		channels int
		entries  []uint8
		want     string
	}{
		"too short":          {4, make([]uint8, 15), "15 entries"},
		"of another layer":   {5, make([]uint8, 16), "5 channels"},
		"empty":              {0, nil, "0 channels"},
		"size wraps":         {1 << 32, nil, "0 entries"},
		"two":                {4, set(1, 2), "(0, 1) is 2"},
		"on the diagonal":    {4, set(5, 1), "(1, 1) is set"},
		"below the diagonal": {4, set(4, 1), "(1, 0) is set"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseMask(c.channels, c.entries)
			demand(t, err, "mask", c.want)
		})
	}
}

// The numbers of covariances and margins are those of the published ResNet-50 runs.
func TestAllPairs(t *testing.T) {
	cases := map[int]struct{ ones, margin64, margin32 int }{
		64: {2016, 31, 63}, 256: {32640, 510, 1020}, 512: {130816, 2044, 4088},
	}
	for channels, want := range cases {
		m := AllPairs(channels)
		if m.Ones() != want.ones || m.Margin(64) != want.margin64 || m.Margin(32) != want.margin32 || m.Margin(0) != 0 {
			t.Errorf("%d channels: %d ones, margins %d and %d, want %v", channels, m.Ones(), m.Margin(64), m.Margin(32), want)
		}
	}
	if got, want := AllPairs(4).Uint8(), fourChannels([6]uint8{1, 1, 1, 1, 1, 1}); !slices.Equal(got, want) {
		t.Errorf("four channels: %v, want %v", got, want)
	}
}

// The expected variance is numpy.var([a, b], axis=0, ddof=1) above the diagonal, averaged.
func TestSensitivity(t *testing.T) {
	s := NewSensitivity(2)
	for _, views := range [][2][]float32{
		{{1, 0.5, 0.5, 1}, {0.75, 0.25, 0.25, 1}},
		{{1, -0.5, -0.5, 1}, {1, 0.5, 0.5, 0.5}},
	} {
		if err := s.Add(views[0], views[1]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Mean()
	if want := []float64{0, 0.265625, 0, 0}; err != nil || !slices.Equal(got, want) {
		t.Errorf("mean = %v, %v, want %v", got, err, want)
	}
}

func TestSensitivityErrors(t *testing.T) {
	s := NewSensitivity(2)
	_, err := s.Mean()
	demand(t, err, "no pictures")
	good := []float32{1, 2, 2, 1}
	cases := map[string]struct {
		a, b []float32
		want string
	}{
		"short view": {good, good[:3], "3 entries"},
		"NaN":        {good, []float32{1, 2, float32(math.NaN()), 1}, "(1, 0) is NaN"},
		"infinite":   {[]float32{1, float32(math.Inf(-1)), 2, 1}, good, "(0, 1) is -Inf"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			demand(t, s.Add(c.a, c.b), c.want)
			if _, err := s.Mean(); err == nil {
				t.Error("the picture was counted")
			}
		})
	}
}

// TestSensitivityOfParts adds what two averages have seen.
func TestSensitivityOfParts(t *testing.T) {
	a, b, joined := NewSensitivity(2), NewSensitivity(2), NewSensitivity(2)
	for i, s := range []*Sensitivity{a, b, b} {
		one, two := []float32{0, float32(i + 1), 0, 0}, []float32{0, -1, 0, 0}
		for _, s := range []*Sensitivity{s, joined} {
			if err := s.Add(one, two); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum, pictures := a.Sum()
	other, more := b.Sum()
	for i := range sum {
		sum[i] += other[i]
	}
	if err := a.SetSum(sum, pictures+more); err != nil {
		t.Fatal(err)
	}
	got, err := a.Mean()
	want, wantErr := joined.Mean()
	// (2² + 3² + 4²) / 2 / 3
	if err != nil || wantErr != nil || !slices.Equal(got, want) || math.Abs(got[1]-29.0/6) > 1e-6 {
		t.Errorf("got %v, %v; want %v, %v", got, err, want, wantErr)
	}
	for _, c := range []struct {
		sum      []float32
		pictures int
	}{{nil, 1}, {make([]float32, 9), 1}, {make([]float32, 4), -1}} {
		if err := a.SetSum(c.sum, c.pictures); err == nil {
			t.Errorf("%d values of %d pictures are taken", len(c.sum), c.pictures)
		}
	}
	if after, err := a.Mean(); err != nil || !slices.Equal(after, got) {
		t.Errorf("a refused sum changed the mean: %v, %v", after, err)
	}
}
