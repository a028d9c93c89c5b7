package report

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/robustnet-edge/robustnet/internal/page/pagetest"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/labels"
	"github.com/robustnet-edge/robustnet/trt"
)

// street draws a scene: a photograph with noise, its classes with some of them wrong, or where
// the classes are wrong.
func street(seed uint64, kind string, wrong float64, classes []trt.Class, width int) image.Image {
	height := width / 2
	random := rand.New(rand.NewPCG(seed, 1))
	horizon := 0.35 + 0.2*random.Float64()
	class := func(u, v, wrong float64) int {
		switch {
		case v > horizon && math.Abs(u-0.5) < (v-horizon)*0.9+wrong*math.Sin(20*u):
			return 3
		case v > horizon+0.2:
			return 4
		case u < 0.3 || u > 0.75+wrong*math.Sin(30*v):
			return 1
		}
		return 0
	}
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v := float64(x)/float64(width), float64(y)/float64(height)
			rgb := classes[class(u, v, wrong)%len(classes)].Color
			switch {
			case kind == "disagreement" && class(u, v, wrong) == class(u, v, 0):
				rgb = [3]uint8{24, 24, 28}
			case kind == "disagreement":
				rgb = [3]uint8{255, 80, 40}
			case kind == "input":
				for i := range rgb {
					rgb[i] = uint8(min(max(float64(rgb[i])*(0.6+0.4*u)+12*random.NormFloat64(), 0), 255))
				}
			}
			picture.Set(x, y, color.RGBA{rgb[0], rgb[1], rgb[2], 255})
		}
	}
	return picture
}

