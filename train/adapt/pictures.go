package adapt

import (
	"errors"
	"fmt"
	"iter"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
)

// Pictures are those of a set, to be read.
type Pictures struct {
	Set *data.Set
	// MaxWidth, in pixels, is the width to which wider pictures are shrunk; 0 is no limit.
	MaxWidth int
	// SkipUnreadable passes pictures over that cannot be read; otherwise they are an error that
	// names all of them.
	SkipUnreadable bool
	// Skipped are the faults of the pictures that the last reading passed over.
	Skipped []error
}

// All reads the pictures one after the other.
func (ps *Pictures) All() iter.Seq2[*data.Picture, error] {
	return func(yield func(*data.Picture, error) bool) {
		ps.Skipped = nil
		for i := range ps.Set.Len() {
			p, err := ps.read(i)
			switch {
			case err != nil:
				ps.Skipped = append(ps.Skipped, err)
			case ps.SkipUnreadable || ps.Skipped == nil: // with an error, only more errors are looked for
				if !yield(p, nil) {
					return
				}
			}
		}
		if n := len(ps.Skipped); n > 0 && (!ps.SkipUnreadable || n == ps.Set.Len()) {
			yield(nil, ps.unreadable())
		}
	}
}

func (ps *Pictures) read(i int) (*data.Picture, error) {
	p, err := ps.Set.Read(i)
	if err != nil {
		return nil, err
	}
	if p, err = evaluate.Shrink(p, ps.MaxWidth); err != nil {
		return nil, fmt.Errorf("%s: %w", ps.Set.Sample(i).Name, err)
	}
	return p, nil
}

func (ps *Pictures) unreadable() error {
	const shown = 10
	n := len(ps.Skipped)
	err := errors.Join(ps.Skipped[:min(n, shown)]...)
	if n > shown {
		err = fmt.Errorf("%w\nand %d more", err, n-shown)
	}
	return fmt.Errorf("%d of %d pictures cannot be read:\n%w", n, ps.Set.Len(), err)
}
