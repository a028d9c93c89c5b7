package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/pflag"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/ranks/rankstest"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// quick are flags of the smallest training.
func quick(out string, more ...string) []string {
	return append([]string{"fit", "--train", "scenes=day@160x96:0-3", "--width", "0.5", "--head", "lite", "--crop", "64",
		"--batch", "2", "--iterations", "4", "--mask-trials", "2", "--mask-pictures", "2", "--threads", "1", "--out", out}, more...)
}

// TestFitRefuses wants nothing to be left behind.
func TestFitRefuses(t *testing.T) {
	torchtest.Library(t)
	dir := t.TempDir()
	out, bare := filepath.Join(dir, "run"), filepath.Join(dir, "bare")
	writeCars(t, bare)
	if err := os.RemoveAll(filepath.Join(bare, "labels")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":          {[]string{"fit"}, cli.Usage, "--out"},
		"no source":        {[]string{"fit", "--out", out}, cli.Usage, "--train"},
		"preset":           {quick(out, "--preset", "huge"), cli.Usage, "small and published"},
		"resumed settings": {[]string{"fit", "--resume", out, "--lr", "1"}, cli.Usage, "--lr: a resumed training keeps its settings"},
		"workers":          {quick(out, "--workers", "-1"), cli.Usage, "0 or more"},
		"masks at the end": {quick(out, "--mask-after", "4"), cli.Usage, "nothing would be whitened"},
		"masks of base":    {quick(out, "--method", "base"), cli.Usage, "masks are selected by method isw"},
		"vain patience":    {quick(out, "--patience", "2"), cli.Usage, "no validations to count"},
		"no validation":    {quick(out, "--validate-every", "2"), cli.Usage, "no set to validate on"},
		"odd accumulation": {quick(out, "--accumulate", "3"), cli.Usage, "a batch of 2 in 3 passes"},
		"no map":           {quick(out, "--classes", "cityscapes"), cli.Failure, "no map leads from"},
		"no labels":        {quick(out, "--train", "camvid="+bare), cli.Failure, "no labels to learn from"},
		"same names":       {quick(out, "--val", "x=scenes=day:5-6", "--val", "x=scenes=fog:5-6"), cli.Usage, "another domain is named x"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, c.args...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %q, %s; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a run folder is left")
			}
		})
	}
}

// TestFitRecipe takes the settings of another run, its sources among them, and others from
// flags.
func TestFitRecipe(t *testing.T) {
	torchtest.Library(t)
	dir := t.TempDir()
	recipe := filepath.Join(dir, "recipe.yaml")
	text := "sources: [\"scenes=fog@160x96:0-3\"]\nvalidation: [\"scenes=night@160x96:7-8\"]\nlearning_rate: 0.002\naccumulate: 2\n"
	if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := quick(filepath.Join(dir, "replaced"), "--recipe", recipe, "--max-time", "1ns", "--accumulate", "1")
	fog := slices.Replace(slices.Clone(args), 1, 3)
	fog[slices.Index(fog, "--out")+1] = filepath.Join(dir, "taken")
	for want, args := range map[string][]string{"scenes=day@160x96:0-3": args, "scenes=fog@160x96:0-3": fog} {
		if code, _, stderr := execute(t, args...); code != cli.OK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		c, err := trainrun.ReadConfig(args[slices.Index(args, "--out")+1])
		if err != nil {
			t.Fatal(err)
		}
		got := c.Training
		if !slices.Equal(got.Sources, []string{want}) || !slices.Equal(got.Validation, []string{"scenes=night@160x96:7-8"}) {
			t.Errorf("sources %q, validation %q; want %q", got.Sources, got.Validation, want)
		}
		if got.LearningRate != 0.002 || got.Accumulate != 1 || got.Iterations != 4 {
			t.Errorf("settings %+v", got)
		}
	}
}

