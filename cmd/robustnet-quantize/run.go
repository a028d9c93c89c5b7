package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
)

const program = "robustnet-quantize"

// version is set by the linker for releases: -X main.version=v1.2.3.
var version string

const longHelp = `robustnet-quantize makes 8-bit models of the float ones that 'robustnet-train export'
writes, without losing the domains that they never saw.

'run' calibrates, places the integers for ONNX Runtime and for TensorRT, and holds
every domain to a greatest loss. 'build' makes a TensorRT engine, on the GPU on which
it is to run. 'bench' compares the speed of model files and engines. 'info' shows what is in one.`

const examples = `  robustnet-quantize run --model model.onnx --calibrate camvid=camvid:day_train \
      --eval camvid=camvid:day_val --eval dusk=camvid=camvid:dusk_target --max-drop 0.5 --out q/
  robustnet-quantize build --model q/model.trt-int8.onnx --out model.engine
  robustnet-quantize bench model.onnx q/model.cpu-int8.onnx
  robustnet-quantize info q/model.trt-int8.onnx --layers`

const exits = `  0  done, or stopped by a signal
  1  failure
  2  fault on the command line
  3  a domain loses more than --max-drop
`

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Program{
		Name: program, Short: "Make INT8 and FP16 models that keep their accuracy on unseen domains",
		Long: longHelp, Example: examples, Exits: exits, Version: cli.VersionLine(version),
		Commands: []*cobra.Command{newRun(), newBuild(), newBench(), newInfo()},
	}.Run(ctx, args, stdout, stderr)
}
