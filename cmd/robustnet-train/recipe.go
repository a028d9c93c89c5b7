package main

import (
	"fmt"
	"github.com/robustnet-edge/robustnet/internal/sources"
	"math"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/extra"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

// recipeFlags say how to train. A preset comes first, then a file, then flags.
type recipeFlags struct {
	flags          *pflag.FlagSet
	sources        []string
	validation     []string
	preset, file   string
	given          trainrun.Training
	crop           int
	extras, target string
}

// presets are the recipes to start from.
var presets = map[string]func() trainrun.Training{
	"small":     smallTraining,
	"published": publishedTraining,
}

// publishedTraining is the recipe of the published MobileNetV2 and ResNet-50 on GTAV, where a
// mask was selected after six epochs of 774 iterations.
func publishedTraining() trainrun.Training {
	t := trainrun.PublishedTraining(768)
	t.Masks = trainrun.MaskSelection{After: 6 * 774, Trials: 10, Pictures: 500, View: augment.PublishedView()}
	return t
}

// smallTraining is the published recipe for a few hundred pictures and a machine without a GPU.
func smallTraining() trainrun.Training {
	t := trainrun.PublishedTraining(256)
	t.Iterations, t.Batch, t.ClassUniform = 1500, 4, 0
	t.Masks = trainrun.MaskSelection{After: 180, Trials: 3, Pictures: 60, View: augment.PublishedView()}
	return t
}

// bySchedule stands for what follows from the length of the schedule, until that is known.
const bySchedule = math.MinInt

func (f *recipeFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.StringArrayVar(&f.sources, "train", nil, "LAYOUT=DIR[:SPLIT] to train on; may be repeated")
	flags.StringArrayVar(&f.validation, "val", nil, "LAYOUT=DIR[:SPLIT] to validate on; may be repeated")
	flags.StringVar(&f.preset, "preset", "small", "recipe to start from: small (256² crops, batch 4, 1,500 iterations) or published (768², 16, 40,000)")
	flags.StringVar(&f.file, "recipe", "", "YAML file with settings as under 'training' in a run's config.yaml, which replace the preset's")
	g, small, published := &f.given, smallTraining(), publishedTraining()
	const both = " (small %v, published %v)"
	flags.IntVar(&g.Iterations, "iterations", 0, "length of the schedule"+fmt.Sprintf(both, small.Iterations, published.Iterations))
	flags.IntVar(&g.Batch, "batch", 0, "pictures in a step, of all processes together"+fmt.Sprintf(both, small.Batch, published.Batch))
	flags.IntVar(&g.Accumulate, "accumulate", 0, "passes that a step is split into, to save memory"+fmt.Sprintf(both, small.Accumulate, published.Accumulate))
	flags.IntVar(&f.crop, "crop", 0, "side of the crops, pixels (small 256, published 768)")
	flags.Float64Var(&g.LearningRate, "lr", 0, "learning rate of the first step"+fmt.Sprintf(both, small.LearningRate, published.LearningRate))
	flags.Float64Var(&g.ClassUniform, "class-uniform", 0, "share of crops centred on a class, all classes alike"+fmt.Sprintf(both, small.ClassUniform, published.ClassUniform))
	flags.BoolVar(&g.Mix, "mix", false, "draw batches from all --train together, instead of a step for each")
	flags.IntVar(&g.Masks.After, "mask-after", 0, "isw: iterations before masks are selected (12 % of the schedule)")
	flags.IntVar(&g.Masks.Trials, "mask-trials", 0, "isw: trials, which must agree on the mask"+fmt.Sprintf(both, small.Masks.Trials, published.Masks.Trials))
	flags.IntVar(&g.Masks.Pictures, "mask-pictures", 0, "isw: pictures in a trial"+fmt.Sprintf(both, small.Masks.Pictures, published.Masks.Pictures))
	flags.StringVar(&f.extras, "method-extra", "", "additions that cost nothing afterwards, separated by commas: "+strings.Join(texts(extra.Names()), ", "))
	flags.StringVar(&f.target, "fda", "", "folder of JPEG and PNG pictures of the target whose style FDA takes, or LAYOUT=DIR[:SPLIT], whose labels are not read: domain adaptation, not generalisation")
	flags.IntVar(&g.ValidateEvery, "validate-every", 0, "iterations between validations, 0 for one at the end (default: a tenth of the schedule)")
	flags.IntVar(&g.Patience, "patience", 0, "stop after so many validations without a better mean mIoU (default: never)")
	flags.Uint64Var(&g.Seed, "seed", 1, "of all random numbers")
}

// settings returns those of the preset, the file and the flags, each over the one before.
func (f *recipeFlags) settings() (t trainrun.Training, err error) {
	preset := presets[f.preset]
	if preset == nil {
		return t, cli.Usagef("--preset %s: there are small and published", f.preset)
	}
	t = preset()
	usual, masks := t.Iterations, t.Masks.After
	t.ValidateEvery, t.Masks.After = bySchedule, bySchedule
	if f.file != "" {
		if err := trainrun.ReadTraining(f.file, &t); err != nil {
			return t, cli.Usagef("--recipe: %w", err)
		}
	}
	if err := f.override(&t); err != nil {
		return t, err
	}
	if t.Masks.After == bySchedule {
		if t.Masks.After = masks; t.Iterations != usual {
			t.Masks.After = t.Iterations * 12 / 100
		}
	}
	if t.ValidateEvery == bySchedule {
		t.ValidateEvery = 0
		if len(t.Validation) > 0 {
			t.ValidateEvery = t.Iterations / 10
		}
	}
	return t, nil
}

// training returns the settings for a number of processes, and the classes of the network: those
// that are named or, without a name, those of the first source.
func (f *recipeFlags) training(classesNamed string, processes int) (t trainrun.Training, classes labels.Set, err error) {
	if t, err = f.settings(); err != nil {
		return t, classes, err
	}
	if len(t.Sources) == 0 {
		return t, classes, cli.Usagef("say with --train what to train on, such as --train camvid=DIR:train")
	}
	if err := t.Validate(); err != nil {
		return t, classes, cli.AsUsage(err)
	}
	if _, err := t.Share(processes); err != nil {
		return t, classes, cli.AsUsage(err)
	}
	classes, err = openTraining(&t, classesNamed)
	return t, classes, err
}

// openTraining opens all data sets, so that their faults are seen before anything is made, and
// names them as they hold from every folder. It returns the classes of the network.
func openTraining(t *trainrun.Training, classesNamed string) (classes labels.Set, err error) {
	for i, source := range t.Sources {
		set, absolute, err := openAbsolute(source)
		if err != nil {
			return classes, err
		}
		if !set.Labelled() {
			return classes, fmt.Errorf("--train %s: there are no labels to learn from: %w", source, set.NoLabels)
		}
		if i == 0 {
			classes = set.Classes
		}
		if i == 0 && classesNamed != "" {
			if classes, err = parseLabels(classesNamed); err != nil {
				return classes, err
			}
		}
		if _, err := set.As(classes); err != nil {
			return classes, fmt.Errorf("--train %w", err)
		}
		t.Sources[i] = absolute
	}
	domains, err := sources.Domains("--val", t.Validation)
	if err != nil {
		return classes, err
	}
	for i, set := range domains {
		if _, err := evaluate.NewScoring(classes, set); err != nil {
			return classes, fmt.Errorf("--val %s: %w", t.Validation[i], err)
		}
		if t.Validation[i], err = data.Absolute(t.Validation[i]); err != nil {
			return classes, err
		}
	}
	if t.Targets != "" {
		if _, t.Targets, err = sources.Pictures(t.Targets); err != nil {
			return classes, fmt.Errorf("--fda: %w", err)
		}
	}
	return classes, nil
}

// openAbsolute opens a data set and returns it with a name that holds from every folder.
func openAbsolute(source string) (*data.Set, string, error) {
	set, err := sources.Open(source)
	if err != nil {
		return nil, "", err
	}
	absolute, err := data.Absolute(source)
	return set, absolute, err
}

// override takes the flags that were given.
func (f *recipeFlags) override(t *trainrun.Training) error {
	g := f.given
	for name, take := range map[string]func(){
		"iterations":     func() { t.Iterations = g.Iterations },
		"batch":          func() { t.Batch = g.Batch },
		"accumulate":     func() { t.Accumulate = g.Accumulate },
		"crop":           func() { t.Augmentation.CropSide = f.crop },
		"lr":             func() { t.LearningRate = g.LearningRate },
		"class-uniform":  func() { t.ClassUniform = g.ClassUniform },
		"mix":            func() { t.Mix = g.Mix },
		"mask-after":     func() { t.Masks.After = g.Masks.After },
		"mask-trials":    func() { t.Masks.Trials = g.Masks.Trials },
		"mask-pictures":  func() { t.Masks.Pictures = g.Masks.Pictures },
		"validate-every": func() { t.ValidateEvery = g.ValidateEvery },
		"patience":       func() { t.Patience = g.Patience },
		"seed":           func() { t.Seed = g.Seed },
	} {
		if f.flags.Changed(name) {
			take()
		}
	}
	if f.sources != nil {
		t.Sources = slices.Clone(f.sources)
	}
	if f.validation != nil {
		t.Validation = slices.Clone(f.validation)
	}
	if f.target != "" {
		t.Targets, t.Augmentation.FDA = f.target, augment.PublishedFDA()
	}
	names, err := extra.Parse(f.extras)
	if err != nil {
		return cli.Usagef("--method-extra: %w", err)
	}
	if names != nil {
		t.Extras = extra.Published(names)
	}
	for _, name := range names {
		if name == extra.PASTA {
			t.Augmentation.PASTA = augment.PublishedPASTA()
		}
	}
	return nil
}

// checkMethod refuses flags of masks for methods without them.
func (f *recipeFlags) checkMethod(method nn.Method) error {
	if given := changed(f.flags, "mask-after", "mask-trials", "mask-pictures"); given != nil && method != nn.ISW {
		return cli.Usagef("%s: masks are selected by method isw, not %s", strings.Join(given, ", "), method)
	}
	return nil
}
