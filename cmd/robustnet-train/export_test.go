package main

import (
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	trainrun "github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

// TestExportMeasures exports a network that calls every pixel a car, and measures it on
// pictures of which a quarter is.
func TestExportMeasures(t *testing.T) {
	library := trttest.Library(t)
	dir := t.TempDir()
	runDir, pictures, model := filepath.Join(dir, "cars"), filepath.Join(dir, "data"), filepath.Join(dir, "model.onnx")
	const car, void = 8, 11
	writeRun(t, runDir, car)
	writeCars(t, pictures)
	// Cars and roads alone are coarser than CamVid's classes.
	coarse := filepath.Join(dir, "coarse")
	writePicture(t, filepath.Join(coarse, "images", "0.png"), func(int) color.Color { return color.White })
	writePicture(t, filepath.Join(coarse, "labels", "0.png"), func(x int) color.Color { return color.Gray{uint8(x / 48)} })
	writeText(t, filepath.Join(coarse, "dataset.yaml"), "name: rough\nclasses: [{name: ground}, {name: car}]\n")

	export := []string{"export", "--run", runDir, "--size", "64x96", "--out", model, "--onnxruntime", library}
	said := succeed(t, append(export, "--source", filepath.Join(pictures, "images"), "--eval", "all=camvid="+pictures, "--eval", "cars=camvid="+pictures+":cars")...)
	// Of the 7 quarters that are not void, 3 are cars: cars have an IoU of 3/7, road of 0.
	for _, want := range []string{"style measured on 3 pictures of images\n", "mIoU on all: 21.43\n", "mIoU on cars: 100.00\n", "wrote " + model} {
		if !strings.Contains(said, want) {
			t.Errorf("export says\n%s\nwant %q in it", said, want)
		}
	}
	card := readCard(t, model)
	if card.Name != "cars" || card.Ignore != void || len(card.Accuracy) != 2 || card.Accuracy["all"].MIoU != 21.43 || card.Accuracy["cars"].PerClass[car] != 100 {
		t.Errorf("card %+v", card)
	}
	if s := card.Style; s.Images != 3 || len(s.Mean) == 0 || len(s.Mean) != len(s.Std) || !slicesFinite(s.Mean) || !(total(s.Std) > 0) {
		t.Errorf("style %+v", s)
	}

	before, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		code int
		more []string
	}{
		"has no files that end in":            {cli.Failure, []string{"--source", filepath.Join(pictures, "splits")}},
		"--source: list pictures: lstat none": {cli.Failure, []string{"--source", "none/of/these"}},
		"--source none leaves":                {cli.Usage, []string{"--source", "none", "--source", pictures}},
		"--eval: open data set camvid=no":     {cli.Failure, []string{"--eval", "camvid=no"}},
		"did you mean camvid?":                {cli.Usage, []string{"--eval", "camvd=" + pictures}},
		"splits/none.txt: there is no":        {cli.Failure, []string{"--eval", "camvid=" + pictures + ":none"}},
		"another domain is named data":        {cli.Usage, []string{"--eval", "camvid=" + pictures, "--eval", "camvid=" + pictures}},
		"no map leads from one":               {cli.Failure, []string{"--eval", "folder=" + coarse}},
	} {
		if code, _, stderr := execute(t, append(export, c.more...)...); code != c.code || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s; want %d, %q", c.more, code, stderr, c.code, want)
		}
	}
	if after, err := os.ReadFile(model); err != nil || string(after) != string(before) {
		t.Errorf("a failure has changed the model file: %v", err)
	}
}

