package report

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/train/run"
	"github.com/robustnet-edge/robustnet/train/whiten"
)

// domains of the made runs.
var domains = []string{"camvid:day_val", "camvid:dusk_target", "idd_lite:val"}

// create makes an untrained run.
func create(t testing.TB, dir string, method nn.Method) run.Config {
	t.Helper()
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
	c := run.Config{Network: spec, Method: method, Labels: labels.CamVid(), Origin: "backbone mobilenet_v2, trained on ImageNet"}
	training := run.PublishedTraining(256)
	training.Sources, training.Validation, training.Masks = []string{"camvid=/data/camvid:day_train"}, domains, run.MaskSelection{Trials: 1, Pictures: 8}
	c.Training = &training
	masks := map[string][]uint8{}
	if method == nn.ISW {
		c.Whitening = &whiten.Settings{Lambda: 0.6, Clusters: 3}
		random := rand.New(rand.NewPCG(3, 1))
		for _, tap := range net.Taps {
			masks[tap.Name] = make([]uint8, tap.Channels*tap.Channels)
			for i := range tap.Channels {
				for j := i + 1; j < tap.Channels; j++ {
					if i == 0 && j == 1 || random.Float64() < 0.08+0.3*stripes(i, j) {
						masks[tap.Name][i*tap.Channels+j] = 1
					}
				}
			}
		}
	}
	if _, err := run.Create(dir, c, run.Checkpoint{Weights: net.Init(1), Masks: masks}); err != nil {
		t.Fatal(err)
	}
	return c
}

// stripes is high for channels that go together.
func stripes(i, j int) float64 {
	return math.Max(0, math.Sin(float64(i)*0.7)*math.Sin(float64(j)*0.7))
}