func save(t testing.TB, path string, picture image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// sheets saves pictures and returns what a report says of them.
func sheets(t testing.TB, dir string, classes []trt.Class, n int) []Sheet {
	t.Helper()
	width := 40
	if *keep != "" {
		width = 960
	}
	var all []Sheet
	for i := range n {
		name := func(kind string) string { return fmt.Sprintf("sheet_%d_%s.png", i, kind) }
		for _, kind := range []string{"input", "truth", "fp32", "int8", "disagreement"} {
			wrong := map[string]float64{"fp32": 0.02, "int8": 0.05, "disagreement": 0.05}[kind]
			save(t, filepath.Join(dir, name(kind)), street(uint64(i), kind, wrong, classes, width))
		}
		all = append(all, Sheet{
			Domain: []string{"camvid:day_val", "camvid:dusk_target"}[i%2], Picture: fmt.Sprintf("0016E5_%05d", 7959+30*i), Variant: "cpu-int8",
			Input: name("input"), Truth: name("truth"), Float: name("fp32"), Integer: name("int8"), Disagreement: name("disagreement"),
			Agreement: 97.31 - float64(i),
		})
	}
	return all
}

// scores are results around a mean, of classes without the first in every third domain.
func scores(seed uint64, domains []Domain, mean, loss float64) []Accuracy {
	noise := rand.New(rand.NewPCG(seed, 3))
	var all []Accuracy
	for d, domain := range domains {
		a := Accuracy{MIoU: mean - 9*float64(d) - loss*float64(1+d), PixelAccuracy: 90 - 3*float64(d), Agreement: 100 - 1.5*loss*float64(1+d)}
		for c := range domain.Classes {
			iou := min(max(a.MIoU+25*math.Sin(float64(3*c))+loss*3*noise.NormFloat64(), 0), 98)
			a.IoU = append(a.IoU, &iou)
		}
		if d%3 == 2 {
			a.IoU[0] = nil
		}
		all = append(all, a)
	}
	return all
}

var kept = []string{"/backbone/features.0/conv/conv.0/Conv", "/backbone/features.0/conv/conv.1/Conv"}

func variants(domains []Domain) []Variant {
	latency := func(ms, ratio float64) *Latency {
		return &Latency{
			CPU: "Intel(R) Xeon(R) Processor @ 2.60GHz", Threads: 2, Warmup: 20, Runs: 300, Ratio: ratio,
			Infer: Spread{ms, 1.06 * ms, 1.31 * ms}, Whole: Spread{ms + 2.4, 1.07*ms + 2.6, 1.35*ms + 3},
		}
	}
	const runtime = "ONNX Runtime 1.22.0, CPU"
	return []Variant{
		{Name: "fp32", File: "model.onnx", Bytes: 13_912_004, Runtime: runtime, Convolutions: 54, Accuracy: scores(1, domains, 62, 0), Latency: latency(92.4, 1)},
		{Name: "cpu-int8", File: "model.cpu-int8.onnx", Bytes: 3_804_911, Runtime: runtime, Convolutions: 54, Integer: 52, Kept: kept[:1], Accuracy: scores(2, domains, 62, 0.12), Latency: latency(38.1, 0.412), Gated: true},
		{Name: "trt-int8", File: "model.trt-int8.onnx", Bytes: 3_911_520, Runtime: runtime, Literal: true, Convolutions: 54, Integer: 51, Kept: kept, Accuracy: scores(3, domains, 62, 0.3), Gated: true},
		{Name: "trt-fp16", File: "model.trt-fp16.onnx", Bytes: 7_020_113, Runtime: runtime, Literal: true, Convolutions: 54, Accuracy: scores(4, domains, 62, -0.004), Gated: true},
		{Name: "minmax, one scale", Runtime: runtime, Convolutions: 54, Integer: 53, Accuracy: scores(5, domains, 62, 1.4)},
	}
}

func layers(domains int) []Layer {
	var all []Layer
	for i := range 52 {
		l := Layer{
			Name: fmt.Sprintf("/backbone/features.%d/conv/conv.%d/Conv", i/3, i%3), Shape: fmt.Sprintf("%d×%d×3×3", 16*(1+i/6), 16*(1+i/9)),
			SQNR: 14.2 + 6.4*math.Sqrt(float64(i)), Kept: i < 2,
		}
		for d := 0; d < domains && i < 10; d++ {
			l.Drop = append(l.Drop, (1.1-0.1*float64(d))/float64(1+i))
		}
		all = append(all, l)
	}
	return all
}

// tensors are normal ones, clipped at zero or not, with a few values far out.
func tensors() []Tensor {
	var all []Tensor
	for i := range 7 {
		low, high := float32(-3.2-float32(i)), float32(5.9+2*float32(i))
		if i%2 == 0 {
			low = 0
		}
		const n = 128
		t := Tensor{
			Name: fmt.Sprintf("/backbone/features.%d/conv/conv.1/Clip_output_0", i), Low: float64(low), High: float64(high), Bars: make([]float64, n),
			Affine: histogram.Range{Low: 0.8 * low, High: 0.72 * high}, Symmetric: histogram.Range{Low: max(low, -0.6*high), High: 0.6 * high},
			AffineSQNR: 31.4 + float64(i), SymmetricSQNR: 26.2 + 1.1*float64(i),
		}
		for b := range t.Bars {
			v := t.Low + (t.High-t.Low)*(float64(b)+0.5)/n
			t.Bars[b] = 0.05 * math.Exp(-v*v/2/(0.5+0.1*float64(i)))
			if t.Bars[b] < 1e-6 {
				t.Bars[b] = 2e-7 * float64((b*7)%3)
			}
		}
		all = append(all, t)
	}
	return all
}

// complete is a report with everything, whose pictures are in a folder.
func complete(t testing.TB, dir string) *Report {
	t.Helper()
	set := labels.CamVid()
	var names []string
	for _, c := range set.Classes {
		names = append(names, c.Name)
	}
	domains := []Domain{{"camvid:day_val", 101, names}, {"camvid:dusk_target", 62, names}, {"idd_lite:val", 204, []string{"drivable", "vehicle", names[1]}}}
	return &Report{
		Version: FileVersion, Program: "v1.4.0",
		Model:    Model{"models/street.onnx", "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b", "street", "isw", "mobilenetv2", 360, 480, set.Classes},
		Variants: variants(domains), Domains: domains, Layers: layers(len(domains)), Tensors: tensors(), Sheets: sheets(t, dir, set.Classes, 4),
		Gate: Gate{MaxDrop: 0.5, Misses: []Miss{{"trt-int8", domains[1].Name, 0.6}, {"trt-int8", domains[2].Name, 0.9}},
			Kept: kept, Blamed: []string{"/backbone/features.0/conv/conv.2/Conv"}},
		Calibration: Calibration{
			Pictures: quantize.Pictures{Sources: []string{"camvid:day_train", "street.mp4"}, Count: 128, Views: 512, Seed: 7, Style: []string{"photometric", "fog", "dark"}, Hash: "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"},
			Range:    histogram.Choice{Method: histogram.Percentile, Share: 0.9999}, Equalised: true, Seconds: 212, PeakBytes: 1_480_000_000,
		},
	}
}

// write writes the page of a report whose pictures are in the folder.
func write(t testing.TB, dir string, r *Report) pagetest.Document {
	t.Helper()
	path := filepath.Join(dir, "report.html")
	if err := WriteHTML(path, r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return pagetest.Parse(t, string(text))
}
