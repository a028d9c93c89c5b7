package fit_test

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robustnet-edge/robustnet/train/fit"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/ranks"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// childVariable makes the test binary train the run folder that it names, and nothing else.
const childVariable = "ROBUSTNET_TEST_TRAIN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(train(dir))
	}
	os.Exit(m.Run())
}

// fullVariable is an iteration after which the disk is full.
const fullVariable = "ROBUSTNET_TEST_FULL"

// train is the child: it prints what it has done, line by line.
func train(dir string) int {
	err := func() error {
		lib, err := torch.Load("")
		if err != nil {
			return err
		}
		r, err := run.Open(dir)
		if err != nil {
			return err
		}
		full, _ := strconv.Atoi(os.Getenv(fullVariable))
		o := options()
		o.Events = fit.Events{
			Step: func(s fit.Step) {
				fmt.Println("iteration", s.Iteration)
				if s.Iteration == full {
					fillDisk()
				}
			},
			Masks: func(done, _ int) { fmt.Println("mask", done) },
		}
		ranked, err := ranks.FromEnvironment(os.Getenv)
		if err != nil {
			return err
		}
		return ranks.Run(context.Background(), lib, ranked, ranks.Options{}, func(ctx context.Context, group *torch.Group) error {
			o.Group = group
			_, err := fit.Run(ctx, lib, r, o)
			return err
		})
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fillDisk limits the size of files to less than a checkpoint's: writing fails midway.
func fillDisk() {
	signal.Ignore(syscall.SIGXFSZ)
	const bytes = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: bytes}); err != nil {
		panic(err)
	}
}

// options save after every iteration.
func options() fit.Options { return fit.Options{Threads: 1, Workers: 2, SaveEvery: time.Nanosecond} }

// streets makes a data set of n small pictures in which colour tells the class, and returns
// its source.
func streets(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"images", "labels"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		picture, ids := image.NewNRGBA(image.Rect(0, 0, 96, 72)), image.NewGray(image.Rect(0, 0, 96, 72))
		// Pictures must not be alike as a whole: norms over a batch would divide by nothing.
		light, width := 30+25*i, 8+5*i
		for y := range 72 {
			for x := range 96 {
				class := (x/width + y/24) % 4
				ids.SetGray(x, y, color.Gray{uint8(class)})
				shade := func(v int) uint8 { return uint8(min(255, v*light/200+rng.IntN(80))) }
				picture.SetNRGBA(x, y, color.NRGBA{shade(class * 60), shade(200 - class*50), shade(90 + 40*(class%2)), 255})
			}
		}
		writePNG(t, filepath.Join(dir, "images", fmt.Sprintf("%02d.png", i)), picture)
		writePNG(t, filepath.Join(dir, "labels", fmt.Sprintf("%02d.png", i)), ids)
	}
	return "camvid=" + dir
}

