package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestFewest searches among layers of which some together are needed.
func TestFewest(t *testing.T) {
	for name, tt := range map[string]struct {
		n     int
		need  [][]int // sets of which one has to be kept
		want  []int
		tries int // at most
	}{
		"the worst":               {60, [][]int{{0}}, []int{0}, 1},
		"the worst two":           {60, [][]int{{0, 1}}, []int{0, 1}, 4},
		"the second alone":        {60, [][]int{{1}}, []int{1}, 3},
		"two of the first four":   {60, [][]int{{0, 3}}, []int{0, 3}, 8},
		"one in the midst":        {60, [][]int{{6}}, []int{6}, 15},
		"one or two":              {60, [][]int{{0, 2}, {3}}, []int{0, 2}, 7},
		"all":                     {3, [][]int{{0, 1, 2}}, []int{0, 1, 2}, 6},
		"more than there are":     {3, nil, nil, 4},
		"none to keep":            {0, nil, nil, 1},
		"too many to try each":    {60, [][]int{{0, 20}}, append(numbers(0, 12), 20), 20},
		"the last of a few":       {5, [][]int{{4}}, []int{4}, 9},
		"the worst of two needed": {2, [][]int{{0}, {1}}, []int{0}, 1},
	} {
		tries, last := 0, []int{-1}
		got, err := fewest(tt.n, func(layers []int) (bool, error) {
			tries++
			last = slices.Clone(layers)
			return slices.ContainsFunc(tt.need, func(set []int) bool {
				return !slices.ContainsFunc(set, func(i int) bool { return !slices.Contains(layers, i) })
			}), nil
		})
		if err != nil || !slices.Equal(got, tt.want) || tries > tt.tries {
			t.Errorf("%s: %v in %d tries, %v; want %v in %d", name, got, tries, err, tt.want, tt.tries)
		}
		if tt.n > 0 && !slices.Equal(last, got) {
			t.Errorf("%s: the last try was of %v, want %v", name, last, got)
		}
	}
	// A fault at any try ends the search.
	for at := 1; at <= 8; at++ {
		tries, fault := 0, fmt.Errorf("try %d", at)
		_, err := fewest(60, func(layers []int) (bool, error) {
			if tries++; tries == at {
				return false, fault
			}
			return len(layers) >= 3 && slices.Contains(layers, 0), nil
		})
		if tries != min(at, tries) || tries == at && !errors.Is(err, fault) {
			t.Errorf("a fault at try %d: %v after %d tries", at, err, tries)
		}
	}
}

func numbers(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}
