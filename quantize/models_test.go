package quantize_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize"
	"github.com/robustnet-edge/robustnet/quantize/calibrate"
	"github.com/robustnet-edge/robustnet/quantize/histogram"
	"github.com/robustnet-edge/robustnet/train/data"
	"github.com/robustnet-edge/robustnet/train/export"
	"github.com/robustnet-edge/robustnet/train/nn"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/ort"
	"github.com/robustnet-edge/robustnet/trt/trttest"
)

const height, width = 96, 128

// exported returns a network without training, as robustnet-train exports it. Its norms are far
// from neutral, so that channels differ.
func exported(tb testing.TB, spec nn.Spec) *onnx.Model {
	tb.Helper()
	net, err := nn.New(spec)
	if err != nil {
		tb.Fatal(err)
	}
	state, rng := net.Init(1), rand.New(rand.NewPCG(2, 3))
	for _, p := range net.Params() {
		values := state[p.Key].Data
		for i := range values {
			switch p.Role {
			case nn.Scale, nn.RunningVar:
				values[i] = 1 + 0.3*(2*rng.Float32()-1)
			case nn.Kernel:
			default:
				values[i] = 0.1 * (2*rng.Float32() - 1)
			}
		}
	}
	o := export.Options{Size: nn.Size{Height: height, Width: width}, Outputs: export.Outputs(), Card: trt.Card{Name: "test", Method: "isw", Ignore: 255}}
	for i := range spec.Classes {
		o.Card.Classes = append(o.Card.Classes, trt.Class{Name: fmt.Sprint("class ", i)})
	}
	m, err := export.Model(net, state, o)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// small is a network that takes milliseconds.
func small(trunk nn.Trunk, method nn.Method) nn.Spec {
	s := nn.DefaultSpec()
	s.Trunk, s.Head, s.Classes = trunk, nn.LiteHead, 5
	if trunk == nn.MobileNetV2 {
		s.Width = 0.5
	}
	s.Placement, _ = method.Placement()
	return s
}

func open(tb testing.TB, m *onnx.Model) *quantize.Network {
	tb.Helper()
	net, err := quantize.Open(m)
	if err != nil {
		tb.Fatal(err)
	}
	return net
}

// smooth is a source of random pictures with structure at all scales.
type smooth struct{ n int }

func (smooth) Name() string { return "smooth" }
func (s smooth) Len() int   { return s.n }
func (smooth) Read(_ context.Context, places []int, each func(p *data.Picture) error) error {
	for _, i := range places {
		if err := each(picture(uint64(i))); err != nil {
			return err
		}
	}
	return nil
}

func picture(seed uint64) *data.Picture {
	rng := rand.New(rand.NewPCG(seed, 9))
	p := &data.Picture{Width: width, Height: height, RGB: make([]uint8, 3*width*height)}
	for size := 32; size >= 1; size /= 4 {
		var tiles [width * height * 3]int
		for i := range tiles {
			tiles[i] = rng.IntN(85)
		}
		for y := range height {
			for x := range width {
				for c := range 3 {
					p.RGB[3*(y*width+x)+c] += uint8(tiles[3*(y/size*width+x/size)+c])
				}
			}
		}
	}
	return p
}

func frame(p *data.Picture) *camera.Frame {
	return &camera.Frame{Pix: p.BGR(nil), Width: p.Width, Height: p.Height}
}

// calibrated returns a placer by a few pictures.
func calibrated(tb testing.TB, net *quantize.Network, c histogram.Choice) (*quantize.Placer, *quantize.Table) {
	tb.Helper()
	table := record(tb, net)
	placer, err := net.Placer(table, c)
	if err != nil {
		tb.Fatal(err)
	}
	return placer, table
}

// record calibrates on a few pictures.
func record(tb testing.TB, net *quantize.Network) *quantize.Table {
	tb.Helper()
	return recordOn(tb, net, smooth{4})
}

// recordOn calibrates on certain pictures.
func recordOn(tb testing.TB, net *quantize.Network, source calibrate.Source) *quantize.Table {
	tb.Helper()
	probe, err := ort.OpenProbe(net.Probe(), ort.Options{Library: trttest.Library(tb), Threads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer probe.Close()
	table, err := calibrate.Run(tb.Context(), probe, net.Tensors(), []calibrate.Source{source}, calibrate.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// outputs runs a model on pictures that it was not calibrated on and returns the values of its
// float32 outputs of the given names.
func outputs(tb testing.TB, m *onnx.Model, o ort.Options, names ...string) [][]float32 {
	tb.Helper()
	return outputsOf(tb, m, o, []uint64{100, 101}, names...)
}

// outputsOf is outputs for certain pictures.
func outputsOf(tb testing.TB, m *onnx.Model, o ort.Options, seeds []uint64, names ...string) [][]float32 {
	tb.Helper()
	var frames []*camera.Frame
	for _, seed := range seeds {
		frames = append(frames, frame(picture(seed)))
	}
	return outputsOn(tb, m, o, frames, names...)
}

// outputsOn is outputs for certain frames.
func outputsOn(tb testing.TB, m *onnx.Model, o ort.Options, frames []*camera.Frame, names ...string) [][]float32 {
	tb.Helper()
	var values []onnx.Value
	for _, name := range names {
		values = append(values, onnx.Value{Name: name})
	}
	o.Library, o.Threads = trttest.Library(tb), 1
	probe, err := ort.OpenProbe(m.WithOutputs(values...), o)
	if err != nil {
		tb.Fatal(err)
	}
	defer probe.Close()
	all := make([][]float32, len(names))
	for _, f := range frames {
		if err := probe.Run(f); err != nil {
			tb.Fatal(err)
		}
		for i := range names {
			values, _, err := probe.Output(i)
			if err != nil {
				tb.Fatal(err)
			}
			all[i] = append(all[i], values...)
		}
	}
	return all
}
