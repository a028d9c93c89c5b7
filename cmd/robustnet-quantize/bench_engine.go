package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
)

// engineFlavour is that of TensorRT engines in the table of bench.
const engineFlavour inspect.Flavour = "tensorrt"

// benchLayer is a layer of an engine, and what it takes.
type benchLayer struct {
	nvinfer.Layer
	Milliseconds float64 `json:"ms"`
}

// openEngine loads an engine file.
func (o *benchOptions) openEngine(path string) (trt.Engine, benchModel, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, benchModel{}, fmt.Errorf("open engine: %w", err)
	}
	engine, err := nvinfer.Open(path, nvinfer.Options{Library: o.tensorrt})
	if err != nil {
		return nil, benchModel{}, err
	}
	m := benchModel{Size: info.Size(), Flavour: engineFlavour}
	if captured, reason := engine.Captured(); !captured {
		m.Refused = reason
	}
	return engine, m, nil
}

// profile times the layers of all engines.
func (o *benchOptions) profile(ctx context.Context, engines []trt.Engine, r *benchReport) error {
	for i, e := range engines {
		engine, ok := e.(*nvinfer.Engine)
		if !ok || !o.layers || ctx.Err() != nil {
			continue
		}
		times, err := engine.Profile(o.Runs)
		if err != nil {
			return fmt.Errorf("engine %s: %w", r.Models[i].File, err)
		}
		known, err := engine.Inspect()
		if err != nil {
			return fmt.Errorf("engine %s: %w", r.Models[i].File, err)
		}
		r.Models[i].Layers = layersWith(times, known)
	}
	return nil
}

// layersWith adds to the times what is known of layers of the same names.
func layersWith(times []nvinfer.LayerTime, known []nvinfer.Layer) []benchLayer {
	layers := make([]benchLayer, len(times))
	for i, t := range times {
		layers[i] = benchLayer{nvinfer.Layer{Name: t.Layer}, float64(t.Time) / float64(time.Millisecond)}
		if at := slices.IndexFunc(known, func(l nvinfer.Layer) bool { return l.Name == t.Layer }); at >= 0 {
			layers[i].Layer = known[at]
		}
	}
	return layers
}

// layerTables have the layers of each engine, the slowest first.
func (r *benchReport) layerTables() string {
	var text strings.Builder
	for _, m := range r.Models {
		if len(m.Layers) == 0 {
			continue
		}
		layers, sum := slices.Clone(m.Layers), 0.0
		for _, l := range layers {
			sum += l.Milliseconds
		}
		slices.SortStableFunc(layers, func(a, b benchLayer) int { return cmp.Compare(b.Milliseconds, a.Milliseconds) })
		t := terminal.Table{Left: []bool{true, false, false, true, true, true, true}}
		t.Row(short(m.Name), "ms", "%", "kind", "weights", "reads", "writes")
		t.Rule()
		for _, l := range layers {
			t.Row(short(l.Name), fmt.Sprintf("%.3f", l.Milliseconds), fmt.Sprintf("%.1f", 100*l.Milliseconds/max(sum, 1e-9)), short(l.Kind), short(l.Weights), short(l.Reads), short(l.Writes))
		}
		t.Rule()
		t.Row(terminal.Plural(len(layers), "layer"), fmt.Sprintf("%.3f", sum))
		text.WriteString("\n" + t.String())
	}
	return text.String()
}
