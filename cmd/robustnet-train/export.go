package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/export"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
)

const exportHelp = `Export writes the network of a run as a model file that robustnet-edge runs: ONNX, with the
picture's normalisation inside and a card that says what the model is.

The model is run over pictures of the domain that it was trained on, and the mean and deviation
of its style statistics are stored in the card, by which robustnet-edge tells how far a camera's
pictures are from them. Without --source these are the pictures of the run's training; of more
than 500, so many are taken, evenly spread. Runs that were imported need --source.

With --eval its accuracy is measured as 'robustnet-train eval' does, and stored in the card
under the domain's name. Sources are as 'robustnet-train check' has them.`

const exportExamples = `  robustnet-train export --run runs/isw --size 512x1024 --out isw.onnx
  robustnet-train export --run runs/isw --size 360x480 --out isw.onnx \
      --eval day=camvid=camvid:day_val --eval dusk=camvid=camvid:dusk_target
  robustnet-train export --run runs/imported --out gtav.onnx --source /data/gtav/images`

type exportOptions struct {
	run, size, out, outputs, onnxRuntime string
	sources, evaluations                 []string
	stdout, log                          io.Writer
}

func newExport() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:     "export --run RUN --out MODEL.onnx",
		Short:   "Write a model file that robustnet-edge runs",
		Long:    exportHelp,
		Example: exportExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.run, "run", "", "run folder, or checkpoint in one, such as RUN/best.safetensors")
	flags.StringVar(&o.size, "size", "512x1024", "height and width of the model's input")
	flags.StringVar(&o.out, "out", "", "model file to write")
	flags.StringVar(&o.outputs, "outputs", "mask,style", "outputs: mask,style or mask,style,logits")
	flags.StringArrayVar(&o.sources, "source", nil, "pictures for the card's style statistics: a folder with its subfolders, or LAYOUT=DIR[:SPLIT]; may be repeated; none leaves them out (default: those of the run's training)")
	flags.StringArrayVar(&o.evaluations, "eval", nil, "[NAME=]LAYOUT=DIR[:SPLIT] to measure the accuracy on; may be repeated")
	flags.StringVar(&o.onnxRuntime, "onnxruntime", os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "file of ONNX Runtime, which measures; ROBUSTNET_MODEL_LIBRARY")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.stdout, o.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.export(cmd.Context())
	}
	return cmd
}

func (o *exportOptions) export(ctx context.Context) error {
	if o.run == "" || o.out == "" {
		return cli.Usagef("say with --run which run to export, and with --out which file to write")
	}
	if len(o.sources) > 1 && slices.Contains(o.sources, noSource) {
		return cli.Usagef("--source %s leaves the style statistics out; give it alone", noSource)
	}
	size, err := parseSize(o.size)
	if err != nil {
		return err
	}
	outputs, err := export.ParseOutputs(o.outputs)
	if err != nil {
		return cli.Usagef("--outputs: %w", err)
	}
	if err := checkTarget("--out", o.out); err != nil {
		return err
	}
	m := measurement{options: o, shown: terminal.NewProgress(o.log)}
	if m.domains, err = sources.Domains("--eval", o.evaluations); err != nil {
		return err
	}
	if m.run, err = trainrun.OpenCheckpoint(o.run); err != nil {
		return err
	}
	if err := m.open(); err != nil {
		return err
	}
	card, err := cardOf(m.run)
	if err != nil {
		return err
	}
	model, err := export.Model(m.run.Net, m.run.Weights, export.Options{Size: size, Outputs: outputs, Card: card})
	if err != nil {
		return err
	}
	content, err := m.measured(ctx, model)
	if err != nil {
		return stopped(ctx, err)
	}
	if err := atomicfile.Bytes(o.out, content); err != nil {
		return err
	}
	return o.report(content, m.missing)
}

// checkTarget says in time, for measuring takes long, why no file can be written.
func checkTarget(flag, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s %s: it is a folder; name a file in it", flag, path)
	}
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: folder %s does not exist; make it first", flag, path, folder)
	case err != nil:
		return fmt.Errorf("%s %s: %w", flag, path, err)
	case !info.IsDir():
		return fmt.Errorf("%s %s: %s is not a folder; name another one", flag, path, folder)
	}
	return nil
}

// cardOf says on a card what the run says.
func cardOf(r *trainrun.Run) (trt.Card, error) {
	path, err := filepath.Abs(r.Dir)
	if err != nil {
		return trt.Card{}, err
	}
	weights, err := describeFile(filepath.Join(path, trainrun.LastFile))
	if err != nil {
		return trt.Card{}, err
	}
	return trt.Card{
		Name:     filepath.Base(path),
		Method:   string(r.Config.Method),
		Classes:  r.Config.Labels.Classes,
		Ignore:   r.Config.Labels.Ignore,
		Training: r.Config.Origin + "; exported from " + weights,
	}, nil
}

// report says what was written and what to do with it.
func (o *exportOptions) report(content []byte, missing string) error {
	h, err := onnx.ReadHeader(content)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "wrote %s, %s\n", o.out, terminal.Megabytes(int64(len(content))))
	for _, v := range h.Inputs {
		fmt.Fprintf(o.stdout, "  input %s: %v%v\n", v.Name, v.Elem, v.Shape)
	}
	for _, v := range h.Outputs {
		fmt.Fprintf(o.stdout, "  output %s: %v%v\n", v.Name, v.Elem, v.Shape)
	}
	if missing != "" {
		fmt.Fprintf(o.stdout, "the card has no style statistics of the source domain: %s; --source DIR measures them\n", missing)
	}
	_, err = fmt.Fprintf(o.stdout, "next: robustnet-edge --model %s --camera /dev/video0\n", o.out)
	return err
}
