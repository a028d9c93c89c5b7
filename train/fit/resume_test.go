package fit_test

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/fit"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestKilled kills a training again and again: in the midst of iterations, of checkpoints
// being written, of masks being selected.
func TestKilled(t *testing.T) {
	lib := torchtest.Library(t)
	c := config(t, streets(t, 8))
	want := straight(t, lib, c)
	r := create(t, c)
	for _, line := range []string{"iteration 1", "iteration 3", "mask 4", "iteration 6", "iteration 10"} {
		cmd, lines, errs := child(t, r.Dir)
		for lines.Scan() && lines.Text() != line {
		}
		if lines.Text() != line {
			t.Fatalf("the child ended before %q: %s", line, errs)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	cmd, lines, errs := child(t, r.Dir)
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the last child: %v\n%s", err, errs)
	}
	same(t, open(t, r.Dir), want)
	if got, want := losses(t, r.Dir), losses(t, want.Dir); !slices.Equal(got, want) {
		t.Errorf("losses\n%v, want\n%v", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(r.Dir, ".*")); len(left) > 4 {
		t.Errorf("parts of files are left: %v", left)
	}
}

// TestInterrupted stops a training between iterations, as Ctrl-C does, and when time is up.
func TestInterrupted(t *testing.T) {
	lib := torchtest.Library(t)
	c := config(t, streets(t, 8))
	c.Training.LogEvery = 4 // stops between lines
	want := straight(t, lib, c)
	r := create(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	o := options()
	o.SaveEvery = time.Hour
	o.Events.Step = func(s fit.Step) {
		if s.Iteration == 3 {
			cancel()
		}
	}
	outcome, err := fit.Run(ctx, lib, r, o)
	if err != nil || outcome.Done || outcome.Iterations != 3 {
		t.Fatalf("stopped with %+v, %v", outcome, err)
	}
	status, err := run.ReadStatus(r.Dir)
	if err != nil || status.State != "stopped" || status.Iteration != 3 {
		t.Errorf("status %+v, %v", status, err)
	}
	o = options()
	o.MaxTime = time.Nanosecond
	if outcome, err := fit.Run(context.Background(), lib, open(t, r.Dir), o); err != nil || outcome.Done || outcome.Iterations != 3 {
		t.Fatalf("without time: %+v, %v", outcome, err)
	}
	if _, err := fit.Run(context.Background(), lib, open(t, r.Dir), options()); err != nil {
		t.Fatal(err)
	}
	same(t, open(t, r.Dir), want)
}

// TestInterruptedValidation is stopped in validations, in the midst of the training and after
// its end, and makes up for them.
func TestInterruptedValidation(t *testing.T) {
	lib := torchtest.Library(t)
	c := config(t, streets(t, 4))
	c.Training.Iterations, c.Training.ValidateEvery, c.Training.Patience = 6, 3, 9
	want := straight(t, lib, c)
	r := create(t, c)
	for _, at := range []int{3, 6} {
		ctx, cancel := context.WithCancel(context.Background())
		o, iteration := options(), 0
		o.Events.Step = func(s fit.Step) { iteration = s.Iteration }
		o.Events.Validating = func(_ string, done, _ int) {
			if done == 2 && iteration == at {
				cancel()
			}
		}
		outcome, err := fit.Run(ctx, lib, open(t, r.Dir), o)
		if err != nil || outcome.Done || outcome.Iterations != at {
			t.Fatalf("stopped in the validation of iteration %d with %+v, %v", at, outcome, err)
		}
		if status, err := run.ReadStatus(r.Dir); err != nil || status.State != "stopped" {
			t.Errorf("status %+v, %v", status, err)
		}
	}
	if outcome, err := fit.Run(context.Background(), lib, open(t, r.Dir), options()); err != nil || !outcome.Done {
		t.Fatalf("ended with %+v, %v", outcome, err)
	}
	same(t, open(t, r.Dir), want)
	got, err := run.ReadEvaluations(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := run.ReadEvaluations(want.Dir)
	if err != nil || len(all) != 2 || !reflect.DeepEqual(got, all) {
		t.Errorf("evaluations %+v, want %+v, %v", got, all, err)
	}
}
