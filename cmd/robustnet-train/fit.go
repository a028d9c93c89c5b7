package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/fit"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/pth"
	"github.com/robustnet-edge/robustnet/train/published"
	"github.com/robustnet-edge/robustnet/train/ranks"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
)

const fitHelp = `Fit trains a network and keeps everything in a run folder: config.yaml with every setting,
last.safetensors and best.safetensors, metrics.csv, evaluations.json, and report.html to look
at, which is rewritten at every validation.

Data sets are named LAYOUT=DIR[:SPLIT]; 'robustnet-train check --help' lists the layouts. With
several --train every iteration takes a step for each. --preset small is for one machine
without a GPU, published is the paper's recipe.

Ctrl-C saves and stops; --resume goes on, also after a crash, to the very weights that an
uninterrupted training gives (on the CPU, with the same number of threads and processes).

Several processes train together when MASTER_ADDR, MASTER_PORT, WORLD_SIZE and RANK say so, as
torchrun sets them. --batch counts the pictures of all.

The exit code is 0 when the training is done or was stopped, 1 after a failure, and 2 for faults
of the command line; status.json in the run folder says "done" of the former alone.`

const fitExamples = `  robustnet-train fit --train camvid=DIR:day_train --val camvid=DIR:day_val \
      --method isw --pretrained mobilenet_v2.pth --out runs/isw
  robustnet-train fit --resume runs/isw
  robustnet-train fit --train gtav=GTAV --val cityscapes=CITYSCAPES:val --preset published \
      --trunk resnet50 --method isw --pretrained resnet50.pth --device cuda --out runs/gtav
  robustnet-train fit --resume runs/isw --qat q/calibration.json --out runs/isw-int8
  robustnet-train fit --train scenes=day --val scenes=night:val --method isw --out runs/scenes`

type fitOptions struct {
	networkFlags
	computeFlags
	loss      whiteningFlags
	recipe    recipeFlags
	out       string
	resume    string
	qat       string
	classes   string
	backbone  string
	workers   int
	cacheMiB  int64
	maxTime   time.Duration
	saveEvery time.Duration
	json      bool
	dryRun    bool
	stdout    io.Writer
	stderr    io.Writer
}

func newFit() *cobra.Command {
	var o fitOptions
	cmd := &cobra.Command{
		Use:     "fit --train LAYOUT=DIR[:SPLIT] --out RUN | --resume RUN",
		Short:   "Train a network",
		Long:    fitHelp,
		Example: fitExamples,
		Args:    cli.Positional(cobra.NoArgs),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.out, "out", "", "run folder to make")
	flags.StringVar(&o.resume, "resume", "", "run folder of a training to go on with")
	flags.StringVar(&o.qat, "qat", "", "calibration.json of 'robustnet-quantize run': fine-tune the finished training of --resume as the INT8 model computes, into the new folder --out")
	flags.StringVar(&o.backbone, "pretrained", "", "ImageNet weights of the trunk, a .pth file with torchvision's keys")
	flags.StringVar(&o.classes, "classes", "", "classes to tell apart, if others than those of the first --train (as of import)")
	o.recipe.add(flags)
	o.networkFlags.add(cmd)
	o.loss.add(flags)
	o.computeFlags.add(flags)
	flags.IntVar(&o.workers, "workers", 0, "pictures prepared at a time (default by the number of cores)")
	flags.Int64Var(&o.cacheMiB, "cache-mib", 1024, "memory for decoded pictures, MiB; 0 decodes them each time")
	flags.DurationVar(&o.maxTime, "max-time", 0, "stop after so long, to be resumed, such as 90m")
	flags.DurationVar(&o.saveEvery, "save-every", 5*time.Minute, "time between checkpoints")
	flags.BoolVar(&o.json, "json", false, "report progress in lines of JSON")
	flags.BoolVar(&o.dryRun, "dry-run", false, "take a few iterations, say how long all take and how much memory, and write nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.run(cmd.Context())
	}
	return cmd
}

// resumable are the flags that may be given to a resumed training.
var resumable = []string{"resume", "dry-run", "device", "threads", "workers", "cache-mib", "max-time", "save-every", "json"}

func (o *fitOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	config, err := ranks.FromEnvironment(os.Getenv)
	if err != nil {
		return cli.AsUsage(err)
	}
	if o.dryRun && !config.Alone() {
		return cli.Usagef("--dry-run tries one process alone: start it without WORLD_SIZE, RANK, MASTER_ADDR and MASTER_PORT, with a --batch of its share")
	}
	if o.device == "cuda" && !config.Alone() {
		o.device = fmt.Sprintf("cuda:%d", config.Local)
	}
	lib, computing, err := o.open()
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.try(ctx, lib, computing)
	}
	// Whoever cannot begin tells the others why; they would wait for it.
	return ranks.Run(ctx, lib, config, ranks.Options{Device: computing.Device}, func(ctx context.Context, group *torch.Group) error {
		return o.train(ctx, lib, computing, config, group)
	})
}

