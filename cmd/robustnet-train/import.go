package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/terminal"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/pth"
	"github.com/robustnet-edge/robustnet/train/published"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

const importHelp = `Import makes a run folder from a PyTorch checkpoint, without PyTorch and without running
anything that the file contains.

A checkpoint of RobustNet is recognised from its keys and shapes. What leaves no trace in
them (norms without parameters, the output stride) is taken from the training command that
the file holds, or from --method, --placement and --output-stride. It fails with a list when
any weight is missing, unknown or of another shape.

With --pretrained the file is an ImageNet backbone with torchvision's keys. The run gets it as
its trunk, and a fresh head; --trunk, --width, --head, --whiten-affine, --whiten-group-size and
--seed say which. The flags of the whitening loss are kept in the run for its training.`

const importExamples = `  robustnet-train import last_gtav_epoch_51.pth --out runs/isw
  robustnet-train import weights.pth --method isw --classes camvid --out runs/camvid
  robustnet-train import mobilenet_v2.pth --pretrained --trunk mobilenetv2 --head lite \
      --method isw --classes cityscapes --out runs/lite
  robustnet-train import resnet50.pth --pretrained --trunk resnet50 --method irw --relax-denom 32 \
      --classes cityscapes --out runs/irw`

type importOptions struct {
	networkFlags
	loss         whiteningFlags
	out, classes string
	pretrained   bool
	seed         uint64
}

func newImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:     "import FILE.pth --out RUN",
		Short:   "Make a run folder from a checkpoint or an ImageNet backbone",
		Long:    importHelp,
		Example: importExamples,
		Args:    cli.Positional(cobra.ExactArgs(1)),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.out, "out", "", "run folder to make")
	flags.StringVar(&o.classes, "classes", "", "names of the classes: "+strings.Join(labels.Names(), ", ")+", a YAML file, or how many")
	flags.BoolVar(&o.pretrained, "pretrained", false, "the file is an ImageNet backbone")
	o.add(cmd)
	o.loss.add(flags)
	flags.Uint64Var(&o.seed, "seed", 1, "of the fresh head's weights, with --pretrained")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.run(args[0], cmd.OutOrStdout())
	}
	return cmd
}

func (o *importOptions) run(path string, out io.Writer) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	file, err := pth.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	made := o.checkpoint
	if o.pretrained {
		made = o.backbone
	}
	c, ck, report, err := made(file)
	if err != nil {
		return fmt.Errorf("import %s: %w", path, err)
	}
	origin, err := describeFile(path)
	if err != nil {
		return err
	}
	c.Origin += origin
	unread, err := beside(path, file)
	if err != nil {
		return err
	}
	report = append(report, unread...)
	r, err := trainrun.Create(o.out, c, ck)
	if err != nil {
		return err
	}
	train, inference := r.Net.CountParams()
	head := []string{
		summary(c.Network) + " (" + c.Labels.Name + "), " + string(c.Method),
		normSummary(r.Net),
		fmt.Sprintf("%s parameters in training, %s in inference", terminal.Count(train), terminal.Count(inference)),
	}
	if c.Whitening != nil {
		head = append(head, whiteningSummary(*c.Whitening))
	}
	report = append(head, report...)
	_, err = fmt.Fprintf(out, "%s\nwrote %s\n", strings.Join(report, "\n"), o.out)
	return err
}

// check refuses combinations of flags.
func (o *importOptions) check() error {
	if o.out == "" {
		return cli.Usagef("say with --out which run folder to make")
	}
	if o.pretrained && o.classes == "" {
		return cli.Usagef("say with --classes what the network is to tell apart: %s, a YAML file, or how many", strings.Join(labels.Names(), ", "))
	}
	if !o.pretrained {
		if given := changed(o.flags, "trunk", "width", "head", "whiten-affine", "whiten-group-size", "seed"); given != nil {
			return cli.Usagef("the checkpoint tells what %s says; leave it out, or add --pretrained if the file is an ImageNet backbone", strings.Join(given, ", "))
		}
		if given := o.loss.given(); given != nil {
			return cli.Usagef("%s is for new networks, which --pretrained makes", strings.Join(given, ", "))
		}
	}
	return nil
}

