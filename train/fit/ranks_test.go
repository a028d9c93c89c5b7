package fit_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/fit"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestRanks trains with two processes that share each batch, and compares them with one that
// has it to itself.
func TestRanks(t *testing.T) {
	lib := torchtest.Library(t)
	c := config(t, streets(t, 8))
	// Fresh weights and small crops magnify rounding from step to step, up to a percent of the
	// loss by the second one at common rates, and more clusters have closer calls. Package
	// model compares the steps themselves.
	c.Training.Batch, c.Training.LearningRate, c.Whitening.Clusters = 4, 3e-7, 3
	want := straight(t, lib, c)
	r := create(t, c)
	port := freePort(t)
	var all []*exec.Cmd
	var errs []*strings.Builder
	for rank := range 2 {
		cmd, _, err := child(t, r.Dir, "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+port, "WORLD_SIZE=2", fmt.Sprintf("RANK=%d", rank))
		all, errs = append(all, cmd), append(errs, err)
	}
	for rank, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("rank %d: %v\n%s", rank, err, errs[rank])
		}
	}
	got := open(t, r.Dir)
	if !maps.EqualFunc(got.Masks, want.Masks, slices.Equal) {
		t.Error("the masks differ")
	}
	expected := losses(t, want.Dir)
	for i, loss := range losses(t, r.Dir) {
		if math.Abs(loss-expected[i]) > 1e-4*expected[i] {
			t.Errorf("iteration %d: loss %v of two processes, %v of one", i+1, loss, expected[i])
		}
	}
}

// TestUnlikeRanks begins with another checkpoint, and with other settings, than rank 0.
func TestUnlikeRanks(t *testing.T) {
	lib := torchtest.Library(t)
	source := streets(t, 8)
	first := create(t, config(t, source))
	for name, edit := range map[string]func(*run.Config){
		"more iterations": func(c *run.Config) { c.Training.Iterations = 11 },
		"further":         func(*run.Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, source)
			edit(&c)
			other := create(t, c)
			if name == "further" {
				ctx, cancel := context.WithCancel(context.Background())
				o := options()
				o.Events.Step = func(fit.Step) { cancel() }
				if _, err := fit.Run(ctx, lib, other, o); err != nil {
					t.Fatal(err)
				}
			}
			port := freePort(t)
			ranked := func(dir string, rank int) (*exec.Cmd, *strings.Builder) {
				cmd, _, errs := child(t, dir, "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+port, "WORLD_SIZE=2", fmt.Sprintf("RANK=%d", rank))
				return cmd, errs
			}
			zero, zeroErrs := ranked(first.Dir, 0)
			one, oneErrs := ranked(other.Dir, 1)
			for _, p := range []struct {
				cmd  *exec.Cmd
				errs *strings.Builder
			}{{zero, zeroErrs}, {one, oneErrs}} {
				if err := p.cmd.Wait(); err == nil || !strings.Contains(p.errs.String(), "start all ranks with the same flags") {
					t.Errorf("it ended with %v: %s", err, p.errs)
				}
			}
		})
	}
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
