package evaluate_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/evaluate"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

const width, height = 16, 9

// writeSet writes pictures, and labels drawn from ids, into dir/images and dir/labels.
func writeSet(t *testing.T, dir string, pictures int, random *rand.Rand, ids ...uint8) (truth [][]uint8) {
	t.Helper()
	write := func(path string, img image.Image) {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"images", "labels"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range pictures {
		name := fmt.Sprintf("%03d.png", i)
		rgb := image.NewNRGBA(image.Rect(0, 0, width, height))
		grey := image.NewGray(rgb.Rect)
		for at := range grey.Pix {
			grey.Pix[at] = ids[random.IntN(len(ids))]
			rgb.Pix[4*at], rgb.Pix[4*at+3] = uint8(i), 255
		}
		write(filepath.Join(dir, "images", name), rgb)
		write(filepath.Join(dir, "labels", name), grey)
		truth = append(truth, grey.Pix)
	}
	return truth
}

func open(t *testing.T, source string) *data.Set {
	t.Helper()
	set, err := data.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// answers is a predictor that knows what to say to the picture whose number is its first byte.
type answers [][]uint8

func (a answers) Predict(_ context.Context, p *data.Picture) ([]uint8, error) {
	return slices.Clone(a[p.RGB[0]]), nil
}

func randomAnswers(pictures, classes int, random *rand.Rand) answers {
	a := make(answers, pictures)
	for i := range a {
		a[i] = make([]uint8, width*height)
		for at := range a[i] {
			a[i][at] = uint8(random.IntN(classes))
		}
	}
	return a
}

// bruteForce is IoU by its definition: true positives over true and false positives and
// false negatives. The tables say what truth and predictions become, 255 being none; without
// truth a pixel does not count.
func bruteForce(truth [][]uint8, predicted answers, truthTable, predictionTable []int, class int) float64 {
	tp, fp, fn := 0, 0, 0
	for i := range truth {
		for at := range truth[i] {
			is, said := truthTable[truth[i][at]], predictionTable[predicted[i][at]]
			switch {
			case is == 255:
			case is == class && said == class:
				tp++
			case is == class:
				fn++
			case said == class:
				fp++
			}
		}
	}
	return 100 * float64(tp) / float64(tp+fp+fn)
}

func upTo(n int) []int {
	table := make([]int, n)
	for i := range table {
		table[i] = i
	}
	return table
}

func TestScoreIsBruteForce(t *testing.T) {
	defer goleak.VerifyNone(t)
	facade := filepath.Join(t.TempDir(), "facade.yaml")
	description := `
name: facade
classes:
  - {name: building, id: 1}
  - {name: car, id: 2}
  - {name: pavement, id: 4}
  - {name: road, id: 5}
  - {name: sky, id: 6}
  - {name: vegetation, id: 7}
ignore: 255
maps:
  camvid: {building: building, car: car, pavement: pavement, road: road, sky: sky, vegetation: tree}
`
	if err := os.WriteFile(facade, []byte(description), 0o644); err != nil {
		t.Fatal(err)
	}
	ids := func(n int, more ...uint8) []uint8 {
		for i := range n {
			more = append(more, uint8(i))
		}
		return more
	}
	void := func(table []int, at int) []int {
		for len(table) < 256 {
			table = append(table, 0)
		}
		table[at] = 255
		return table
	}
	for name, c := range map[string]struct {
		layout             string
		ids                []uint8
		truth, predictions []int
		counted            []int // classes in the mean
	}{
		"same classes": {"camvid=%s", ids(11, 11), void(upTo(11), 11), upTo(11), upTo(11)},
		// The maps are those that come with the data sets' tables.
		"predictions mapped": {"idd=%s", ids(7, 255), void(upTo(7), 255), []int{6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2}, upTo(7)},
		"labels mapped": {"bdd100k=%s", ids(19, 255),
			void([]int{3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10}, 255), upTo(11), upTo(11)},
		"six of the classes": {"folder=" + facade + "@%s", []uint8{1, 2, 4, 5, 6, 7, 255},
			void([]int{255, 1, 8, 255, 4, 3, 0, 5}, 255), upTo(11), []int{0, 1, 3, 4, 5, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(len(c.layout))))
			dir := t.TempDir()
			const pictures = 5
			truth := writeSet(t, dir, pictures, random, c.ids...)
			predicted := randomAnswers(pictures, 11, random)
			if c.layout == "bdd100k=%s" {
				if err := os.Rename(filepath.Join(dir, "labels"), filepath.Join(dir, "labels_trainId")); err != nil {
					t.Fatal(err)
				}
			}
			set := open(t, fmt.Sprintf(c.layout, dir))
			scoring, err := evaluate.NewScoring(labels.CamVid(), set)
			if err != nil {
				t.Fatal(err)
			}
			got, err := evaluate.Score(t.Context(), predicted, labels.CamVid(), set, func(i int, p *data.Picture, prediction []uint8) {
				one, err := scoring.MIoU(p.Labels, prediction)
				if err != nil {
					t.Error(err)
				}
				want := 0.0
				for _, class := range c.counted {
					want += bruteForce(truth[i:i+1], predicted[i:i+1], c.truth, c.predictions, class) / float64(len(c.counted))
				}
				if math.Abs(one-want) > 1e-9 {
					t.Errorf("picture %d: mIoU %v, want %v", i, one, want)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			sum, evaluation := 0.0, got.Evaluation(7)
			for class, iou := range got.IoU {
				if !slices.Contains(c.counted, class) {
					if !math.IsNaN(iou) {
						t.Errorf("class %s has IoU %v; it cannot be reached", got.Classes[class], iou)
					}
					continue
				}
				want := bruteForce(truth, predicted, c.truth, c.predictions, class)
				sum += want
				if math.Abs(iou-want) > 1e-9 {
					t.Errorf("class %s: IoU %v, want %v", got.Classes[class], iou, want)
				}
				if at := slices.Index(evaluation.Classes, got.Classes[class]); at < 0 || evaluation.IoU[at] != iou {
					t.Errorf("the evaluation of %s is not %v", got.Classes[class], iou)
				}
			}
			if want := sum / float64(len(c.counted)); math.Abs(got.MIoU-want) > 1e-9 || evaluation.MIoU != got.MIoU {
				t.Errorf("mIoU %v, in the evaluation %v, want %v", got.MIoU, evaluation.MIoU, want)
			}
			if got.Pictures != pictures || got.Domain != set.Name || evaluation.Iteration != 7 || len(evaluation.IoU) != len(c.counted) {
				t.Errorf("result %+v", evaluation)
			}
		})
	}
}

// TestNamedMaps scores models whose data sets, labels' data sets or both name maps.
func TestNamedMaps(t *testing.T) {
	dir := t.TempDir()
	folder := func(name, classes, maps string) string {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, []byte("classes: "+classes+"\n"+maps), 0o644); err != nil {
			t.Fatal(err)
		}
		return "folder=" + path + "@" + dir
	}
	const harbour = "[{name: water, color: [0, 0, 1]}, {name: quay, color: [0, 1, 0]}, {name: crane, color: [1, 0, 0]}]"
	const port = "[{name: sea, color: [0, 0, 1]}, {name: land, color: [0, 1, 0]}]"
	random := rand.New(rand.NewPCG(1, 1))
	truth := writeSet(t, dir, 3, random, 0, 1)
	predicted := randomAnswers(3, 3, random)
	toPort := "maps: {port.yaml: {water: sea, crane: land}}\n"
	toHarbour := "maps: {harbour.yaml: {sea: water, land: quay}}\n"
	folder("harbour", harbour, "")
	folder("port", port, "")
	for name, c := range map[string]struct {
		model, labels      string // what their data sets say of maps
		compared           string
		truth, predictions []int
		counted            []int
	}{
		"the model's":  {toPort, "", "port", []int{0, 1}, []int{0, 255, 1}, []int{0, 1}},
		"the labels'":  {"", toHarbour, "harbour", []int{0, 1}, []int{0, 1, 2}, []int{0, 1}},
		"of both":      {toPort, toHarbour, "harbour", []int{0, 1}, []int{0, 1, 2}, []int{0, 1}},
		"one of two":   {"maps: {camvid: {quay: road}, port.yaml: {quay: sea}}\n", "", "port", []int{0, 1}, []int{255, 0, 255}, []int{0}},
		"other labels": {"maps: {camvid: {quay: road}}\n", "", "", nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			model, set := open(t, folder("own", harbour, "name: harbour\n"+c.model)).Classes, open(t, folder("theirs", port, "name: port\n"+c.labels))
			got, err := evaluate.Score(t.Context(), predicted, model, set, nil)
			if c.compared == "" {
				if err == nil || !strings.Contains(err.Error(), "the dataset.yaml of the labels or of the first --train can name one") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			scoring, err := evaluate.NewScoring(model, set)
			if err != nil || scoring.Classes.Name != c.compared {
				t.Fatalf("compared in %+v, %v; want %s", scoring, err, c.compared)
			}
			for class, iou := range got.IoU {
				want := math.NaN()
				if slices.Contains(c.counted, class) {
					want = bruteForce(truth, predicted, c.truth, c.predictions, class)
				}
				if math.Abs(iou-want) > 1e-9 || math.IsNaN(iou) != math.IsNaN(want) {
					t.Errorf("class %s: IoU %v, want %v", got.Classes[class], iou, want)
				}
			}
		})
	}
}

// broken fails, or answers with one class, for all but some pixels.
type broken struct {
	err     error
	class   uint8
	missing int
}

func (b broken) Predict(_ context.Context, p *data.Picture) ([]uint8, error) {
	return slices.Repeat([]uint8{b.class}, p.Width*p.Height-b.missing), b.err
}

func TestScoreFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	writeSet(t, dir, 4, rand.New(rand.NewPCG(1, 1)), 0, 1)
	void := t.TempDir()
	writeSet(t, void, 2, rand.New(rand.NewPCG(1, 1)), 11)
	damaged := t.TempDir()
	writeSet(t, damaged, 3, rand.New(rand.NewPCG(1, 1)), 0)
	if err := os.WriteFile(filepath.Join(damaged, "images", "001.png"), []byte("GIF"), 0o644); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	cause := errors.New("out of memory")
	for name, c := range map[string]struct {
		ctx       context.Context
		predictor evaluate.Predictor
		classes   labels.Set
		dir, want string
		is        error
	}{
		"predictor":       {t.Context(), broken{err: cause}, labels.CamVid(), dir, ": 000: out of memory", cause},
		"unknown class":   {t.Context(), broken{class: 11}, labels.CamVid(), dir, "predicts class 11, but its classes are 0 to 10", nil},
		"a pixel short":   {t.Context(), broken{missing: 1}, labels.CamVid(), dir, "predicts 143 pixels, and 144", nil},
		"nothing":         {t.Context(), broken{missing: width * height}, labels.CamVid(), dir, "predicts 0 pixels", nil},
		"all ignored":     {t.Context(), broken{}, labels.CamVid(), void, "none of 2 pictures has a labelled pixel", nil},
		"damaged picture": {t.Context(), broken{}, labels.CamVid(), damaged, "001.png", nil},
		"foreign classes": {t.Context(), broken{}, labels.Set{Name: "harbour", Classes: labels.CamVid().Classes[:2], Ignore: 255}, dir, "harbour", nil},
		"stopped":         {stopped, broken{}, labels.CamVid(), dir, "canceled", context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := evaluate.Score(c.ctx, c.predictor, c.classes, open(t, "camvid="+c.dir), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.is) && c.is != nil {
				t.Errorf("error %v, want one of %q", err, c.want)
			}
		})
	}
}

