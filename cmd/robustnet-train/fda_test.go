package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestFitFDA trains with the styles of a folder, and of a data set whose labels are damaged. Both
// are named relative to a folder that the resumed training is not in.
func TestFitFDA(t *testing.T) {
	torchtest.Library(t)
	dir := target(t, 2, 48, 32)
	for _, name := range []string{"a.png", "b.png"} {
		if err := os.WriteFile(filepath.Join(dir, "labels", name), []byte("no picture"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{"images": filepath.Join(dir, "images"), "camvid=.": "camvid=" + dir} {
		out := filepath.Join(t.TempDir(), "run")
		t.Chdir(dir)
		if code, _, stderr := execute(t, quick(out, "--fda", text, "--max-time", "1ns")...); code != cli.OK {
			t.Fatalf("%s: exit code %d: %s", text, code, stderr)
		}
		c, err := trainrun.ReadConfig(out)
		if err != nil || c.Training.Targets != want || c.Adapted != want {
			t.Fatalf("%s: targets %q, adapted to %q, %v; want %q", text, c.Training.Targets, c.Adapted, err, want)
		}
		t.Chdir(t.TempDir())
		if code, stdout, stderr := execute(t, "fit", "--resume", out, "--threads", "1"); code != cli.OK || !strings.Contains(stdout, "the schedule is complete") {
			t.Errorf("%s: exit code %d, %s\n%s", text, code, stdout, stderr)
		}
	}
	if code, _, stderr := execute(t, quick(filepath.Join(dir, "run"), "--fda", filepath.Join(dir, "none"))...); code != cli.Failure || !strings.Contains(stderr, "--fda: list pictures") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
