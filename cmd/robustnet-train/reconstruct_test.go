package main

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
)

func TestReconstruct(t *testing.T) {
	run, base := smallRun(t, nn.ISW), smallRun(t, nn.Base)
	first, second := "day=camvid="+target(t, 6, 48, 32), "dusk=camvid="+target(t, 3, 40, 36)
	for name, against := range map[string][]string{"itself": nil, "another run": {"--against", base}} {
		out := succeed(t, append([]string{"reconstruct", "--run", run, "--on", first, "--on", second, "--iterations", "2", "--threads", "1"}, against...)...)
		for _, want := range []string{"colours off by, of 255", "\n0  day", "\n1  day", "\n2  dusk", "\n3  dusk", "wrote 4 pictures of each kind into " + filepath.Join(run, trainrun.FiguresDir)} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: output\n%swithout %q", name, out, want)
			}
		}
	}
	for i, width := range []int{48, 48, 40, 40} {
		for _, part := range []string{"image", "base", "whitened"} {
			f, err := os.Open(filepath.Join(run, trainrun.FiguresDir, "rebuilt_"+string(rune('0'+i))+"_"+part+".png"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if c, err := png.DecodeConfig(f); err != nil || c.Width != width {
				t.Errorf("picture %d of %s is %d pixels wide, %v", i, part, c.Width, err)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(run, trainrun.ReportFile))
	if err != nil || !strings.Contains(string(page), "rebuilt") && !strings.Contains(string(page), "Rebuilt") {
		t.Errorf("the report does not show rebuilt pictures: %v", err)
	}
	out := succeed(t, "reconstruct", "--run", run, "--on", first, "--max-time", "1ns", "--threads", "1")
	if !strings.Contains(out, "time was up for the decoder of base after 0 of 400 iterations\n") {
		t.Errorf("output\n%s", out)
	}
}

func TestReconstructCommandLines(t *testing.T) {
	run, base := smallRun(t, nn.ISW), smallRun(t, nn.Base)
	few := "camvid=" + target(t, 2, 48, 32)
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"say with --run which run to look into": {cli.Usage, []string{"--run", run}},
		"--iterations 0":                        {cli.Usage, []string{"--run", run, "--on", few, "--iterations", "0"}},
		"--max-time -1s":                        {cli.Usage, []string{"--run", run, "--on", few, "--max-time", "-1s"}},
		"--max-width 63: 64 or more":            {cli.Usage, []string{"--run", run, "--on", few, "--max-width", "63"}},
		"has no whitened layers":                {cli.Failure, []string{"--run", base, "--on", few}},
		"--against: open run none":              {cli.Failure, []string{"--run", run, "--on", few, "--against", "none"}},
		"others are needed to train on":         {cli.Failure, []string{"--run", run, "--on", few}},
		"has 48 x 20 pixels; 32 or more":        {cli.Failure, []string{"--run", run, "--on", "camvid=" + target(t, 9, 48, 20)}},
	} {
		code, _, stderr := execute(t, append([]string{"reconstruct"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d: %s; want %d, %q", c.args, code, stderr, c.code, want)
		}
	}
}
