package nvinfer

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Layer is one of an engine's, which TensorRT has made of one node of the model or of several.
type Layer struct {
	Name string `json:"name"`
	// The others are known of engines that were built with [Build.Detailed] alone. Kind is
	// TensorRT's word for what the layer does.
	Kind string `json:"kind,omitempty"`
	// Weights, Reads and Writes are the types of its weights, inputs and outputs, such as "int8";
	// several are joined by commas.
	Weights string `json:"weights,omitempty"`
	Reads   string `json:"reads,omitempty"`
	Writes  string `json:"writes,omitempty"`
	// Kernel is the one that was the fastest.
	Kernel string `json:"kernel,omitempty"`
}

// LayerTime is the time of one layer of an engine, the median of some runs.
type LayerTime struct {
	Layer string
	Time  time.Duration
}

// maxProfileRuns keeps a mistyped number from taking all memory.
const maxProfileRuns = 100_000

// Profile runs the engine so many times, layer by layer, on the last frame. As TensorRT cannot
// look into a CUDA graph, these runs are without it, and the sum of the layers is more than a run
// takes otherwise. Scaling the frame is not a layer.
func (e *Engine) Profile(runs int) ([]LayerTime, error) {
	if e.closed {
		return nil, fmt.Errorf("profile engine: %w", os.ErrClosed)
	}
	if runs < 1 || runs > maxProfileRuns {
		return nil, fmt.Errorf("profile engine: %d runs; 1 to %d are possible", runs, maxProfileRuns)
	}
	var p profile
	if err := e.native.profile(runs, &p); err != nil {
		return nil, err
	}
	return p.medians()
}

// Inspect returns the engine's layers in their order.
func (e *Engine) Inspect() ([]Layer, error) {
	if e.closed {
		return nil, fmt.Errorf("inspect engine: %w", os.ErrClosed)
	}
	text, err := e.native.inspect()
	if err != nil {
		return nil, err
	}
	return readLayers(text)
}

// profile collects what TensorRT reports of runs.
type profile struct {
	names []string          // of the first run
	times [][]time.Duration // of each layer, a value per run
	run   int
	at    int // the layer that is next
	other string
}

func (p *profile) add(run int, layer string, t time.Duration) {
	if run != p.run {
		p.run, p.at = run, 0
	}
	if run == 0 {
		p.names, p.times = append(p.names, layer), append(p.times, nil)
	}
	if p.at >= len(p.names) || p.names[p.at] != layer {
		p.other = layer
		return
	}
	p.times[p.at] = append(p.times[p.at], t)
	p.at++
}

func (p *profile) medians() ([]LayerTime, error) {
	if p.other != "" {
		return nil, fmt.Errorf("profile engine: layer %s was not where it was in the first run", p.other)
	}
	layers := make([]LayerTime, len(p.names))
	for i, times := range p.times {
		slices.Sort(times)
		layers[i] = LayerTime{p.names[i], times[(len(times)-1)/2]}
	}
	return layers, nil
}

// tensorText is what TensorRT tells of a tensor between layers. Versions before 11 put its layout
// and its type into one text.
type tensorText struct {
	FormatDatatype string `json:"Format/Datatype"`
	Format         string
	Datatype       string
}

type layerText struct {
	Name, LayerType string
	Inputs, Outputs []tensorText
	Weights         struct{ Type string }
	TacticName      string
}

// readLayers reads TensorRT's JSON. A layer is its name alone unless the engine was built with
// details.
func readLayers(text []byte) ([]Layer, error) {
	var told struct{ Layers []json.RawMessage }
	if err := json.Unmarshal(text, &told); err != nil {
		return nil, fmt.Errorf("inspect engine: read what TensorRT tells of it: %w", err)
	}
	layers := make([]Layer, len(told.Layers))
	for i, raw := range told.Layers {
		if err := json.Unmarshal(raw, &layers[i].Name); err == nil {
			continue
		}
		var l layerText
		if err := json.Unmarshal(raw, &l); err != nil {
			return nil, fmt.Errorf("inspect engine: read what TensorRT tells of layer %d: %w", i, err)
		}
		layers[i] = Layer{Name: l.Name, Kind: l.LayerType, Weights: typeIn(l.Weights.Type), Reads: typesOf(l.Inputs), Writes: typesOf(l.Outputs), Kernel: l.TacticName}
	}
	return layers, nil
}

func typesOf(tensors []tensorText) string {
	var types []string
	for _, t := range tensors {
		said := t.Datatype
		if said == "" {
			said = t.FormatDatatype
		}
		if said == "" {
			said = t.Format
		}
		if name := typeIn(said); name != "" && !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	return strings.Join(types, ", ")
}

// typeNames are words of TensorRT for types, in lower case, and ours.
var typeNames = map[string]string{
	"fp32": "float32", "float": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16", "bfloat16": "bfloat16", "fp8": "float8", "fp4": "float4",
	"int8": "int8", "int4": "int4", "int32": "int32", "int64": "int64", "uint8": "uint8", "bool": "bool",
}

// typeIn finds the type in a text such as "Thirty-two wide channel vectorized row major Int8
// format"; it is the text itself where no type is known in it.
func typeIn(said string) string {
	for word := range strings.FieldsSeq(said) {
		if name, ok := typeNames[strings.ToLower(strings.Trim(word, ".,()"))]; ok {
			return name
		}
	}
	return said
}
