package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
)

// smallRun makes a run of the smallest network, untrained, with the classes of CamVid.
func smallRun(t *testing.T, method nn.Method) string {
	t.Helper()
	torchtest.Library(t)
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	var err error
	if spec.Placement, err = method.Placement(); err != nil {
		t.Fatal(err)
	}
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), string(method))
	c := trainrun.Config{Network: spec, Method: method, Labels: labels.CamVid(), Origin: "a test"}
	if _, err := trainrun.Create(dir, c, trainrun.Checkpoint{Weights: net.Init(1)}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// target makes a data set of layout camvid: pictures of one size whose halves are of two
// classes, each in a tint of its own.
func target(t *testing.T, n, width, height int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		picture := image.NewRGBA(image.Rect(0, 0, width, height))
		label := image.NewGray(picture.Rect)
		for y := range height {
			for x := range width {
				class := uint8(2 * x / width)
				picture.Set(x, y, color.RGBA{uint8(20*i + 3*x%40), 100 * class, uint8(3 * y), 255})
				label.SetGray(x, y, color.Gray{class})
			}
		}
		name := string(rune('a'+i)) + ".png"
		writePNG(t, filepath.Join(dir, "images", name), picture)
		writePNG(t, filepath.Join(dir, "labels", name), label)
	}
	return dir
}

func writePNG(t *testing.T, path string, img image.Image) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestAdapt(t *testing.T) {
	run, dir := smallRun(t, nn.ISW), target(t, 5, 48, 32)
	images := filepath.Join(dir, "images")
	if err := os.WriteFile(filepath.Join(images, "broken.jpg"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := execute(t, "adapt", "--run", run, "--images", images, "--threads", "1")
	if code != cli.Failure || !strings.Contains(stderr, "1 of 6 pictures cannot be read:\n"+filepath.Join(images, "broken.jpg")) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat(run + "-adapted"); err == nil {
		t.Error("a run was made of an adaptation that failed")
	}
	out := succeed(t, "adapt", "--run", run, "--images", images, "--skip-unreadable", "--on", "camvid="+target(t, 2, 48, 32), "--threads", "1")
	for _, want := range []string{"passed over: " + images, "batch norms adapted to 5 pictures\n", "mIoU on  before  adapted\n", "wrote " + run + "-adapted; its network has seen the target"} {
		if !strings.Contains(out, want) {
			t.Errorf("output\n%swithout %q", out, want)
		}
	}
	before, err := trainrun.Open(run)
	if err != nil {
		t.Fatal(err)
	}
	after, err := trainrun.Open(run + "-adapted")
	if err != nil {
		t.Fatal(err)
	}
	if want := images + ", 5 pictures"; after.Config.Adapted != want || after.Config.Origin != "a test; batch norms adapted to "+want {
		t.Errorf("the new run says %q, from %q", after.Config.Adapted, after.Config.Origin)
	}
	if before.Config.Adapted != "" {
		t.Error("the run has been changed")
	}
	for _, p := range before.Net.Params() {
		statistics := p.Role == nn.RunningMean || p.Role == nn.RunningVar
		if same := slices.Equal(before.Weights[p.Key].Data, after.Weights[p.Key].Data); same == statistics {
			t.Errorf("%s is the same in both runs: %v", p.Key, same)
		}
	}
	evaluations, err := trainrun.ReadEvaluations(run + "-adapted")
	if err != nil || len(evaluations) != 2 || evaluations[0].Adapted || !evaluations[1].Adapted || evaluations[1].Pictures != 2 {
		t.Errorf("evaluations %+v, %v", evaluations, err)
	}
	if _, err := os.Stat(filepath.Join(run+"-adapted", trainrun.ReportFile)); err != nil {
		t.Error(err)
	}
	succeed(t, "adapt", "--run", run+"-adapted", "--images", dir+"/images", "--skip-unreadable", "--limit", "3", "--on", "camvid="+target(t, 2, 48, 32), "--threads", "1")
	twice, err := trainrun.Open(run + "-adapted-adapted")
	if err != nil {
		t.Fatal(err)
	}
	if want := images + ", 5 pictures; then " + images + ", 3 pictures"; twice.Config.Adapted != want {
		t.Errorf("adapted twice, the run says %q, want %q", twice.Config.Adapted, want)
	}
	evaluations, err = trainrun.ReadEvaluations(run + "-adapted-adapted")
	if err != nil || len(evaluations) != 2 || !evaluations[0].Adapted || !evaluations[1].Adapted {
		t.Errorf("adapted before, evaluations %+v, %v", evaluations, err)
	}
	again := succeed(t, "adapt", "--run", run, "--images", "camvid="+target(t, 3, 48, 32), "--out", run+"2", "--limit", "2", "--threads", "1")
	if !strings.Contains(again, "batch norms adapted to 2 pictures\n") || strings.Contains(again, "mIoU") {
		t.Errorf("output\n%s", again)
	}
}

func TestAdaptCommandLines(t *testing.T) {
	run, camvid := smallRun(t, nn.ISW), "camvid="+target(t, 2, 48, 32)
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"say with --run which run to adapt":                           {cli.Usage, []string{"--run", run}},
		"--batch 1: 2 or more are possible":                           {cli.Usage, []string{"--run", run, "--images", "x", "--batch", "1"}},
		"--limit 1: 2 or more are possible":                           {cli.Usage, []string{"--run", run, "--images", "x", "--limit", "1"}},
		"--max-width 8: 32 or more":                                   {cli.Usage, []string{"--run", run, "--images", "x", "--max-width", "8"}},
		"the folder is not empty":                                     {cli.Failure, []string{"--run", run, "--images", "x", "--out", run}},
		"list pictures: lstat none":                                   {cli.Failure, []string{"--run", run, "--images", "none"}},
		"unknown layout \"camvdi\"":                                   {cli.Usage, []string{"--run", run, "--images", "camvdi=x"}},
		"--threads -1":                                                {cli.Usage, []string{"--run", run, "--images", camvid, "--threads", "-1"}},
		"--device: device \"tpu\"":                                    {cli.Usage, []string{"--run", run, "--images", camvid, "--device", "tpu"}},
		"make one with robustnet-train fit or robustnet-train import": {cli.Failure, []string{"--run", "none", "--images", camvid}},
	} {
		code, _, stderr := execute(t, append([]string{"adapt"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d: %s; want %d, %q", c.args, code, stderr, c.code, want)
		}
	}
	if _, err := os.Stat(run + "-adapted"); err == nil {
		t.Error("a run was made")
	}
}
