package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/edge/config"
)

const program = "robustnet-edge"

// The exit codes. 3 is kept free: the sister programs report a failed accuracy gate
// with it.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

const longHelp = `robustnet-edge segments the street view of a camera as it arrives and serves the
picture with the classes drawn over it.

Settings come from, each overriding the one before: defaults, the YAML file that
--config or ROBUSTNET_CONFIG names, variables of the environment, flags.
'robustnet-edge config' shows the outcome.`

const exitHelp = `
Exit codes:
  0  done, or stopped by SIGINT or SIGTERM
  1  failure, or a fault in the configuration file or the environment
  2  fault on the command line
`

const examples = `  robustnet-edge --camera /dev/video0
  robustnet-edge --camera 'file:drive.mp4?pace=0' --output drawn.mp4 --masks labels/
  robustnet-edge config > edge.yaml`

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes a command line and returns the exit code. It writes the error, if any, to
// stderr, once.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(append([]string{}, args...)) // for nil, cobra would take os.Args
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", program, err)
	return exitCode(err)
}

func exitCode(err error) int {
	var faults config.Faults
	var usage usageError
	if errors.As(err, &usage) || errors.As(err, &faults) && faults.Usage() {
		return exitUsage
	}
	return exitFailure
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:                        program,
		Short:                      "Segment a camera's street view and serve it",
		Long:                       longHelp,
		Example:                    examples,
		Version:                    readBuild().String(),
		Args:                       noStrayArguments,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := load(cmd)
			if err != nil {
				return err
			}
			log := newLogger(loaded.Config.Log, stderr)
			return runDaemon(cmd.Context(), loaded.Config, log)
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate(program + " {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(usageTemplate())
	addSettings(root)
	root.AddCommand(newCheck(), newConfig(), newVersion())
	return root
}

// addSettings gives a command --config and the settings' flags.
func addSettings(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	config.RegisterFlags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if choices := strings.Split(f.Value.Type(), "|"); len(choices) > 1 {
			complete := cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
			_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // fails for unknown flags only
		}
	})
}

func load(cmd *cobra.Command) (config.Loaded, error) {
	return config.Load(config.Sources{Environ: os.Environ(), Flags: cmd.Flags()})
}

// noStrayArguments refuses arguments of the daemon: most likely a camera without its
// flag, or a mistyped command.
func noStrayArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf("unknown command %q; did you mean %s?", args[0], near[0])}
	}
	return usageError{fmt.Errorf("unexpected argument %q; a camera is given as --camera %s", args[0], args[0])}
}

// flagError adds the likely meaning to an unknown flag.
func flagError(cmd *cobra.Command, err error) error {
	hint := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), known); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return usageError{fmt.Errorf("%w; %s", err, hint)}
}

// withUsage marks errors of a check of arguments as mistakes on the command line.
func withUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%s: %w; see %s --help", cmd.Name(), err, cmd.CommandPath())}
		}
		return nil
	}
}

// usageTemplate is cobra's, shortened, with the settings grouped by section instead of
// one list of flags.
func usageTemplate() string {
	return `Usage:
  {{.UseLine}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}
{{if .Flags.Lookup "camera"}}
` + config.FlagHelp() + `
Other flags:
  --config file             YAML file with settings; ROBUSTNET_CONFIG
{{- if .Flags.Lookup "explain"}}
  --explain                 add what each setting does and may be{{end}}
{{- if .Flags.Lookup "version"}}
  --version                 print the version{{end}}
  -h, --help                print this text
{{else if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}
{{- if not .HasParent}}` + exitHelp + `{{end}}`
}
