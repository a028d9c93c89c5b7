package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// TestSourceFaults wants the same exit codes of all commands: text that cannot be understood
// is a mistake on the command line, and a folder that is not there is none.
func TestSourceFaults(t *testing.T) {
	torchtest.Library(t)
	dir := t.TempDir()
	run, pictures := filepath.Join(dir, "run"), filepath.Join(dir, "data")
	writeRun(t, run, 8)
	writeCars(t, pictures)
	good := "camvid=" + pictures
	commands := map[string][]string{
		"check":       {"check"},
		"eval":        {"eval", "--model", run, "--on"},
		"fit":         {"fit", "--out", filepath.Join(dir, "new"), "--train"},
		"fit --val":   {"fit", "--out", filepath.Join(dir, "new"), "--train", good, "--val"},
		"fit --fda":   {"fit", "--out", filepath.Join(dir, "new"), "--train", good, "--fda"},
		"export":      {"export", "--run", run, "--out", filepath.Join(dir, "x.onnx"), "--eval"},
		"--source":    {"export", "--run", run, "--out", filepath.Join(dir, "x.onnx"), "--source"},
		"adapt":       {"adapt", "--run", run, "--images"},
		"adapt --on":  {"adapt", "--run", run, "--images", pictures, "--on"},
		"reconstruct": {"reconstruct", "--run", run, "--on"},
	}
	for source, c := range map[string]struct {
		code int
		want string
	}{
		"camvd=" + pictures:                  {cli.Usage, "did you mean camvid?"},
		good + ":../x":                       {cli.Usage, "is no plain name"},
		"scenes=dawn":                        {cli.Usage, `unknown style "dawn"`},
		"scenes=day:x":                       {cli.Usage, "write train, val, or the first and last seed"},
		"camvid=" + filepath.Join(dir, "no"): {cli.Failure, "no such file or directory"},
		good + ":dusk":                       {cli.Failure, "there is no such list"},
		"folder=" + pictures:                 {cli.Failure, "the description of the data set is missing"},
	} {
		for name, args := range commands {
			if code, stdout, stderr := execute(t, append(args, source)...); code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("%s with %s: exit code %d, %q, %s; want %d, %q", name, source, code, stdout, stderr, c.code, c.want)
			}
		}
	}
}