// train trains as one of the group's processes, or alone.
func (o *fitOptions) train(ctx context.Context, lib *torch.Library, computing torch.Options, config ranks.Config, group *torch.Group) (err error) {
	r, unlock, err := o.begin(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	display := newDisplay(o.stdout, o.stderr, o.json, config.Rank == 0)
	display.begin(r)
	options := o.options(computing, display)
	options.Group = group
	outcome, err := fit.Run(ctx, lib, r, options)
	if err != nil {
		return err
	}
	return display.end(r, outcome)
}

func (o *fitOptions) options(computing torch.Options, d *display) fit.Options {
	return fit.Options{
		Device: computing.Device, Threads: computing.Threads, Workers: o.workers, CacheBytes: o.cacheMiB << 20,
		MaxTime: o.maxTime, SaveEvery: o.saveEvery, Events: d.events(),
	}
}

// begin opens the run that is to be gone on with, or makes one. The process that writes it holds
// its lock, from before it reads the checkpoint that others might replace.
func (o *fitOptions) begin(ranked ranks.Config) (r *trainrun.Run, unlock func() error, err error) {
	unlock = func() error { return nil }
	fresh := o.resume == "" || o.qat != ""
	if fresh {
		create := o.create
		if o.qat != "" {
			create = o.createRounded
		}
		if r, err = create(ranked); err != nil {
			return nil, nil, err
		}
	}
	if ranked.Rank == 0 && !o.dryRun {
		dir := o.resume
		if fresh {
			dir = o.out
		}
		if unlock, err = trainrun.Lock(dir); err != nil {
			return nil, nil, err
		}
	}
	if !fresh {
		if r, err = trainrun.Open(o.resume); err != nil {
			return nil, nil, errors.Join(err, unlock())
		}
	}
	return r, unlock, nil
}

// try says what a training would take.
func (o *fitOptions) try(ctx context.Context, lib *torch.Library, computing torch.Options) error {
	r, _, err := o.begin(ranks.Config{World: 1})
	if err != nil {
		return err
	}
	display := newDisplay(o.stdout, o.stderr, o.json, true)
	display.begin(r)
	const iterations = 6
	trial, err := fit.Try(ctx, lib, r, o.options(computing, display), iterations)
	if err != nil {
		return err
	}
	return display.tried(trial, r.Config.Training.Iterations-r.Progress.Iterations, o.device != "cpu")
}

// check refuses what cannot be meant.
func (o *fitOptions) check() error {
	if o.workers < 0 || o.cacheMiB < 0 || o.maxTime < 0 || o.saveEvery <= 0 {
		return cli.Usagef("--workers, --cache-mib and --max-time are 0 or more, and --save-every is more")
	}
	switch {
	case o.qat != "":
		return o.checkRounded()
	case o.resume == "" && o.out == "" && !o.dryRun:
		return cli.Usagef("say with --out which run folder to make, or with --resume which one to go on with")
	case o.resume == "":
		return nil
	}
	if given := o.others(resumable); given != nil {
		return cli.Usagef("%s: a resumed training keeps its settings; besides --resume, give %s at most",
			strings.Join(given, ", "), strings.Join(resumable[1:], ", "))
	}
	return nil
}

// others returns those of the given flags that are not among the named, with dashes.
func (o *fitOptions) others(names []string) (given []string) {
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	o.flags.Visit(func(f *pflag.Flag) {
		if !known[f.Name] {
			given = append(given, "--"+f.Name)
		}
	})
	return given
}

// create makes the run folder of a new training; only the first process writes it.
func (o *fitOptions) create(ranked ranks.Config) (*trainrun.Run, error) {
	training, classes, err := o.recipe.training(o.classes, ranked.World)
	if err != nil {
		return nil, err
	}
	net, method, err := newNetwork(&o.networkFlags, &o.loss, len(classes.Classes))
	if err != nil {
		return nil, err
	}
	settings, err := o.loss.settings(method, net)
	if err != nil {
		return nil, err
	}
	if err := o.recipe.checkMethod(method); err != nil {
		return nil, err
	}
	c := trainrun.Config{Network: net.Spec, Method: method, Whitening: settings, Training: &training, Labels: classes, Adapted: training.Targets}
	if err := c.Validate(); err != nil {
		return nil, cli.AsUsage(err)
	}
	weights, origin, err := o.weights(net, training.Seed)
	if err != nil {
		return nil, err
	}
	c.Origin = origin
	if ranked.Rank != 0 || o.dryRun {
		return trainrun.New(o.out, c, trainrun.Checkpoint{Weights: weights})
	}
	return trainrun.Create(o.out, c, trainrun.Checkpoint{Weights: weights})
}

// weights returns those that the training begins with, and what they are.
func (o *fitOptions) weights(net *nn.Network, seed uint64) (state nn.State, origin string, err error) {
	state = net.Init(seed)
	if o.backbone == "" {
		return state, fmt.Sprintf("fresh weights of seed %d", seed), nil
	}
	file, err := pth.Open(o.backbone)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	trunk, _, err := published.Backbone(file, net)
	if err != nil {
		return nil, "", fmt.Errorf("--pretrained %s: %w", o.backbone, err)
	}
	maps.Copy(state, trunk)
	name, err := describeFile(o.backbone)
	return state, fmt.Sprintf("fresh head of seed %d on the backbone %s", seed, name), err
}
