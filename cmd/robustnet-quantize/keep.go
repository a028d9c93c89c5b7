package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/terminal"
)

// keepFewest leaves as few layers of a variant in float as it takes to pass, or none if nothing
// helps.
func (j *job) keepFewest(ctx context.Context, v *variant) error {
	if len(j.misses(v)) == 0 || v.Name == fp16 {
		return nil
	}
	_, err := fewest(len(j.report.Layers), func(layers []int) (passed bool, err error) {
		v.keep = slices.Clone(j.keep)
		for _, i := range layers {
			v.keep = append(v.keep, j.report.Layers[i].Name)
		}
		if err := j.make(v); err != nil {
			return false, err
		}
		fmt.Fprintf(j.log, "%s with %s in float:\n", v.Name, terminal.Plural(len(v.keep), "layer"))
		if err := j.score(ctx, v); err != nil {
			return false, err
		}
		return len(j.misses(v)) == 0, nil
	})
	return err
}

// spared is the number of layers that are tried one by one whether they can do without float.
const spared = 8

// fewest looks for few of n layers, which are ordered by their harm, with which try passes. It
// doubles the number of the worst ones until they pass and halves the rest; then it takes out
// those, the least harmful first, without which the others pass as well. It returns nil if
// nothing passes. The last try is of what it returns.
func fewest(n int, try func(layers []int) (passed bool, err error)) ([]int, error) {
	var last []int
	attempt := func(layers []int) (bool, error) {
		last = layers
		return try(layers)
	}
	kept, err := shortest(n, attempt)
	if err != nil {
		return nil, err
	}
	second := len(kept) - 2 // without the last they have failed
	for i := second; i >= 0 && i > second-spared; i-- {
		fewer := slices.Delete(slices.Clone(kept), i, i+1)
		passed, err := attempt(fewer)
		if err != nil {
			return nil, err
		}
		if passed {
			kept = fewer
		}
	}
	if !slices.Equal(last, kept) {
		_, err = try(kept)
	}
	return kept, err
}

// shortest finds the smallest number of the worst layers that pass, nil if not even all do.
func shortest(n int, try func(layers []int) (passed bool, err error)) ([]int, error) {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	failing, passing := 0, min(1, n)
	for passing > failing {
		passed, err := try(all[:passing])
		if err != nil {
			return nil, err
		}
		if passed {
			break
		}
		failing, passing = passing, min(2*passing, n)
	}
	if passing == failing {
		return nil, nil
	}
	for passing-failing > 1 {
		middle := (failing + passing) / 2
		passed, err := try(all[:middle])
		if err != nil {
			return nil, err
		}
		if passed {
			passing = middle
		} else {
			failing = middle
		}
	}
	return all[:passing], nil
}