// TestExportOtherClasses measures on a domain of fewer classes, of which cards have the mean
// alone.
func TestExportOtherClasses(t *testing.T) {
	dir := t.TempDir()
	runDir, india, model := filepath.Join(dir, "cars"), filepath.Join(dir, "india"), filepath.Join(dir, "model.onnx")
	writeRun(t, runDir, 8)
	const vehicles = 3
	writePicture(t, filepath.Join(india, "images", "0.png"), func(int) color.Color { return color.White })
	writePicture(t, filepath.Join(india, "labels", "0.png"), func(int) color.Color { return color.Gray{vehicles} })
	said := succeed(t, "export", "--run", runDir, "--size", "64x96", "--out", model, "--onnxruntime", trttest.Library(t), "--eval", "idd="+india)
	if want := "mIoU on india: 100.00 in the classes of idd-lite\n"; !strings.Contains(said, want) {
		t.Errorf("export says\n%s\nwant %q in it", said, want)
	}
	if a := readCard(t, model).Accuracy["india"]; a.MIoU != 100 || len(a.PerClass) > 0 {
		t.Errorf("accuracy %+v", a)
	}
}

// TestExportOwnSources takes the style from the pictures of the training, without being asked.
func TestExportOwnSources(t *testing.T) {
	library, dir := trttest.Library(t), t.TempDir()
	runDir, pictures, model := filepath.Join(dir, "cars"), filepath.Join(dir, "data"), filepath.Join(dir, "model.onnx")
	writeCars(t, pictures)
	training := smallTraining()
	training.Sources = []string{"camvid=" + pictures + ":cars", "dream=scenes=day@64x64:0-899"}
	writeRunOf(t, runDir, 8, &training)
	export := []string{"export", "--run", runDir, "--size", "64x96", "--out", model}
	usual := append(export, "--onnxruntime", library)
	if said := succeed(t, usual...); !strings.Contains(said, "style measured on 251 pictures of data:cars, dream\n") || readCard(t, model).Style.Images != 251 {
		t.Errorf("export says\n%s", said)
	}
	for want, args := range map[string][]string{
		"":              append(usual, "--source", "none"),
		"--onnxruntime": append(export, "--onnxruntime", filepath.Join(dir, "none.so")),
	} {
		said := succeed(t, args...)
		if readCard(t, model).Style.Images != 0 || !strings.Contains(said, want) || strings.Contains(said, "no style statistics") != (want != "") {
			t.Errorf("%v: export says\n%s\nwant %q", args, said, want)
		}
	}
	if err := os.RemoveAll(pictures); err != nil {
		t.Fatal(err)
	}
	want := "the card has no style statistics of the source domain: open data set camvid=" + pictures
	if said := succeed(t, usual...); !strings.Contains(said, want) || readCard(t, model).Style.Images != 0 {
		t.Errorf("without the pictures, export says\n%s\nwant %q", said, want)
	}
}

// writeRun makes a run of CamVid's classes whose network sees one of them everywhere.
func writeRun(t *testing.T, dir string, class int) {
	t.Helper()
	writeRunOf(t, dir, class, nil)
}

// writeRunOf is writeRun for a run that was trained here.
func writeRunOf(t *testing.T, dir string, class int, training *trainrun.Training) {
	t.Helper()
	spec := nn.DefaultSpec()
	spec.Width, spec.Head, spec.Classes = 0.5, nn.LiteHead, 11
	net, err := nn.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	state := net.Init(1)
	clear(state["final2.0.weight"].Data)
	state["final2.0.bias"].Data[class] = 1
	c := trainrun.Config{Network: spec, Method: nn.ISW, Labels: labels.CamVid(), Origin: "a test", Training: training}
	if _, err := trainrun.Create(dir, c, trainrun.Checkpoint{Weights: state}); err != nil {
		t.Fatal(err)
	}
}

// writePicture writes a PNG of 96×64 pixels whose columns are of one color.
func writePicture(t *testing.T, path string, column func(x int) color.Color) {
	t.Helper()
	var p interface {
		image.Image
		Set(x, y int, c color.Color)
	} = image.NewRGBA(image.Rect(0, 0, 96, 64))
	if _, ok := column(0).(color.Gray); ok {
		p = image.NewGray(p.Bounds())
	}
	for y := range 64 {
		for x := range 96 {
			p.Set(x, y, column(x))
		}
	}
	writePNG(t, path, p)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readCard(t *testing.T, model string) *trt.Card {
	t.Helper()
	content, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	card, err := trt.ReadCard(content)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func slicesFinite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 {
			return false
		}
	}
	return true
}
