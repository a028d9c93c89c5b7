package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/torch/torchtest"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// writeCars writes three pictures in the layout of CamVid: of each, the left quarter is a car,
// the next void, and the rest road or, in 2, void. The split cars is 2 alone.
func writeCars(t *testing.T, dir string) {
	t.Helper()
	const car, road, void = 8, 3, 11
	for i := range uint8(3) {
		rest := []uint8{road, road, void}[i]
		writePicture(t, filepath.Join(dir, "images", fmt.Sprintf("%d.png", i)), func(x int) color.Color { return color.RGBA{uint8(x), 80 * i, 0, 255} })
		writePicture(t, filepath.Join(dir, "labels", fmt.Sprintf("%d.png", i)), func(x int) color.Color {
			return color.Gray{[]uint8{car, void, rest, rest}[x/24]}
		})
	}
	if err := os.MkdirAll(filepath.Join(dir, "splits"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "splits", "cars.txt"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// onCars is a data set and runs that see nothing but cars, and nothing but road.
func onCars(t *testing.T) (dir string, args []string) {
	t.Helper()
	torchtest.Library(t)
	dir = t.TempDir()
	cars, roads, pictures := filepath.Join(dir, "cars"), filepath.Join(dir, "roads"), filepath.Join(dir, "data")
	writeRun(t, cars, 8)
	writeRun(t, roads, 3)
	writeCars(t, pictures)
	return dir, []string{"eval", "--threads", "1", "--model", cars, "--model", roads, "--on", "all=camvid=" + pictures}
}

func TestEval(t *testing.T) {
	dir, args := onCars(t)
	table, figures := filepath.Join(dir, "figures.csv"), filepath.Join(dir, "figures")
	args = append(args, "--on", "cars=camvid="+filepath.Join(dir, "data")+":cars", "--csv", table, "--figures", figures, "--worst", "2")
	code, stdout, stderr := execute(t, args...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	// Of the 7 quarters that are not void, 3 are cars and 4 road. The mean is over both classes.
	want := `mIoU     all    cars
────────────────────
cars   21.43  100.00
roads  28.57    0.00

pixel accuracy    all    cars
─────────────────────────────
cars            42.86  100.00
roads           57.14    0.00

`
	if !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stdout, "\nthe worst pictures are in "+figures+"\n") {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
	for _, line := range []string{"cars on all: mIoU 21.43 (pictures: 3, ", "roads on cars: mIoU 0.00 (pictures: 1, "} {
		if !strings.Contains(stderr, line) {
			t.Errorf("the log is %q, want %q in it", stderr, line)
		}
	}

	file, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	has := func(want ...string) bool {
		return slices.ContainsFunc(lines, func(line []string) bool { return slices.Equal(line, want) })
	}
	if !has("model", "domain", "corruption", "severity", "pictures", "measure", "class", "value") ||
		!has("roads", "all", "", "0", "3", "iou", "road", "57.1429") || !has("roads", "all", "", "0", "3", "share", "car", "42.8571") || !has("cars", "cars", "", "0", "1", "miou", "", "100.0000") {
		t.Errorf("figures.csv:\n%s", file)
	}

	// The network of cars misses the road of the first two pictures. Void is black.
	listed, err := os.ReadFile(filepath.Join(figures, "cars", "all", "list.txt"))
	if err != nil || string(listed) != "worst_0\t16.67\t0\nworst_1\t16.67\t1\n" {
		t.Errorf("list.txt: %q, %v", listed, err)
	}
	palette := labels.CamVid().Classes
	car, road, black := palette[8].Color, palette[3].Color, [3]uint8{}
	for part, want := range map[string][3][3]uint8{ // at three places
		"image":      {{10, 80, 0}, {30, 80, 0}, {90, 80, 0}},
		"truth":      {car, black, road},
		"prediction": {car, car, car},
	} {
		img := readPNG(t, filepath.Join(figures, "cars", "all", "worst_1_"+part+".png"))
		for i, x := range []int{10, 30, 90} {
			c := color.NRGBAModel.Convert(img.At(x, 5)).(color.NRGBA)
			if got := [3]uint8{c.R, c.G, c.B}; got != want[i] || img.Bounds() != image.Rect(0, 0, 96, 64) {
				t.Errorf("%s at %d: %v, want %v", part, x, got, want[i])
			}
		}
	}
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestEvalOneDomain also has a model file.
func TestEvalOneDomain(t *testing.T) {
	library := trttest.Library(t)
	dir, args := onCars(t)
	file := filepath.Join(dir, "cars.onnx")
	succeed(t, "export", "--run", filepath.Join(dir, "cars"), "--size", "64x96", "--out", file)
	code, stdout, stderr := execute(t, append(args, "--model", file, "--onnxruntime", library)...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	for _, want := range []string{"on all      mIoU  pixel accuracy  pictures/s\n", "cars.onnx  21.43           42.86", `
IoU on all  % of pixels   cars  roads  cars.onnx
────────────────────────────────────────────────
road              57.14   0.00  57.14       0.00
car               42.86  42.86   0.00      42.86
────────────────────────────────────────────────
mean                     21.43  28.57      21.43
`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant\n%s", stdout, want)
		}
	}
	for _, flag := range []string{"--flip", "--window=64", "--scales=1"} {
		if code, _, stderr := execute(t, append(args, "--model", file, flag)...); code != cli.Usage || !strings.Contains(stderr, "is for run folders") {
			t.Errorf("%s with a model file: exit code %d, %s", flag, code, stderr)
		}
	}
}

func TestEvalCorruptions(t *testing.T) {
	_, args := onCars(t)
	args = append(args, "--max-width", "48", "--corruptions", "--kinds", "jpeg,fog", "--severities", "1,5")
	code, stdout, stderr := execute(t, args...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	// These networks do not look at pictures, so that nothing harms them.
	for _, want := range []string{`
roads on all: clean 28.57, corrupted 28.57, relative robustness 100.0 %
mIoU by severity      1      5   mean
─────────────────────────────────────
jpeg              28.57  28.57  28.57
fog               28.57  28.57  28.57
`, `
robustness  domain  clean  corrupted  relative %
────────────────────────────────────────────────
cars        all     21.43      21.43       100.0
roads       all     28.57      28.57       100.0
`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant\n%s", stdout, want)
		}
	}

	code, stdout, stderr = execute(t, append(args, "--json")...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	var r evalReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 10 || len(r.Robustness) != 2 || r.Stopped || r.Inference.MaxWidth != 48 || !slices.Equal(r.Inference.Scales, []float64{1}) {
		t.Fatalf("report %+v", r)
	}
	last := r.Results[9]
	if last.Model != "roads" || last.Domain != "all" || last.Corruption != "fog" || last.Severity != 5 || last.Pictures != 3 ||
		math.Abs(last.MIoU-200./7) > 1e-9 || !slices.Equal(last.Classes, []string{"road", "car"}) || !(last.PicturesPerSecond > 0) {
		t.Errorf("result %+v", last)
	}
}

// stopper ends a context when something is written to it.
type stopper struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	s.stop()
	return s.Buffer.Write(p)
}

func TestEvalStopped(t *testing.T) {
	_, args := onCars(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	log := &stopper{stop: cancel}
	code := run(ctx, args, &out, log) // the log's first line is the first result
	if code != cli.OK || !strings.Contains(out.String(), "cars    21.43") || !strings.Contains(out.String(), "roads       –") ||
		!strings.Contains(out.String(), "\nstopped: – is not finished\n") {
		t.Errorf("exit code %d\n%s\n%s", code, &out, log)
	}
	out.Reset()
	log.Reset()
	if code := run(ctx, args, &out, log); code != cli.OK || out.Len() > 0 || log.String() != "stopped before the first result\n" {
		t.Errorf("stopped at once: exit code %d\n%s\n%s", code, &out, log)
	}
}

// writeAdapted writes the run of [onCars] as one that has seen its target.
func writeAdapted(t *testing.T, dir, adapted string) {
	t.Helper()
	r, err := trainrun.Open(filepath.Join(dir, "cars"))
	if err != nil {
		t.Fatal(err)
	}
	r.Config.Adapted = "pictures of a test"
	if _, err := trainrun.Create(adapted, r.Config, r.Checkpoint); err != nil {
		t.Fatal(err)
	}
}

// TestEvalNames has runs of the same name, one of which has seen its target.
func TestEvalNames(t *testing.T) {
	dir, args := onCars(t)
	adapted := filepath.Join(dir, "adapted", "cars")
	writeAdapted(t, dir, adapted)
	code, stdout, stderr := execute(t, append(args, "--model", adapted)...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	for _, want := range []string{"\n" + filepath.Join(dir, "cars") + " ", "\nroads ", "\n" + adapted + "*", "\n* has seen pictures of a target domain"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %q in it", stdout, want)
		}
	}
}

// TestEvalBest has a run whose best checkpoint, of iteration 7, sees road and whose last sees cars.
func TestEvalBest(t *testing.T) {
	dir, args := onCars(t)
	cars, roads := filepath.Join(dir, "cars"), filepath.Join(dir, "roads")
	r, err := trainrun.Open(cars)
	if err != nil {
		t.Fatal(err)
	}
	other, err := trainrun.Open(roads)
	if err != nil {
		t.Fatal(err)
	}
	other.Progress.Iterations = 7
	if err := r.SaveBest(other.Checkpoint); err != nil {
		t.Fatal(err)
	}
	best := filepath.Join(cars, trainrun.BestFile)
	code, stdout, stderr := execute(t, append(args, "--model", best)...)
	if code != cli.OK {
		t.Fatal(stderr)
	}
	for _, want := range []string{"\ncars                   21.43 ", "\ncars/best.safetensors  28.57 "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %q in it", stdout, want)
		}
	}
	if code, _, stderr := execute(t, "eval", "--model", filepath.Join(roads, trainrun.BestFile), "--on", args[len(args)-1]); code != cli.Failure || !strings.Contains(stderr, "name the folder") {
		t.Errorf("without a best checkpoint: exit code %d, %s", code, stderr)
	}
}

func TestEvalCommandLines(t *testing.T) {
	dir := t.TempDir()
	cars, pictures := filepath.Join(dir, "cars"), filepath.Join(dir, "data")
	writeRun(t, cars, 8)
	writeCars(t, pictures)
	street := "camvid=" + pictures
	photos := filepath.Join(dir, "photos")
	writePicture(t, filepath.Join(photos, "images", "0.png"), func(int) color.Color { return color.Black })
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no model":            {[]string{"--on", street}, cli.Usage, "say with --model"},
		"no domain":           {[]string{"--model", cars}, cli.Usage, "say with --on"},
		"no such run":         {[]string{"--model", dir, "--on", street}, cli.Failure, "it has no config.yaml"},
		"no such file":        {[]string{"--model", "none.onnx", "--on", street}, cli.Failure, "open model: open none.onnx"},
		"model twice":         {[]string{"--model", cars, "--model", cars + "/", "--on", street}, cli.Usage, "named twice"},
		"domain twice":        {[]string{"--model", cars, "--on", street, "--on", street}, cli.Usage, "another domain is named data"},
		"mistyped layout":     {[]string{"--model", cars, "--on", "camvd=" + pictures}, cli.Usage, "did you mean camvid?"},
		"no such folder":      {[]string{"--model", cars, "--on", "camvid=" + dir + "/none"}, cli.Failure, "none: "},
		"no labels":           {[]string{"--model", cars, "--on", "camvid=" + photos}, cli.Failure, "no labels to compare with: " + photos + ": there is no folder of labels; looked for labels"},
		"mistyped corruption": {[]string{"--model", cars, "--on", street, "--corruptions", "--kinds", "rian"}, cli.Usage, "did you mean rain?"},
		"twice the same":      {[]string{"--model", cars, "--on", street, "--corruptions", "--kinds", "fog,fog"}, cli.Usage, "named twice"},
		"severity":            {[]string{"--model", cars, "--on", street, "--corruptions", "--severities", "1,6"}, cli.Usage, "--severities 6: 1 to 5"},
		"kinds alone":         {[]string{"--model", cars, "--on", street, "--kinds", "fog"}, cli.Usage, "--kinds is for --corruptions"},
		"figures in a file":   {[]string{"--model", cars, "--on", street, "--figures", filepath.Join(photos, "images", "0.png")}, cli.Failure, "--figures: "},
		"worst alone":         {[]string{"--model", cars, "--on", street, "--worst", "2"}, cli.Usage, "--worst is for --figures"},
		"scale":               {[]string{"--model", cars, "--on", street, "--scales", "0,1"}, cli.Usage, "scale 0: 0.1 to 4"},
		"window":              {[]string{"--model", cars, "--on", street, "--window", "-1"}, cli.Usage, "windows of -1 pixels"},
		"csv":                 {[]string{"--model", cars, "--on", street, "--csv", dir}, cli.Failure, "--csv " + dir + ": it is a folder"},
		"mistyped flag":       {[]string{"--model", cars, "--on", street, "--corruption"}, cli.Usage, "did you mean --corruptions?"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, append([]string{"eval"}, c.args...)...)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %q, %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}