func writePNG(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = png.Encode(f, img)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// config is the quickest training that selects masks.
func config(t *testing.T, source string) run.Config {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	training := run.PublishedTraining(64)
	training.Sources, training.Validation = []string{source}, []string{source}
	training.Iterations, training.Batch, training.ClassUniform, training.LogEvery = 10, 2, 0.5, 1
	training.Masks = run.MaskSelection{After: 4, Trials: 2, Pictures: 3}
	return run.Config{Network: spec, Method: nn.ISW, Whitening: &whiten.Settings{Lambda: 1, Clusters: 20},
		Labels: labels.CamVid(), Training: &training, Origin: "a test"}
}

func create(t *testing.T, c run.Config) *run.Run {
	t.Helper()
	net, err := nn.New(c.Network)
	if err != nil {
		t.Fatal(err)
	}
	r, err := run.Create(filepath.Join(t.TempDir(), "run"), c, run.Checkpoint{Weights: net.Init(c.Training.Seed)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, dir string) *run.Run {
	t.Helper()
	r, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// straight trains a run to its end without interruption.
func straight(t *testing.T, lib *torch.Library, c run.Config) *run.Run {
	t.Helper()
	r := create(t, c)
	outcome, err := fit.Run(context.Background(), lib, r, options())
	if err != nil || !outcome.Done {
		t.Fatalf("trained to %+v, %v", outcome, err)
	}
	return open(t, r.Dir)
}

// same compares all that the training of two runs depends on, to the last bit.
func same(t *testing.T, got, want *run.Run) {
	t.Helper()
	equal := func(a, b nn.Array) bool { return slices.Equal(a.Data, b.Data) }
	if !maps.EqualFunc(got.Weights, want.Weights, equal) {
		t.Error("the weights differ")
	}
	if !maps.EqualFunc(got.Velocity, want.Velocity, equal) {
		t.Error("the velocities differ")
	}
	if len(want.Masks) == 0 || !maps.EqualFunc(got.Masks, want.Masks, slices.Equal) {
		t.Errorf("%d masks differ from %d", len(got.Masks), len(want.Masks))
	}
	if got.Progress.Iterations != want.Progress.Iterations {
		t.Errorf("%d iterations, want %d", got.Progress.Iterations, want.Progress.Iterations)
	}
}

// metrics returns the run's, one line for each iteration.
func metrics(t *testing.T, dir string) []run.Metric {
	t.Helper()
	all, err := run.ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range all {
		if m.Iteration != i+1 {
			t.Fatalf("line %d of the metrics is of iteration %d", i, m.Iteration)
		}
	}
	return all
}

// losses returns the run's.
func losses(t *testing.T, dir string) []float64 {
	t.Helper()
	var all []float64
	for _, m := range metrics(t, dir) {
		all = append(all, m.Loss)
	}
	return all
}

// child starts this binary on a run folder and returns its lines.
func child(t *testing.T, dir string, environment ...string) (*exec.Cmd, *bufio.Scanner, *strings.Builder) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childVariable+"="+dir, "ROBUSTNET_TORCH_LIBRARY="+torchtest.Path(t)), environment...)
	errs := &strings.Builder{}
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out), errs
}

// TestDiskFull cannot write checkpoints from the fifth iteration on.
func TestDiskFull(t *testing.T) {
	lib := torchtest.Library(t)
	c := config(t, streets(t, 8))
	want := straight(t, lib, c)
	r := create(t, c)
	cmd, lines, errs := child(t, r.Dir, fullVariable+"=5")
	for lines.Scan() {
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child was content")
	}
	for _, part := range []string{"save checkpoint", "last.safetensors", "file too large", "--resume " + r.Dir} {
		if !strings.Contains(errs.String(), part) {
			t.Errorf("error %q, want %q in it", errs, part)
		}
	}
	back := open(t, r.Dir)
	if back.Progress.Iterations != 4 {
		t.Errorf("the last checkpoint is of iteration %d, want 4", back.Progress.Iterations)
	}
	if left, _ := filepath.Glob(filepath.Join(r.Dir, ".*")); len(left) > 0 {
		t.Errorf("parts of files are left: %v", left)
	}
	if _, err := fit.Run(context.Background(), lib, back, options()); err != nil {
		t.Fatal(err)
	}
	same(t, open(t, r.Dir), want)
}

// TestBadData meets files that cannot be trained on, and goes on when they are mended.
func TestBadData(t *testing.T) {
	lib := torchtest.Library(t)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"cut picture": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "images", "03.png")
			if err := os.Truncate(path, 200); err != nil {
				t.Fatal(err)
			}
		}, "03.png"},
		"label out of range": {func(t *testing.T, dir string) {
			ids := image.NewGray(image.Rect(0, 0, 96, 72))
			ids.Pix[7] = 77
			writePNG(t, filepath.Join(dir, "labels", "05.png"), ids)
		}, "77"},
	} {
		t.Run(name, func(t *testing.T) {
			source := streets(t, 8)
			r := create(t, config(t, source))
			c.spoil(t, strings.TrimPrefix(source, "camvid="))
			_, err := fit.Run(context.Background(), lib, r, options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			status, err := run.ReadStatus(r.Dir)
			if err != nil || status.State != "failed" {
				t.Errorf("status %+v, %v", status, err)
			}
			open(t, r.Dir)
		})
	}
}

