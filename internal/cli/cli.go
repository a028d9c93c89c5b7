// Package cli is what the programs' command lines have in common.
package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/nearest"
)

// The exit codes.
const (
	OK      = 0 // done, or stopped by a signal
	Failure = 1
	Usage   = 2
	Gate    = 3 // a result misses what was asked of it
)

// UsageError is a mistake on the command line.
type UsageError struct{ error }

// Usagef returns a UsageError with a text as of fmt.Errorf.
func Usagef(format string, args ...any) UsageError {
	return UsageError{fmt.Errorf(format, args...)}
}

// AsUsage declares an error to be a mistake on the command line.
func AsUsage(err error) UsageError { return UsageError{err} }

// Unwrap returns the cause.
func (e UsageError) Unwrap() error { return e.error }

// IsUsage tells whether a mistake on the command line is behind the error.
func IsUsage(err error) bool {
	var usage UsageError
	return errors.As(err, &usage)
}

// FlagError adds the likely meaning to an unknown flag. It is made for
// [cobra.Command.SetFlagErrorFunc].
func FlagError(cmd *cobra.Command, err error) error {
	hint := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := nearest.Word(unknown.GetSpecifiedName(), known); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return Usagef("%w; %s", err, hint)
}

// Positional marks errors of a check of arguments as mistakes on the command line.
func Positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return Usagef("%s: %w; see %s --help", cmd.Name(), err, cmd.CommandPath())
		}
		return nil
	}
}

// AsUsageIf is [AsUsage] for errors that may be nil.
func AsUsageIf(err error) error {
	if err == nil {
		return nil
	}
	return UsageError{err}
}
