package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/model"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// calibrated exports a run and calibrates the model on its own pictures, as the quantiser does by
// default: it returns the network as it is, and the table with its file.
func calibrated(t *testing.T, run, dir string) (*quantize.Network, *quantize.Table, string) {
	t.Helper()
	file := filepath.Join(dir, "model.onnx")
	succeed(t, "export", "--run", run, "--size", "96x160", "--source", "none", "--out", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Unmarshal(content)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *quantize.Network {
		network, err := quantize.Open(m)
		if err != nil {
			t.Fatal(err)
		}
		return network
	}
	network := open()
	set, err := data.Open("scenes=day@160x96:0-3")
	if err != nil {
		t.Fatal(err)
	}
	observe := func(network *quantize.Network) *quantize.Table {
		probe, err := ort.OpenProbe(network.Probe(), ort.Options{Library: trttest.Library(t), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer probe.Close()
		table, err := calibrate.Run(t.Context(), probe, network.Tensors(), []calibrate.Source{calibrate.Set{Set: set}}, calibrate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	table, evened := observe(network), open()
	if _, err := evened.Equalise(table); err != nil {
		t.Fatal(err)
	}
	table.Equalised = &quantize.Equalised{Factors: evened.Factors(), Tensors: observe(evened).Tensors}
	path := filepath.Join(dir, "calibration.json")
	if err := quantize.WriteTable(path, table); err != nil {
		t.Fatal(err)
	}
	return network, table, path
}

// TestFitQAT fine-tunes a finished training, resumes that, and leaves the first one alone.
func TestFitQAT(t *testing.T) {
	torchtest.Library(t)
	dir := t.TempDir()
	base, tuned := filepath.Join(dir, "base"), filepath.Join(dir, "tuned")
	if code, _, stderr := execute(t, quick(base)...); code != cli.OK {
		t.Fatal(stderr)
	}
	before, err := trainrun.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	_, table, path := calibrated(t, base, dir)
	args := []string{"fit", "--resume", base, "--qat", path, "--out", tuned, "--iterations", "3", "--threads", "1"}
	if code, _, stderr := execute(t, append(args, "--max-time", "1ns")...); code != cli.OK {
		t.Fatal(stderr)
	}
	if code, _, stderr := execute(t, "fit", "--resume", tuned, "--threads", "1"); code != cli.OK {
		t.Fatal(stderr)
	}
	r, err := trainrun.Open(tuned)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Config; c.Rounding == nil || c.Rounding.Calibration != table.Pictures.Hash || c.Rounding.Inputs["layer0.0.0"] <= 0 || c.Rounding.Inputs["final2.0"] != 0 ||
		c.Training.Iterations != 3 || c.Training.LearningRate != before.Config.Training.LearningRate/10 || r.Progress.Iterations != 3 {
		t.Errorf("the tuned run has %d iterations of %d, rate %v, rounding %+v", r.Progress.Iterations, c.Training.Iterations, c.Training.LearningRate, c.Rounding)
	}
	if r.Weights.Hash() == before.Weights.Hash() || len(r.Masks) != len(before.Masks) {
		t.Errorf("the weights did not move, or %d masks became %d", len(before.Masks), len(r.Masks))
	}
	if after, err := trainrun.Open(base); err != nil || after.Weights.Hash() != before.Weights.Hash() {
		t.Errorf("the first run has changed: %v", err)
	}
}

// TestRoundingEqualsModel compares a pass that rounds with the INT8 model that the quantiser
// makes of the same weights and the same table, on ONNX Runtime.
func TestRoundingEqualsModel(t *testing.T) {
	lib := torchtest.Library(t)
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if code, _, stderr := execute(t, quick(base)...); code != cli.OK {
		t.Fatal(stderr)
	}
	r, err := trainrun.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	network, table, path := calibrated(t, base, dir)
	grids, err := rounding(r, path)
	if err != nil {
		t.Fatal(err)
	}
	placer, err := network.Placer(table, histogram.Choice{Method: histogram.MSE})
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Open("scenes=day@160x96:9-9")
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	onORT := func(o *quantize.Options) []float32 {
		m, err := placer.ScoreModel(o)
		if err != nil {
			t.Fatal(err)
		}
		probe, err := ort.OpenProbe(m, ort.Options{Library: trttest.Library(t), Threads: 1, Unfused: true})
		if err != nil {
			t.Fatal(err)
		}
		defer probe.Close()
		if err := probe.Run(&camera.Frame{Pix: p.BGR(nil), Width: p.Width, Height: p.Height}); err != nil {
			t.Fatal(err)
		}
		values, _, err := probe.Output(0)
		if err != nil {
			t.Fatal(err)
		}
		return append([]float32(nil), values...)
	}
	var got []float32
	err = lib.Run(torch.Options{Threads: 1}, func(s *torch.Scope) error {
		m, err := model.New(s, r.Net, r.Weights)
		if err != nil {
			return err
		}
		m.Rounding = &model.Rounding{Inputs: grids.Inputs}
		s.NoGrad(func(s *torch.Scope) {
			x := model.Pictures(s, p.RGB, 1, p.Height, p.Width)
			got = s.Float32s(m.Forward(s, x, model.Inference, r.Net.Scores)[0])
		})
		return s.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	float, integer := onORT(nil), onORT(&quantize.Options{})
	noise, difference := quantize.SQNR(float, integer), quantize.SQNR(integer, got)
	t.Logf("INT8 against float %.1f dB, torch's rounding against INT8 %.1f dB", noise, difference)
	// Values at the border of two levels may fall to either.
	if difference < noise+3 {
		t.Errorf("the rounded pass is as far from the INT8 model as the float one: %.1f dB, want more than %.1f", difference, noise+3)
	}
}

func TestFitQATRefuses(t *testing.T) {
	torchtest.Library(t)
	dir := t.TempDir()
	run, out := filepath.Join(dir, "run"), filepath.Join(dir, "out")
	writeRun(t, run, 8)
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"version": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no run":     {[]string{"--qat", broken, "--out", out}, cli.Usage, "name it with --resume"},
		"no folder":  {[]string{"--resume", run, "--qat", broken}, cli.Usage, "say with --out"},
		"settings":   {[]string{"--resume", run, "--qat", broken, "--out", out, "--batch", "8"}, cli.Usage, "--batch: fine-tuning keeps the settings"},
		"unfinished": {[]string{"--resume", run, "--qat", broken, "--out", out}, cli.Failure, "it is no finished training"},
	} {
		if code, _, stderr := execute(t, append([]string{"fit"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %s; want %d, %q", name, code, stderr, c.code, c.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a run folder is left")
	}
}
