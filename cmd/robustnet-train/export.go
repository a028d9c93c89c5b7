package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/atomicfile"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/train/export"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
)

const exportHelp = `Export writes the network of a run as a model file that robustnet-edge runs: ONNX, with the
picture's normalisation inside and a card that says what the model is.

With --source the model is run over pictures of the domain that it was trained on, and the
mean and deviation of its style statistics are stored in the card. With --eval its accuracy
is measured on pictures in DIR/images and labels in DIR/labels, all of them or those listed
in DIR/splits/SPLIT.txt, and stored in the card under NAME.`

const exportExamples = `  robustnet-train export --run runs/isw --size 512x1024 --out isw.onnx
  robustnet-train export --run runs/isw --size 360x480 --out isw.onnx \
      --source camvid/images --eval day=camvid:day_val --eval dusk=camvid:dusk_target`

type exportOptions struct {
	run, size, out, outputs, source, onnxRuntime string
	evaluations                                  []string
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
	flags.StringVar(&o.run, "run", "", "run folder")
	flags.StringVar(&o.size, "size", "512x1024", "height and width of the model's input")
	flags.StringVar(&o.out, "out", "", "model file to write")
	flags.StringVar(&o.outputs, "outputs", "mask,style", "outputs: mask,style or mask,style,logits")
	flags.StringVar(&o.source, "source", "", "folder of pictures of the source domain, for the card's style statistics")
	flags.StringArrayVar(&o.evaluations, "eval", nil, "NAME=DIR[:SPLIT] to measure the accuracy on; may be repeated")
	flags.StringVar(&o.onnxRuntime, "onnxruntime", os.Getenv("ROBUSTNET_MODEL_LIBRARY"), "file of ONNX Runtime, which measures; ROBUSTNET_MODEL_LIBRARY")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.export(cmd.Context(), cmd.OutOrStdout()) }
	return cmd
}

// evaluation is a labelled data set.
type evaluation struct{ name, dir, split string }

func (o *exportOptions) export(ctx context.Context, out io.Writer) error {
	if o.run == "" || o.out == "" {
		return cli.Usagef("say with --run which run to export, and with --out which file to write")
	}
	size, err := parseSize(o.size)
	if err != nil {
		return err
	}
	outputs, err := export.ParseOutputs(o.outputs)
	if err != nil {
		return cli.Usagef("--outputs: %w", err)
	}
	evaluations, err := parseEvaluations(o.evaluations)
	if err != nil {
		return cli.AsUsage(err)
	}
	if err := checkTarget("--out", o.out); err != nil {
		return err
	}
	r, err := trainrun.Open(o.run)
	if err != nil {
		return err
	}
	card, err := cardOf(r)
	if err != nil {
		return err
	}
	model, err := export.Model(r.Net, r.Weights, export.Options{Size: size, Outputs: outputs, Card: card})
	if err != nil {
		return err
	}
	content, err := o.measured(ctx, model, evaluations, out)
	if err != nil {
		return err
	}
	if err := atomicfile.Bytes(o.out, content); err != nil {
		return err
	}
	return o.report(out, content)
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

// parseEvaluations reads NAME=DIR[:SPLIT]. A folder whose name has a colon is taken whole.
func parseEvaluations(texts []string) ([]evaluation, error) {
	var all []evaluation
	named := map[string]bool{}
	for _, text := range texts {
		name, dir, _ := strings.Cut(text, "=")
		if name == "" || dir == "" {
			return nil, fmt.Errorf("--eval %q: write NAME=DIR or NAME=DIR:SPLIT, as in dusk=camvid:dusk_target", text)
		}
		if named[name] {
			return nil, fmt.Errorf("--eval %q: the name %s is taken twice", text, name)
		}
		named[name] = true
		e := evaluation{name: name, dir: dir}
		if i := strings.LastIndexByte(dir, ':'); i > 0 {
			if _, err := os.Stat(dir); err != nil {
				e.dir, e.split = dir[:i], dir[i+1:]
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// measured returns the model file, its card completed by what was asked to be measured.
func (o *exportOptions) measured(ctx context.Context, m *onnx.Model, evaluations []evaluation, out io.Writer) (content []byte, err error) {
	content, err = m.Marshal()
	if err != nil || o.source == "" && len(evaluations) == 0 {
		return content, err
	}
	engine, err := ort.Load(o.out, content, ort.Options{Library: o.onnxRuntime})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	defer context.AfterFunc(ctx, engine.Interrupt)()
	card := *engine.Card()
	if o.source != "" {
		if card.Style, err = export.SourceStyle(engine, o.source); err != nil {
			return nil, fmt.Errorf("--source %s: %w", o.source, err)
		}
		fmt.Fprintf(out, "style of %s pictures measured\n", count(card.Style.Images))
	}
	card.Accuracy = map[string]trt.Accuracy{}
	for _, e := range evaluations {
		a, err := export.FolderAccuracy(engine, e.dir, e.split)
		if err != nil {
			return nil, fmt.Errorf("--eval %s: %w", e.name, err)
		}
		card.Accuracy[e.name] = a
		fmt.Fprintf(out, "mIoU on %s: %.2f\n", e.name, a.MIoU)
	}
	if err := export.SetCard(m, card); err != nil {
		return nil, err
	}
	return m.Marshal()
}

// report says what was written and what to do with it.
func (o *exportOptions) report(out io.Writer, content []byte) error {
	h, err := onnx.ReadHeader(content)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s, %s\n", o.out, megabytes(int64(len(content))))
	for _, v := range h.Inputs {
		fmt.Fprintf(out, "  input %s: %v%v\n", v.Name, v.Elem, v.Shape)
	}
	for _, v := range h.Outputs {
		fmt.Fprintf(out, "  output %s: %v%v\n", v.Name, v.Elem, v.Shape)
	}
	if o.source == "" {
		fmt.Fprintln(out, "the card has no style statistics of the source domain; --source DIR measures them")
	}
	_, err = fmt.Fprintf(out, "next: robustnet-edge --model %s --camera /dev/video0\n", o.out)
	return err
}
