package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Program describes a program that is a set of commands.
type Program struct {
	Name, Short, Long, Example string
	// Version is that of [VersionLine].
	Version string
	// Exits are the lines of the help that say what exit codes mean.
	Exits    string
	Commands []*cobra.Command
}

// Run executes a command line and returns the exit code. It writes the error, if any, to
// stderr, once.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := p.root()
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(append([]string{}, args...)) // for nil, cobra would take os.Args
	err := root.ExecuteContext(ctx)
	if err == nil {
		return OK
	}
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	switch gate := (GateError{}); {
	case IsUsage(err):
		return Usage
	case errors.As(err, &gate):
		return Gate
	}
	return Failure
}

func (p Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:                        p.Name,
		Short:                      p.Short,
		Long:                       p.Long,
		Example:                    p.Example,
		Version:                    p.Version,
		Args:                       noStrayArguments,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate(p.Name + " {{.Version}}\n")
	root.SetFlagErrorFunc(FlagError)
	root.SetUsageTemplate(root.UsageTemplate() + "{{if not .HasParent}}\nExit codes:\n" + p.Exits + "{{end}}")
	root.AddCommand(p.Commands...)
	root.AddCommand(NewManual(Manual{Exits: p.Exits}))
	return root
}

// noStrayArguments refuses what is no command.
func noStrayArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return Usagef("unknown command %q; %s", args[0], hint)
}

// GateError says that a result misses what the user has asked of it.
type GateError struct{ error }

// Gatef returns a GateError with a text as of fmt.Errorf.
func Gatef(format string, args ...any) GateError { return GateError{fmt.Errorf(format, args...)} }

// VersionLine tells what a program was made from. The version is that of releases, set by the
// linker, or empty.
func VersionLine(version string) string {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = "revision " + s.Value + ", "
			}
		}
	}
	return fmt.Sprintf("%s (%s%s, %s/%s)", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
