package run

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/extra"
	"github.com/robustnet-edge/robustnet/train/nn"
)

// trained is a run in the middle of a training.
func trained(t *testing.T) (Config, Checkpoint) {
	t.Helper()
	c, ck := small(t)
	training := PublishedTraining(64)
	training.Sources, training.Validation = []string{"camvid=/data/camvid:day_train"}, []string{"camvid=/data/camvid:dusk_target"}
	training.Masks = MaskSelection{After: 5, Trials: 2, Pictures: 3}
	training.Extras = extra.Settings{Consistency: 10}
	c.Training = &training
	ck.Velocity = nn.State{"final2.0.bias": {Shape: []int{11}, Data: []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0.1}}}
	ck.Progress = Progress{Iterations: 123, Seconds: 4.5, BestMIoU: 51.25, BestIteration: 100, Unimproved: 2}
	return c, ck
}

func TestTrainingRoundTrip(t *testing.T) {
	c, first := trained(t)
	dir := filepath.Join(t.TempDir(), "x")
	r, err := Create(dir, c, first)
	if err != nil {
		t.Fatal(err)
	}
	second := first
	second.Progress.Iterations = 124
	if err := r.Save(second); err != nil {
		t.Fatal(err)
	}
	back, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", *back.Config.Training), fmt.Sprintf("%+v", *c.Training); got != want {
		t.Errorf("settings\n%s\nwant\n%s", got, want)
	}
	if back.Progress != second.Progress {
		t.Errorf("progress %+v, want %+v", back.Progress, second.Progress)
	}
	v := back.Velocity["final2.0.bias"]
	if len(back.Velocity) != 1 || !slices.Equal(v.Data, first.Velocity["final2.0.bias"].Data) {
		t.Errorf("velocity %v", back.Velocity)
	}
}

// TestFailedSave has a folder in the way of the new checkpoint.
func TestFailedSave(t *testing.T) {
	c, ck := trained(t)
	dir := filepath.Join(t.TempDir(), "x")
	r, err := Create(dir, c, ck)
	if err != nil {
		t.Fatal(err)
	}
	r.Dir = filepath.Join(dir, "gone")
	contains(t, r.Save(ck), "save checkpoint", "--resume")
	if _, err := Open(dir); err != nil {
		t.Errorf("the run cannot be opened any more: %v", err)
	}
}

func TestRefusedTrainings(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		edit func(*Config, *Checkpoint)
		want string
	}{
		"no source":         {func(c *Config, _ *Checkpoint) { c.Training.Sources = nil }, "there are no sources"},
		"no iterations":     {func(c *Config, _ *Checkpoint) { c.Training.Iterations = 0 }, "0 iterations"},
		"odd accumulation":  {func(c *Config, _ *Checkpoint) { c.Training.Accumulate = 3 }, "a batch of 16 in 3 passes"},
		"NaN learning rate": {func(c *Config, _ *Checkpoint) { c.Training.LearningRate = nan }, "learning rate of NaN"},
		"NaN power":         {func(c *Config, _ *Checkpoint) { c.Training.Power = nan }, "power is NaN"},
		"momentum of one":   {func(c *Config, _ *Checkpoint) { c.Training.Momentum = 1 }, "momentum is 1"},
		"uniform above one": {func(c *Config, _ *Checkpoint) { c.Training.ClassUniform = 1.5 }, "class_uniform is 1.5"},
		"no crop":           {func(c *Config, _ *Checkpoint) { c.Training.Augmentation.CropSide = 0 }, "crop"},
		"negative extras":   {func(c *Config, _ *Checkpoint) { c.Training.Extras.MixStyle = -1 }, "mixstyle"},
		"no trials":         {func(c *Config, _ *Checkpoint) { c.Training.Masks.Trials = 0 }, "in 0 trials"},
		"masks at the end":  {func(c *Config, _ *Checkpoint) { c.Training.Masks.After = 40_000 }, "nothing would be whitened"},
		"vain patience":     {func(c *Config, _ *Checkpoint) { c.Training.Patience = 3 }, "there are no validations to count"},
		"no set":            {func(c *Config, _ *Checkpoint) { c.Training.ValidateEvery, c.Training.Validation = 5, nil }, "no set to validate on"},
		"foreign velocity":  {func(_ *Config, ck *Checkpoint) { ck.Velocity["x"] = nn.Array{Shape: []int{1}, Data: []float32{1}} }, "a velocity of x"},
		"misshapen velocity": {func(_ *Config, ck *Checkpoint) {
			ck.Velocity["final2.0.bias"] = nn.Array{Shape: []int{1}, Data: []float32{1}}
		}, "a velocity of final2.0.bias"},
		"NaN velocity": {func(_ *Config, ck *Checkpoint) { ck.Velocity["final2.0.bias"].Data[4] = float32(nan) }, "not finite"},
	} {
		t.Run(name, func(t *testing.T) {
			config, ck := trained(t)
			c.edit(&config, &ck)
			_, err := Create(filepath.Join(t.TempDir(), "x"), config, ck)
			contains(t, err, c.want)
		})
	}
}

// The learning rates of the published schedule, by hand.
func TestRate(t *testing.T) {
	training := PublishedTraining(768)
	for i, want := range map[int]float64{0: 0.01, 20_000: 0.005358867312681466, 39_999: 7.213e-07} {
		if got := training.Rate(i); math.Abs(got-want) > 1e-4*want {
			t.Errorf("after %d iterations %v, want %v", i, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	training := Training{Batch: 24, Accumulate: 2}
	if n, err := training.Share(3); n != 4 || err != nil {
		t.Errorf("%d pictures for each of 3 processes, %v; want 4", n, err)
	}
	_, err := training.Share(5)
	contains(t, err, "a pass of 12 pictures cannot be shared by 5")
}

func TestReadTraining(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("batch: 8\naugmentation:\n  flip_probability: 0\n")
	got := PublishedTraining(64)
	if err := ReadTraining(path, &got); err != nil {
		t.Fatal(err)
	}
	want := PublishedTraining(64)
	want.Batch, want.Augmentation.FlipProbability = 8, 0
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("read %+v,\nwant %+v", got, want)
	}
	write("bach: 8\n")
	if err := ReadTraining(path, &got); err == nil || !strings.Contains(err.Error(), "1:1") {
		t.Errorf("error %v, want one at 1:1", err)
	}
}

// TestRecount judges validations of two domains, some of which an older checkpoint has counted.
func TestRecount(t *testing.T) {
	at := func(iteration int, miou float64) Evaluation { return Evaluation{Iteration: iteration, MIoU: miou} }
	p := Progress{Iterations: 50, Seconds: 7, BestMIoU: 99, BestIteration: 1, Unimproved: 9}
	p.Recount([]Evaluation{at(10, 30), at(10, 50), at(20, 60), at(20, 40), at(30, 70), at(30, 10), at(40, 50), at(40, 29)})
	if want := (Progress{Iterations: 50, Seconds: 7, BestMIoU: 50, BestIteration: 20, Unimproved: 2}); p != want {
		t.Errorf("progress %+v, want %+v", p, want)
	}
	p.Recount(nil)
	if want := (Progress{Iterations: 50, Seconds: 7}); p != want {
		t.Errorf("without validations %+v, want %+v", p, want)
	}
}
