package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/torch"
)

// version is set by the linker for releases: -X main.version=v1.2.3.
var version string

// torchLine tells which libtorch is there, or why none is.
func torchLine() string {
	lib, err := torch.Load("")
	if err != nil {
		return err.Error()
	}
	cuda := "CUDA is not available"
	if lib.HasCUDA() {
		cuda = "CUDA is available"
	}
	return fmt.Sprintf("libtorch %s, %s", lib.Version(), cuda)
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, what it was built from, and libtorch's",
		Args:  cli.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n%s\n", program, cli.VersionLine(version), torchLine())
			return err
		},
	}
}