func TestChangedPicturesAreScored(t *testing.T) {
	dir := t.TempDir()
	truth := writeSet(t, dir, 2, rand.New(rand.NewPCG(1, 1)), 0, 1)
	said := answers{truth[1], truth[0]}
	result, err := evaluate.Scorer{Predictor: said, Classes: labels.CamVid(), Change: func(i int, p *data.Picture) ([]uint8, error) {
		rgb := slices.Clone(p.RGB)
		rgb[0] = uint8(1 - i) // so that the right answers are given
		return rgb, nil
	}}.Score(t.Context(), open(t, "camvid="+dir))
	if err != nil || result.MIoU != 100 || result.PixelAccuracy != 100 {
		t.Errorf("result %+v, error %v; want 100 points", result, err)
	}
}

func TestShrink(t *testing.T) {
	p := &data.Picture{Width: 4, Height: 2, RGB: make([]uint8, 24), Labels: []uint8{0, 0, 1, 1, 2, 2, 3, 3}}
	for i := range 8 {
		p.RGB[3*i] = uint8(10 * i)
	}
	small, err := evaluate.Shrink(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	// Means over 2×2 pixels; labels of the pixels that hold the centres.
	if small.Width != 2 || small.Height != 1 || !slices.Equal(small.RGB, []uint8{25, 0, 0, 45, 0, 0}) || !slices.Equal(small.Labels, []uint8{2, 3}) {
		t.Errorf("shrunk to %+v", small)
	}
	for _, maxWidth := range []int{0, 4, 100} {
		if same, err := evaluate.Shrink(p, maxWidth); err != nil || same != p {
			t.Errorf("a limit of %d pixels changed a picture of 4 to %+v, %v", maxWidth, same, err)
		}
	}
}

// TestReferenceModel compares with the accuracy that was measured with Python when the
// reference network was exported; its card states it.
func TestReferenceModel(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it takes seconds")
	}
	shared := filepath.Join("..", "..", "..", "shared")
	model := filepath.Join(shared, "models", "camvid_mobilenetv2_isw_reference.onnx")
	if _, err := os.Stat(model); err != nil {
		t.Skipf("skipped: the reference model is not here: %v", err)
	}
	engine, err := ort.Open(model, ort.Options{Library: trttest.Library(t), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	set := open(t, "camvid="+filepath.Join(shared, "data", "camvid")+":day_val")
	result, err := evaluate.Score(t.Context(), evaluate.NewEngine(engine), labels.CamVid(), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(result.MIoU-54.07) > 0.005 || result.Pictures != 101 {
		t.Errorf("mIoU %.3f on %d pictures, want 54.07 on 101", result.MIoU, result.Pictures)
	}
	for class, want := range []float64{92.4, 80.8, 1.0, 95.4, 80.4, 86.2, 5.1, 35.8, 49.8, 35.7, 32.1} {
		if math.Abs(result.IoU[class]-want) > 0.06 {
			t.Errorf("class %s: IoU %.2f, want %v", result.Classes[class], result.IoU[class], want)
		}
	}
}
