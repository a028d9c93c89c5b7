package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/edge/config"
	"github.com/robustnet-edge/robustnet/internal/cli"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file and report everything that is wrong",
		Long: `Check reads a YAML file of settings over the defaults, without environment and flags,
and reports everything that is wrong with line and column. It touches neither cameras
nor ports. The exit code is 1 when the file has faults.`,
		Args: cli.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := config.Check(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", args[0])
			return err
		},
	}
}