// TestDiverged begins with weights whose loss is no number.
func TestDiverged(t *testing.T) {
	lib := torchtest.Library(t)
	r := create(t, config(t, streets(t, 8)))
	for i := range r.Weights["final2.0.weight"].Data {
		r.Weights["final2.0.weight"].Data[i] = math.MaxFloat32
	}
	_, err := fit.Run(context.Background(), lib, r, options())
	if err == nil || !strings.Contains(err.Error(), "lower the learning rate") {
		t.Fatalf("error %v", err)
	}
	open(t, r.Dir)
}

// TestLearns trains to tell colours apart, with and without a whitening loss that matters, and
// sees everything in the folder that a user is promised.
func TestLearns(t *testing.T) {
	lib := torchtest.Library(t)
	source := streets(t, 8)
	trained := func(lambda float64) *run.Run {
		c := config(t, source)
		c.Whitening.Lambda = lambda
		c.Training.Iterations, c.Training.ValidateEvery = 40, 20
		c.Training.Masks.After = 0
		return straight(t, lib, c)
	}
	r := trained(100)
	whitened, plain := metrics(t, r.Dir), metrics(t, trained(1e-9).Dir)
	late := func(all []run.Metric, of func(run.Metric) float64) (mean float64) {
		for _, m := range all[30:] {
			mean += of(m) / 10
		}
		return mean
	}
	ce := func(m run.Metric) float64 { return m.CE }
	if first, last := whitened[0].CE, late(whitened, ce); !(last < 0.8*first) {
		t.Errorf("cross-entropy went from %.3f to %.3f", first, last)
	}
	whitening := func(m run.Metric) float64 { return m.Whitening }
	if with, without := late(whitened, whitening), late(plain, whitening); !(with < 0.9*without) {
		t.Errorf("whitening loss %.3f where it counts, %.3f where it does not", with, without)
	}
	evaluations, err := run.ReadEvaluations(r.Dir)
	if err != nil || len(evaluations) != 2 || evaluations[1].Iteration != 40 || evaluations[1].Pictures != 8 {
		t.Fatalf("evaluations %+v, %v", evaluations, err)
	}
	covariances, err := run.ReadCovariances(r.Dir)
	if err != nil || len(covariances) != 3 {
		t.Fatalf("covariances of %d layers, %v", len(covariances), err)
	}
	for tap, c := range covariances {
		if len(c.Before) != c.Channels*c.Channels || len(c.After) != len(c.Before) || slices.Equal(c.Before, c.After) {
			t.Errorf("%s: %d covariances before, %d after", tap, len(c.Before), len(c.After))
		}
	}
	for _, file := range []string{run.BestFile, run.ReportFile, run.StatusFile, "figures/list.txt", "figures/sample_0_image.png", "figures/sample_5_prediction.png", "figures/worst_0_truth.png"} {
		if _, err := os.Stat(filepath.Join(r.Dir, file)); err != nil {
			t.Error(err)
		}
	}
}

// TestCovariances wants every method to have comparable ones: those of normalised
// features.
func TestCovariances(t *testing.T) {
	lib := torchtest.Library(t)
	source := streets(t, 2)
	for _, method := range []nn.Method{nn.Base, nn.IterNorm} {
		t.Run(string(method), func(t *testing.T) {
			c := config(t, source)
			c.Training.Iterations, c.Whitening, c.Method = 1, nil, method
			placement, err := method.Placement()
			if err != nil {
				t.Fatal(err)
			}
			c.Network.Placement = placement
			all, err := run.ReadCovariances(straight(t, lib, c).Dir)
			if err != nil || len(all) != 3 {
				t.Fatalf("covariances of %d layers, %v", len(all), err)
			}
			for tap, c := range all {
				if len(c.Before) != c.Channels*c.Channels || len(c.After) != len(c.Before) {
					t.Fatalf("%s: %d covariances before, %d after", tap, len(c.Before), len(c.After))
				}
				const variance = 30.0 / 29 // of the smallest normalised feature, HW/(HW − 1)
				if least, most := slices.Min(c.Before), slices.Max(c.Before); least < 0 || most < 0.9 || most > variance+1e-3 {
					t.Errorf("%s: covariances from %v to %v", tap, least, most)
				}
			}
		})
	}
}
