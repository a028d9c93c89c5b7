// Package sources opens the data sets that flags name, and tells mistakes of the command line
// from files that are missing.
package sources

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/data"
)

// Open opens a data set.
func Open(source string) (*data.Set, error) {
	set, err := data.Open(source)
	return set, Fault(err)
}

// Fault declares the text of a source that cannot be understood to be a mistake on the
// command line. Files that are missing or damaged are none.
func Fault(err error) error {
	if text := (data.SourceError{}); errors.As(err, &text) {
		return cli.AsUsage(err)
	}
	return err
}

// Domains opens labelled data sets, which must have different names.
func Domains(flag string, sources []string) ([]*data.Set, error) {
	var domains []*data.Set
	for _, source := range sources {
		set, err := Open(source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		if !set.Labelled() {
			return nil, fmt.Errorf("%s %s: there are no labels to compare with: %w", flag, source, set.NoLabels)
		}
		if slices.ContainsFunc(domains, func(d *data.Set) bool { return d.Name == set.Name }) {
			return nil, cli.Usagef("%s %s: another domain is named %s; name one yourself, as in %s night=%s", flag, source, set.Name, flag, source)
		}
		domains = append(domains, set)
	}
	return domains, nil
}

// Pictures opens pictures whose labels, if there are any, are not read: those of a folder
// or of a source. It also returns a text that names them from every folder.
func Pictures(text string) (set *data.Set, absolute string, err error) {
	set, absolute, err = data.OpenUnlabelled(text)
	return set, absolute, Fault(err)
}
