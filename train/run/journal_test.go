package run

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/train/safetensors"
)

func metric(iteration int) Metric {
	return Metric{
		Iteration: iteration, LearningRate: 0.01 / float64(iteration), Loss: 2.5, CE: 1.0 / 3, Aux: 1e-9,
		Whitening: math.NaN(), PicturesPerSecond: 12, WaitShare: 0.25,
	}
}

func appendMetrics(t *testing.T, dir string, resumeAt int, iterations ...int) {
	t.Helper()
	m, err := OpenMetrics(dir, resumeAt)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range iterations {
		if err := m.Append(metric(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func metricsText(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const metricsGolden = `iteration,learning_rate,loss,ce,aux,whitening,pictures_per_second,wait_share
10,0.001,2.5,0.3333333333333333,1e-09,,12,0.25
20,0.0005,2.5,0.3333333333333333,1e-09,,12,0.25
`

func TestMetricsRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadMetrics(dir); err != nil || got != nil {
		t.Errorf("a folder without metrics gives %v, %v", got, err)
	}
	appendMetrics(t, dir, 0, 10, 20)
	if got := metricsText(t, dir); got != metricsGolden {
		t.Errorf("written:\n%s\nwant:\n%s", got, metricsGolden)
	}
	got, err := ReadMetrics(dir)
	if err != nil || len(got) != 2 || got[1].Iteration != 20 || got[1].LearningRate != 0.0005 || !math.IsNaN(got[1].Whitening) || got[1].CE != 1.0/3 {
		t.Errorf("read %+v, %v", got, err)
	}
}

// A training that was killed anywhere and resumed at its checkpoint leaves the same file as one
// that was not.
func TestMetricsAfterEveryCut(t *testing.T) {
	whole := t.TempDir()
	appendMetrics(t, whole, 0, 10, 20, 30, 40)
	want := metricsText(t, whole)
	for length := range len(want) + 1 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MetricsFile), []byte(want[:length]), 0o644); err != nil {
			t.Fatal(err)
		}
		checkpoint := 10 * max(0, strings.Count(want[:length], "\n")-1)
		for _, resumeAt := range []int{checkpoint, max(0, checkpoint-10)} {
			if got, err := ReadMetrics(dir); err != nil || len(got) < resumeAt/10 {
				t.Fatalf("cut to %d bytes: read %v, %v", length, got, err)
			}
			var rest []int
			for i := resumeAt + 10; i <= 40; i += 10 {
				rest = append(rest, i)
			}
			appendMetrics(t, dir, resumeAt, rest...)
			if got := metricsText(t, dir); got != want {
				t.Fatalf("cut to %d bytes, resumed at %d:\n%s", length, resumeAt, got)
			}
		}
	}
}

func TestMetricsHostile(t *testing.T) {
	header, line := strings.Join(metricsHeader, ",")+"\n", "10,1,1,1,1,,1,0\n"
	cases := map[string]struct {
		text  string
		lines int
		want  string // of the error
	}{
		"empty":                 {"", 0, ""},
		"zeros after power":     {header + line + strings.Repeat("\x00", 512), 1, ""},
		"garbled last":          {header + line + "20,x\n", 1, ""},
		"a quote to the end":    {header + line + "20,\"1,1\n" + line, 1, ""},
		"infinite":              {header + "10,+Inf,1,1,1,,1,0\n", 1, ""},
		"another file":          {"name,value\n", 0, "first line"},
		"another file, longer":  {"name,value\n" + line, 0, "first line"},
		"garbled in the middle": {header + line + "20,x\n" + line, 0, "after 1 lines: it has 2 fields"},
		"no number":             {header + "10,1,one,1,1,,1,0\n" + line, 0, "loss"},
		"no iteration":          {header + ",1,1,1,1,,1,0\n" + line, 0, "iteration"},
		"quote inside":          {header + "1\"0,1,1,1,1,,1,0\n" + line, 0, "quote"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, MetricsFile)
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := ReadMetrics(dir)
			m, openErr := OpenMetrics(dir, 1000)
			if c.want != "" {
				contains(t, err, path, c.want)
				contains(t, openErr, path, c.want)
				if metricsText(t, dir) != c.text {
					t.Error("the file was changed")
				}
				return
			}
			if err != nil || openErr != nil || len(got) != c.lines {
				t.Fatalf("read %v, %v; opened: %v", got, err, openErr)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJournalTooLarge(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{MetricsFile, EvaluationsFile, StatusFile} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, maxJournalBytes+1); err != nil {
			t.Fatal(err)
		}
	}
	_, err := ReadMetrics(dir)
	contains(t, err, MetricsFile, "more than")
	_, err = ReadEvaluations(dir)
	contains(t, err, EvaluationsFile, "more than")
	_, err = ReadStatus(dir)
	contains(t, err, StatusFile, "more than")
}

func evaluation(domain string, iteration int, miou float64) Evaluation {
	return Evaluation{
		Iteration: iteration, Domain: domain, Pictures: 3, MIoU: miou, PixelAccuracy: 90,
		Classes: []string{"road", "<b>"}, IoU: []float64{miou, 0},
	}
}

func TestEvaluations(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadEvaluations(dir); err != nil || got != nil {
		t.Errorf("a folder without evaluations gives %v, %v", got, err)
	}
	if err := WriteEvaluations(dir, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadEvaluations(dir); err != nil || len(got) != 0 {
		t.Errorf("no evaluations are read as %v, %v", got, err)
	}
	adapted := evaluation("idd", 30, 45)
	adapted.Adapted = true
	all := []Evaluation{evaluation("camvid", 10, 50), evaluation("idd", 10, 40), evaluation("camvid", 20, 60), evaluation("idd", 20, 30), adapted}
	if err := WriteEvaluations(dir, all); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEvaluations(dir)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("read %+v, %v", got, err)
	}
	if got := LastEvaluations(all); !reflect.DeepEqual(got, []Evaluation{all[2], all[3], adapted}) {
		t.Errorf("the last ones are %+v", got)
	}
	if got := EvaluationsUntil(all, 10); !reflect.DeepEqual(got, all[:2]) || len(all) != 5 || all[2].MIoU != 60 {
		t.Errorf("until iteration 10: %+v; all: %+v", got, all)
	}
}

func TestEvaluationsRefused(t *testing.T) {
	path := func(dir string) string { return filepath.Join(dir, EvaluationsFile) }
	for name, spoil := range map[string]func(*Evaluation){
		"NaN":         func(e *Evaluation) { e.MIoU = math.NaN() },
		"above 100":   func(e *Evaluation) { e.IoU[1] = 100.5 },
		"class short": func(e *Evaluation) { e.Classes = e.Classes[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			dir, e := t.TempDir(), evaluation("camvid", 7, 50)
			spoil(&e)
			contains(t, WriteEvaluations(dir, []Evaluation{e}), "camvid", "iteration 7")
			if files := list(t, dir); len(files) > 0 {
				t.Errorf("it left %v", files)
			}
		})
	}
	for _, text := range []string{"[", "{}", `[{"iou":[1]}]`, `[{"miou":-1}]`, "\x00\x00"} {
		dir := t.TempDir()
		if err := os.WriteFile(path(dir), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadEvaluations(dir)
		contains(t, err, path(dir))
	}
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadStatus(dir); err != nil || got != (Status{}) {
		t.Errorf("a folder without status gives %v, %v", got, err)
	}
	want := Status{State: "failed", Iteration: 3, Iterations: 10, Reason: "loss is NaN", Seconds: 1.5}
	if err := WriteStatus(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadStatus(dir); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
	for _, text := range []string{"", "3", `{"iteration":-1}`, `{"seconds":-1}`} {
		if err := os.WriteFile(filepath.Join(dir, StatusFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadStatus(dir)
		contains(t, err, StatusFile)
	}
}

func TestCovariances(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadCovariances(dir); err != nil || len(got) > 0 {
		t.Errorf("a folder without covariances gives %v, %v", got, err)
	}
	nan := float32(math.NaN())
	first := Covariance{Tap: "layer1.2", Channels: 2, Before: []float32{1, -0.5, -0.5, 1}, After: []float32{1, 0, 0, nan}}
	second := Covariance{Tap: "layer0", Channels: 1, Before: []float32{1}}
	if err := WriteCovariances(dir, []Covariance{first, second}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCovariances(dir)
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got["layer0"], second) {
		t.Fatalf("read %v, %v", got, err)
	}
	if g := got["layer1.2"]; g.Channels != 2 || !slices.Equal(g.Before, first.Before) || g.After[1] != 0 || g.After[3] == g.After[3] {
		t.Errorf("read %v", g)
	}
}

func TestCovariancesHostile(t *testing.T) {
	for name, tensors := range map[string][]safetensors.Tensor{
		"oblong":       {safetensors.New("before.a", []int{1, 2}, []float32{1, 2})},
		"flat":         {safetensors.New("after.a", []int{4}, make([]float32, 4))},
		"empty":        {safetensors.New("after.a", []int{0, 0}, []float32{})},
		"float64":      {safetensors.New("after.a", []int{1, 1}, []float64{1})},
		"of two sizes": {safetensors.New("after.a", []int{1, 1}, []float32{1}), safetensors.New("before.a", []int{2, 2}, make([]float32, 4))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := safetensors.Write(filepath.Join(dir, CovarianceFile), tensors); err != nil {
				t.Fatal(err)
			}
			_, err := ReadCovariances(dir)
			contains(t, err, CovarianceFile, "a")
		})
	}
	if err := WriteCovariances(t.TempDir(), []Covariance{{Tap: "a", Channels: 2, Before: []float32{1}}}); err == nil {
		t.Error("a matrix that is too small was written")
	}
}

func TestReadMasks(t *testing.T) {
	c, ck := small(t)
	dir := filepath.Join(t.TempDir(), "run")
	if got, err := ReadMasks(dir); err != nil || len(got) > 0 {
		t.Errorf("no folder gives %v, %v", got, err)
	}
	if _, err := Create(dir, c, ck); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadMasks(dir); err != nil || !reflect.DeepEqual(got, ck.Masks) {
		t.Errorf("read %d masks, %v", len(got), err)
	}
}