// checkpoint recognises a checkpoint of RobustNet.
func (o *importOptions) checkpoint(file *pth.File) (c trainrun.Config, ck trainrun.Checkpoint, report []string, err error) {
	hints := published.Hints{}
	if hints.Placement, err = o.placed(); err != nil {
		return c, ck, nil, err
	}
	if o.flags.Changed("method") {
		hints.Method = nn.Method(o.method)
	}
	if o.flags.Changed("output-stride") {
		hints.OutputStride = o.outputStride
	}
	n, err := published.Read(file, hints)
	if err != nil {
		return c, ck, nil, err
	}
	set, err := o.labels(n.Spec.Classes)
	if err != nil {
		return c, ck, nil, err
	}
	c = trainrun.Config{Network: n.Spec, Method: n.Method, Whitening: n.Whitening, Labels: set, Origin: "imported from "}
	report = append(n.Notes, left(n.Ignored)...)
	if n.Spec.Placement.Has(nn.SelectiveWhitening) {
		report = append(report, "there are no masks in published files: training on with isw selects new ones")
	}
	return c, trainrun.Checkpoint{Weights: n.Weights}, report, nil
}

// labels returns the set of classes. Only for the 19 of the published checkpoints it need
// not be named.
func (o *importOptions) labels(classes int) (labels.Set, error) {
	switch {
	case o.classes != "":
		return parseLabels(o.classes)
	case classes == len(labels.Cityscapes().Classes):
		return labels.Cityscapes(), nil
	}
	return labels.Set{}, cli.Usagef("the network tells %d classes apart; name them with --classes: %s, a YAML file, or %d for classes without names",
		classes, strings.Join(labels.Names(), ", "), classes)
}

func parseLabels(text string) (labels.Set, error) {
	set, err := labels.Parse(text)
	if err != nil {
		err = cli.Usagef("--classes: %w", err)
	}
	return set, err
}

// backbone starts an untrained network from ImageNet weights.
func (o *importOptions) backbone(file *pth.File) (c trainrun.Config, ck trainrun.Checkpoint, report []string, err error) {
	set, err := parseLabels(o.classes)
	if err != nil {
		return c, ck, nil, err
	}
	net, method, err := newNetwork(&o.networkFlags, &o.loss, len(set.Classes))
	if err != nil {
		return c, ck, nil, err
	}
	settings, err := o.loss.settings(method, net)
	if err != nil {
		return c, ck, nil, err
	}
	trunk, ignored, err := published.Backbone(file, net)
	if err != nil {
		return c, ck, nil, err
	}
	state := net.Init(o.seed)
	maps.Copy(state, trunk)
	c = trainrun.Config{Network: net.Spec, Method: method, Whitening: settings, Labels: set,
		Origin: fmt.Sprintf("untrained: fresh head of seed %d on the backbone ", o.seed)}
	report = append(left(ignored), fmt.Sprintf("the head is untrained, of seed %d", o.seed))
	return c, trainrun.Checkpoint{Weights: state}, report, nil
}

// left says which tensors of a file were not needed.
func left(ignored []string) []string {
	counters := 0
	var others []string
	for _, key := range ignored {
		if strings.HasSuffix(key, ".num_batches_tracked") {
			counters++
		} else {
			others = append(others, key)
		}
	}
	var list []string
	if counters > 0 {
		list = append(list, fmt.Sprintf("%d batch counters", counters))
	}
	if others != nil {
		list = append(list, strings.Join(others, ", "))
	}
	if list == nil {
		return nil
	}
	return []string{"not needed: " + strings.Join(list, ", ")}
}

// beside says how much of a file is not weights, if it is more than their description takes.
func beside(path string, file *pth.File) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	rest := info.Size()
	for _, t := range file.Tensors() {
		rest -= 4 * int64(nn.Param{Shape: t.Shape}.Count())
	}
	if rest < info.Size()/10 {
		return nil, nil
	}
	return []string{"not read: " + terminal.Megabytes(rest) + " beside the weights, such as the optimiser's state"}, nil
}

// describeFile returns a file's name and hash.
func describeFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return fmt.Sprintf("%s, sha256 %x", filepath.Base(path), hash.Sum(nil)), nil
}
