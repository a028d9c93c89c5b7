package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/edge/stream"
	"github.com/robustnet-edge/robustnet/internal/cli"
)

// version is set by the linker for releases: -X main.version=v1.2.3.
var version string

// build tells what this program was made from. Its JSON form is an interface.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // empty when built outside version control
	Modified bool   `json:"modified"` // whether the sources differ from Revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Encoder  string `json:"encoder"` // the library that makes H.264
}

func readBuild() build {
	b := build{
		Version:  version,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Encoder:  stream.EncoderName(),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is one line.
func (b build) String() string {
	source := ""
	if b.Revision != "" {
		source = "revision " + b.Revision + ", "
	}
	if b.Modified {
		source += "modified, "
	}
	return fmt.Sprintf("%s (%s%s, %s, %s)", b.Version, source, b.Go, b.Platform, b.Encoder)
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cli.Positional(cobra.NoArgs),
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out, b := cmd.OutOrStdout(), readBuild()
		if *asJSON {
			return json.NewEncoder(out).Encode(b)
		}
		_, err := fmt.Fprintf(out, "%s %s\n", program, b)
		return err
	}
	return cmd
}
