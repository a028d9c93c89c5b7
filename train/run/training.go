package run

import (
	"errors"
	"fmt"
	"math"

	"github.com/robustnet-edge/robustnet/train/augment"
	"github.com/robustnet-edge/robustnet/train/extra"
	"github.com/robustnet-edge/robustnet/train/internal/strictyaml"
)

// Training says how a run is trained. With the same settings, the same library and the same
// number of threads, a training on the CPU gives the same weights to the last bit.
type Training struct {
	// Sources and Validation are data sets as package data opens them, with absolute paths.
	Sources    []string `yaml:"sources"`
	Validation []string `yaml:"validation,omitempty"`
	// Targets is a set of pictures whose style FDA takes; their labels are not used.
	Targets string `yaml:"targets,omitempty"`

	// Iterations is the length of the schedule; each takes a step for every source domain.
	Iterations int `yaml:"iterations"`
	// Batch is the number of pictures in a step, of all processes together.
	Batch int `yaml:"batch"`
	// Accumulate splits a step into so many passes, whose gradients are averaged.
	Accumulate int `yaml:"accumulate"`

	// LearningRate is that of the first step; step i of N has LearningRate·(1 − i/N)^Power.
	LearningRate float64 `yaml:"learning_rate"`
	Power        float64 `yaml:"power"`
	Momentum     float64 `yaml:"momentum"`
	WeightDecay  float64 `yaml:"weight_decay"`
	// AuxWeight weighs the cross-entropy of the auxiliary head, and AuxDropout is the
	// probability with which that head loses each of its channels.
	AuxWeight  float64 `yaml:"aux_weight"`
	AuxDropout float64 `yaml:"aux_dropout"`

	Augmentation augment.Recipe `yaml:"augmentation"`
	// ClassUniform is the share of crops, 0 to 1, that are centred on a class, all classes
	// alike; Tile is the side in pixels of the areas in which classes are looked for.
	ClassUniform float64 `yaml:"class_uniform"`
	Tile         int     `yaml:"tile"`
	// Mix draws batches from all sources together, instead of a batch from each in turn.
	Mix bool `yaml:"mix"`

	Masks  MaskSelection  `yaml:"masks,omitempty"`
	Extras extra.Settings `yaml:"extras,omitempty"`

	// Seed begins all random numbers: crops, colours, order, fresh weights, dropped channels.
	Seed uint64 `yaml:"seed"`
	// LogEvery and ValidateEvery are in iterations; 0 validates at the end alone.
	LogEvery      int `yaml:"log_every"`
	ValidateEvery int `yaml:"validate_every"`
	// Patience stops after so many validations without a better mean mIoU; 0 never does.
	Patience int `yaml:"patience"`
}

// MaskSelection says when and from what ISW selects its masks.
type MaskSelection struct {
	// After is the number of iterations before the selection, from which on the whitening
	// loss counts.
	After int `yaml:"after"`
	// Trials is how often masks are selected, each time from Pictures pictures of each
	// source, or from all if there are fewer; what every trial selected is the mask.
	Trials   int `yaml:"trials"`
	Pictures int `yaml:"pictures"`
	// View is what each picture is compared with; the zero value is the published one.
	View augment.View `yaml:"view"`
}

// PublishedTraining returns the published recipe for crops of so many pixels, without sources.
// It counts 40,000 iterations of 16 pictures; ISW's masks come after the same share of others.
func PublishedTraining(crop int) Training {
	return Training{
		Iterations: 40_000, Batch: 16, Accumulate: 1,
		LearningRate: 0.01, Power: 0.9, Momentum: 0.9, WeightDecay: 5e-4, AuxWeight: 0.4, AuxDropout: 0.1,
		Augmentation: augment.Published(crop), ClassUniform: 0.5, Tile: 1024,
		Seed: 1, LogEvery: 10,
	}
}

// Rate returns the learning rate of the step after so many iterations.
func (t Training) Rate(iteration int) float64 {
	return t.LearningRate * math.Pow(1-float64(iteration)/float64(t.Iterations), t.Power)
}

// Share returns the number of pictures in a pass of each of several processes.
func (t Training) Share(processes int) (int, error) {
	pass := t.Batch / t.Accumulate
	if pass%processes != 0 {
		return 0, fmt.Errorf("a pass of %d pictures cannot be shared by %d processes; choose a batch that can", pass, processes)
	}
	return pass / processes, nil
}

// Validate reports everything that is wrong, joined.
func (t Training) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("training: "+format, args...))
		}
	}
	check(len(t.Sources) > 0, "there are no sources; name a data set to train on")
	check(t.Iterations >= 1, "%d iterations; take 1 or more", t.Iterations)
	check(t.Accumulate >= 1, "accumulate is %d; take 1 or more", t.Accumulate)
	check(t.Batch >= 1 && t.Accumulate > 0 && t.Batch%t.Accumulate == 0, "a batch of %d in %d passes; take a multiple", t.Batch, t.Accumulate)
	check(t.LearningRate > 0 && t.LearningRate <= 10, "a learning rate of %v; take one above 0, such as 0.01", t.LearningRate)
	check(t.Power >= 0 && t.Power <= 10, "power is %v; take 0 to 10", t.Power)
	check(t.Momentum >= 0 && t.Momentum < 1, "momentum is %v; take 0 to below 1", t.Momentum)
	check(t.WeightDecay >= 0 && t.WeightDecay < 1, "weight_decay is %v; take 0 to below 1", t.WeightDecay)
	check(t.AuxWeight >= 0 && t.AuxWeight <= 100, "aux_weight is %v; take 0 to 100", t.AuxWeight)
	check(t.AuxDropout >= 0 && t.AuxDropout < 1, "aux_dropout is %v; take 0 to below 1", t.AuxDropout)
	check(t.ClassUniform >= 0 && t.ClassUniform <= 1, "class_uniform is %v; take 0 to 1", t.ClassUniform)
	check(t.ClassUniform == 0 || t.Tile >= 1, "tiles of %d pixels; take 1 or more", t.Tile)
	check(t.LogEvery >= 1, "log_every is %d; take 1 or more", t.LogEvery)
	check(t.ValidateEvery >= 0, "validate_every is %d; take 0 or more", t.ValidateEvery)
	check(t.ValidateEvery <= 0 || len(t.Validation) > 0, "validate_every is %d, but there is no set to validate on; name one", t.ValidateEvery)
	check(t.Patience >= 0, "patience is %d; take 0 or more", t.Patience)
	check(t.Patience <= 0 || t.ValidateEvery > 0, "patience is %d, but there are no validations to count; set validate_every", t.Patience)
	return errors.Join(append(errs, t.Augmentation.Validate(), t.Extras.Validate())...)
}

// validate reports what is wrong with the selection of masks in a training of so many
// iterations.
func (m MaskSelection) validate(iterations int) error {
	if m.After < 0 || m.Trials < 1 || m.Pictures < 1 {
		return fmt.Errorf("masks after %d iterations in %d trials of %d pictures; take 0 or more, and 1 or more", m.After, m.Trials, m.Pictures)
	}
	if m.After >= iterations {
		return fmt.Errorf("masks after %d iterations, but the training has %d, so nothing would be whitened; select them earlier", m.After, iterations)
	}
	return m.View.Validate()
}

// ReadTraining reads settings from a YAML file over those that t has.
func ReadTraining(path string, t *Training) error { return strictyaml.Read(path, t) }
