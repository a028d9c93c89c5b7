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
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
)

const program = "robustnet-edge"

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
  4  the GPU failed beyond recovery in this process; start it anew
`

// gpuBroken is the exit code after a failure that only a new process gets over.
const gpuBroken = 4

const examples = `  robustnet-edge --camera /dev/video0
  robustnet-edge --camera 'file:drive.mp4?pace=0' --output drawn.mp4 --masks labels/
  robustnet-edge config > edge.yaml`

// run executes a command line and returns the exit code. It writes the error, if any, to
// stderr, once.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(append([]string{}, args...)) // for nil, cobra would take os.Args
	err := root.ExecuteContext(ctx)
	if err == nil {
		return cli.OK
	}
	fmt.Fprintf(stderr, "%s: %v\n", program, err)
	return exitCode(err)
}

func exitCode(err error) int {
	var faults config.Faults
	if cli.IsUsage(err) || errors.As(err, &faults) && faults.Usage() {
		return cli.Usage
	}
	if errors.Is(err, nvinfer.ErrBroken) {
		return gpuBroken
	}
	return cli.Failure
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
			again := func() (config.Config, error) {
				loaded, err := load(cmd)
				return loaded.Config, err
			}
			return runDaemon(cmd.Context(), loaded.Config, again, newLogger(loaded.Config.Log, stderr))
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate(program + " {{.Version}}\n")
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetUsageTemplate(usageTemplate())
	addSettings(root)
	root.AddCommand(newCameras(), newCheck(), newConfig(), newDoctor(), newHealthz(), newManual(), newVersion())
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
		return cli.Usagef("unknown command %q; did you mean %s?", args[0], near[0])
	}
	return cli.Usagef("unexpected argument %q; a camera is given as --camera %s", args[0], args[0])
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