// train adds what a training of so many lines of metrics leaves.
func train(t testing.TB, dir string, c run.Config, lines int, level float64) {
	t.Helper()
	random := rand.New(rand.NewPCG(5, uint64(lines)))
	m, err := run.OpenMetrics(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	const every = 10
	total := every * lines
	for i := 1; i <= lines; i++ {
		at := float64(i) / float64(lines)
		v := run.Metric{
			Iteration: every * i, LearningRate: 0.01 * math.Pow(1-at, 0.9),
			CE: 0.25 + 2.2*math.Exp(-9*at) + 0.05*random.NormFloat64(), Aux: 0.35 + 2.4*math.Exp(-8*at) + 0.06*random.NormFloat64(),
			Whitening: math.NaN(), PicturesPerSecond: 8.4 + 0.5*random.NormFloat64(), WaitShare: 0.04 + 0.02*random.Float64(),
		}
		v.Loss = v.CE + 0.4*v.Aux
		if c.Whitening != nil && at > 0.12 {
			v.Whitening = 0.03 + 0.3*math.Exp(-7*(at-0.12)) + 0.01*random.NormFloat64()
			v.Loss += c.Whitening.Lambda * v.Whitening
		}
		if err := m.Append(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	var all []run.Evaluation
	for step := 1; step <= 10; step++ {
		at := float64(step) / 10
		for d, domain := range domains {
			all = append(all, evaluation(c, domain, total*step/10, level-9*float64(d)-40*math.Exp(-5*at)+random.NormFloat64(), random))
		}
	}
	if err := run.WriteEvaluations(dir, all); err != nil {
		t.Fatal(err)
	}
	if err := run.WriteStatus(dir, run.Status{State: "done", Iteration: total, Iterations: total, Seconds: 7312}); err != nil {
		t.Fatal(err)
	}
}

func evaluation(c run.Config, domain string, iteration int, miou float64, random *rand.Rand) run.Evaluation {
	e := run.Evaluation{Iteration: iteration, Domain: domain, Pictures: 101, MIoU: max(miou, 1), PixelAccuracy: 88.4}
	for i, class := range c.Labels.Classes {
		if i == 9 && domain == domains[2] {
			continue // does not occur
		}
		e.Classes = append(e.Classes, class.Name)
		e.IoU = append(e.IoU, math.Min(math.Max(miou+25*math.Sin(float64(3*i))+3*random.NormFloat64(), 0), 98))
	}
	e.Confusion = confusion(c.Labels, domain != domains[2], random)
	return e
}

// confusion is that of a network that is mostly right, of all classes or without the tenth.
func confusion(set labels.Set, all bool, random *rand.Rand) *run.Confusion {
	c := &run.Confusion{}
	for i, class := range set.Classes {
		row := make([]uint64, len(set.Classes))
		for j := range row {
			switch {
			case !all && (i == 9 || j == 9):
			case i == j:
				row[j] = uint64(20000 / (i + 1))
			default:
				row[j] = random.Uint64N(1 + uint64(8000/(i+1)*(1+i*j%3)/(2+3*max(i-j, j-i))))
			}
		}
		c.Classes, c.Pixels = append(c.Classes, class.Name), append(c.Pixels, row)
	}
	return c
}

func covariances(t testing.TB, dir string, c run.Config) {
	t.Helper()
	net, err := nn.New(c.Network)
	if err != nil {
		t.Fatal(err)
	}
	masks, err := run.ReadMasks(dir)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	var all []run.Covariance
	for _, tap := range net.Taps {
		n := tap.Channels
		v := run.Covariance{Tap: tap.Name, Channels: n, Before: make([]float32, n*n), After: make([]float32, n*n)}
		for i := range n {
			for j := i; j < n; j++ {
				before := 0.12*math.Abs(random.NormFloat64()) + 0.7*stripes(i, j)*random.Float64()
				after := before
				if len(masks[tap.Name]) > 0 && masks[tap.Name][i*n+j] > 0 {
					after *= 0.15
				}
				if i == j {
					before, after = 1, 1
				}
				v.Before[i*n+j], v.Before[j*n+i] = float32(before), float32(before)
				v.After[i*n+j], v.After[j*n+i] = float32(-after), float32(-after)
			}
		}
		all = append(all, v)
	}
	if err := run.WriteCovariances(dir, all); err != nil {
		t.Fatal(err)
	}
}

// street draws a picture of the given kind: a photograph with noise, or its classes.
func street(seed uint64, width, height int, set labels.Set, photo bool, wrong float64) image.Image {
	random := rand.New(rand.NewPCG(seed, 1))
	horizon := 0.35 + 0.2*random.Float64()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v := float64(x)/float64(width), float64(y)/float64(height)
			class := 0
			switch {
			case v > horizon && math.Abs(u-0.5) < (v-horizon)*0.9+wrong*math.Sin(20*u):
				class = 3
			case v > horizon+0.2:
				class = 4
			case u < 0.3 || u > 0.75+wrong*math.Sin(30*v):
				class = 1
			case v > horizon:
				class = 8
			}
			rgb := set.Classes[class].Color
			c := color.RGBA{rgb[0], rgb[1], rgb[2], 255}
			if photo {
				shade := func(v uint8) uint8 { return uint8(min(max(float64(v)*(0.6+0.4*u)+12*random.NormFloat64(), 0), 255)) }
				c = color.RGBA{shade(c.R), shade(c.G), shade(c.B), 255}
			}
			picture.Set(x, y, c)
		}
	}
	return picture
}

func figures(t testing.TB, dir string, set labels.Set, width, height int) {
	t.Helper()
	folder := filepath.Join(dir, run.FiguresDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		for n := range kind.limit {
			for _, part := range kind.parts {
				wrong := 0.0
				if part.name == "prediction" {
					wrong = 0.04
				}
				f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%s_%d_%s.png", kind.name, n, part.name)))
				if err != nil {
					t.Fatal(err)
				}
				encoder := png.Encoder{CompressionLevel: png.BestSpeed}
				if err := encoder.Encode(f, street(uint64(n), width, height, set, !part.drawn, wrong)); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// complete makes a run with everything that a training leaves, with figures of a width.
func complete(t testing.TB, dir string, width int) {
	t.Helper()
	c := create(t, dir, nn.ISW)
	train(t, dir, c, 400, 66)
	covariances(t, dir, c)
	figures(t, dir, c.Labels, width, width*3/4)
}

// write writes a report and returns its text.
func write(t testing.TB, dir string, others []string) string {
	t.Helper()
	if err := Write(dir, others); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, run.ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
