package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
)

const program = "robustnet-train"

const longHelp = `robustnet-train makes the networks that robustnet-edge runs: the trunks and the head of
RobustNet (CVPR 2021), with the norms that make them indifferent to light and weather.

'check' looks through a data set, 'fit' trains a network on it, 'eval' measures models on
domains that they never saw, 'report' draws what happened, 'export' makes a model file.

A run folder holds one network: config.yaml says what it is and how it is trained,
last.safetensors has the weights, report.html is to be looked at.`

const examples = `  robustnet-train check camvid=DIR:train
  robustnet-train fit --train camvid=DIR:train --val camvid=DIR:val --method isw \
      --pretrained mobilenet_v2.pth --out runs/isw
  robustnet-train eval --model runs/isw --on camvid=DIR:test --corruptions
  robustnet-train describe --trunk resnet50 --method ibn
  robustnet-train import last_gtav.pth --out runs/isw
  robustnet-train export --run runs/isw --size 512x1024 --out isw.onnx
  robustnet-train import mobilenet_v2.pth --pretrained --classes cityscapes --out runs/new`

const exits = `  0  done
  1  failure
  2  fault on the command line
`

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Program{
		Name: program, Short: "Make segmentation networks that withstand light and weather",
		Long: longHelp, Example: examples, Exits: exits, Version: cli.VersionLine(version),
		Commands: []*cobra.Command{newCheck(), newFit(), newEval(), newReport(), newReconstruct(), newAdapt(),
			newImport(), newDescribe(), newExport(), newConformance(), newVersion()},
	}.Run(ctx, args, stdout, stderr)
}
