package main

import (
	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings in effect and where each came from",
		Long: `Config prints the settings that the daemon would use with the same file, environment
and flags, and where each came from. The output is a configuration file. It holds the
camera's password if its address does.`,
		Example: `  robustnet-edge config --camera /dev/video0 > edge.yaml
  robustnet-edge config --explain`,
		Args: cli.Positional(cobra.NoArgs),
	}
	addSettings(cmd)
	explain := cmd.Flags().Bool("explain", false, "add what each setting does and may be")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(cmd)
		if err != nil {
			return err
		}
		if *explain {
			return loaded.Explain(cmd.OutOrStdout())
		}
		return loaded.Print(cmd.OutOrStdout())
	}
	return cmd
}