// TestRecipeSchedule wants masks and validations to follow the length of the schedule, unless
// something else is asked for.
func TestRecipeSchedule(t *testing.T) {
	recipe := filepath.Join(t.TempDir(), "recipe.yaml")
	if err := os.WriteFile(recipe, []byte("iterations: 1000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][2]int{
		"":                                 {180, 0},
		"--val x":                          {180, 150},
		"--val x --validate-every 0":       {180, 0},
		"--val x --iterations 50":          {6, 5},
		"--iterations 50 --mask-after 9":   {9, 0},
		"--preset published --val x":       {4644, 4000},
		"--recipe " + recipe + " --val x":  {120, 100},
		"--recipe " + recipe + " --lr 0.1": {120, 0},
	} {
		var f recipeFlags
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.add(flags)
		if err := flags.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.settings(); err != nil || got.Masks.After != want[0] || got.ValidateEvery != want[1] {
			t.Errorf("%s: masks after %d, validations every %d, %v; want %v", line, got.Masks.After, got.ValidateEvery, err, want)
		}
	}
}

// TestFit trains, in two parts, and reads the lines for programs.
func TestFit(t *testing.T) {
	torchtest.Library(t)
	out := filepath.Join(t.TempDir(), "run")
	if code, stdout, stderr := execute(t, quick(out, "--val", "scenes=night@160x96:7-8", "--max-time", "1ns")...); code != cli.OK ||
		!strings.Contains(stdout, "stopped after iteration 0: 1ns are over\nnext: robustnet-train fit --resume "+out+"\n") {
		t.Fatalf("exit code %d, %s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr := execute(t, "fit", "--resume", out, "--json", "--threads", "1")
	if code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var events []string
	var end line
	for text := range strings.Lines(stdout) {
		end = line{}
		if err := json.Unmarshal([]byte(text), &end); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		events = append(events, end.Event)
		if end.Event == "pictures" {
			events[len(events)-1] = fmt.Sprintf("%s %d/%d", end.Stage, end.Pictures, end.Total)
		}
	}
	if want := []string{"selecting masks 1/4", "selecting masks 2/4", "selecting masks 3/4", "selecting masks 4/4", "step", "step", "step", "step",
		"validating on scenes/night:7-8 1/2", "validating on scenes/night:7-8 2/2", "validated", "end"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
	if end.Done == nil || !*end.Done || end.Iteration != 4 || end.Reason != "the schedule is complete" || len(end.Hash) != 64 {
		t.Errorf("the end is %+v", end)
	}
	if _, err := os.Stat(filepath.Join(out, trainrun.ReportFile)); err != nil {
		t.Error(err)
	}
}

// TestFitRankWithoutData wants the other ranks not to wait for one that cannot begin.
func TestFitRankWithoutData(t *testing.T) {
	library := torchLibrary(t)
	host, port, err := net.SplitHostPort(rankstest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	lines := [][]string{quick(filepath.Join(dir, "run")), quick(filepath.Join(dir, "run"), "--train", "camvid="+missing)}
	var errs [2]string
	var group sync.WaitGroup
	for rank, args := range lines {
		group.Go(func() {
			environment := append([]string{"MASTER_ADDR=" + host, "MASTER_PORT=" + port, "WORLD_SIZE=2", fmt.Sprint("RANK=", rank)}, library...)
			code, _, stderr := asProcess(t, environment, args...)
			if errs[rank] = stderr; code != cli.Failure {
				t.Errorf("rank %d: exit code %d: %s", rank, code, stderr)
			}
		})
	}
	group.Wait()
	if !strings.Contains(errs[1], missing) {
		t.Errorf("rank 1: %s", errs[1])
	}
	if !strings.Contains(errs[0], "rank 1 (pid ") || !strings.Contains(errs[0], missing) {
		t.Errorf("rank 0: %s", errs[0])
	}
}

// TestFitLocked wants one process at a time to write a run.
func TestFitLocked(t *testing.T) {
	torchtest.Library(t)
	out := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := execute(t, quick(out, "--max-time", "1ns")...); code != cli.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	unlock, err := trainrun.Lock(out)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := execute(t, "fit", "--resume", out, "--threads", "1"); code != cli.Failure || !strings.Contains(stderr, "another process is training it") {
		t.Errorf("locked: exit code %d: %s", code, stderr)
	}
	code, stdout, stderr := execute(t, "fit", "--resume", out, "--threads", "1", "--dry-run")
	if code != cli.OK || !strings.Contains(stdout, ": 4 take ") || !strings.Contains(stdout, "nothing was written") {
		t.Errorf("a dry run: exit code %d, %s\n%s", code, stdout, stderr)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if code, _, stderr := execute(t, "fit", "--resume", out, "--threads", "1"); code != cli.OK {
		t.Errorf("unlocked: exit code %d: %s", code, stderr)
	}
}
