package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/spf13/cobra"
)

func TestIsUsage(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"usage":           {Usagef("--size %q", "x"), true},
		"wrapped":         {fmt.Errorf("import: %w", Usagef("no")), true},
		"joined":          {errors.Join(fs.ErrNotExist, Usagef("no")), true},
		"declared":        {AsUsage(fs.ErrNotExist), true},
		"another failure": {fs.ErrNotExist, false},
		"none":            {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsUsage(c.err); got != c.want {
				t.Errorf("IsUsage(%v) = %t", c.err, got)
			}
		})
	}
}

// TestCauses wants the cause and the text to survive the marking.
func TestCauses(t *testing.T) {
	for name, err := range map[string]error{"Usagef": Usagef("%w", fs.ErrNotExist), "AsUsage": AsUsage(fs.ErrNotExist)} {
		if !errors.Is(err, fs.ErrNotExist) || err.Error() != fs.ErrNotExist.Error() {
			t.Errorf("%s: error %q does not say or wrap its cause", name, err)
		}
	}
}

// TestCommandLines runs a command of two flags and one argument.
func TestCommandLines(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // empty for no error
	}{
		"right":           {[]string{"run", "x", "--size", "2"}, ""},
		"near flag":       {[]string{"run", "x", "--siez", "2"}, "unknown flag: --siez; did you mean --size?"},
		"strange flag":    {[]string{"run", "x", "--camera", "2"}, "unknown flag: --camera; see program run --help"},
		"short flag":      {[]string{"run", "x", "-z"}, "unknown shorthand flag: 'z' in -z; see program run --help"},
		"wrong value":     {[]string{"run", "x", "--size", "big"}, `invalid argument "big" for "--size" flag: strconv.ParseInt: parsing "big": invalid syntax; see program run --help`},
		"value missing":   {[]string{"run", "x", "--size"}, "flag needs an argument: --size; see program run --help"},
		"no argument":     {[]string{"run"}, "run: accepts 1 arg(s), received 0; see program run --help"},
		"argument beyond": {[]string{"run", "x", "y"}, "run: accepts 1 arg(s), received 2; see program run --help"},
	} {
		t.Run(name, func(t *testing.T) {
			root := &cobra.Command{Use: "program", SilenceErrors: true, SilenceUsage: true}
			command := &cobra.Command{Use: "run", Args: Positional(cobra.ExactArgs(1)), RunE: func(*cobra.Command, []string) error { return nil }}
			command.Flags().Int("size", 1, "")
			command.Flags().Bool("json", false, "")
			root.AddCommand(command)
			root.SetFlagErrorFunc(FlagError)
			root.SetArgs(c.args)
			root.SetOut(io.Discard)
			err := root.Execute()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || err.Error() != c.want || !IsUsage(err)):
				t.Errorf("error %v, of usage %t; want %q", err, IsUsage(err), c.want)
			}
		})
	}
}
