package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
	"github.com/robustnet-edge/robustnet/trt"
)

// benchReport is what 'bench --json' prints.
type benchReport struct {
	// Backend is what the models run on, with semicolons between several, the CPU's last.
	Backend string `json:"backend"`
	CPU     string `json:"cpu"`
	// Threads is the number of the CPU's; 0 where all models run on the GPU.
	Threads int `json:"threads"`
	report.Conditions
	Picture benchPicture `json:"picture"`
	// Turns is how many were complete and count; fewer than asked for if it was stopped.
	Turns   int          `json:"turns"`
	Stopped bool         `json:"stopped,omitempty"`
	Models  []benchModel `json:"models"`
	// Notes say what the figures do not show.
	Notes []string `json:"notes,omitempty"`

	latency.Options `json:"-"`
}

type benchPicture struct {
	// Source is the file, or what was drawn.
	Source string `json:"source"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

type benchModel struct {
	Name    string          `json:"name"`
	File    string          `json:"file"`
	Size    int64           `json:"bytes"`
	Flavour inspect.Flavour `json:"flavour"`
	// Input is the height and width in pixels to which pictures are scaled.
	Input   [2]int         `json:"input"`
	Latency report.Latency `json:"latency"`
	// Refused is why an engine runs without a CUDA graph.
	Refused string `json:"cuda_graph_refused,omitempty"`
	// Layers are those of an engine, in its order, if asked for.
	Layers []benchLayer `json:"layers,omitempty"`
}

// runsOn adds what a model runs on.
func (r *benchReport) runsOn(d trt.Description) {
	switch {
	case r.Backend == "":
		r.Backend = d.Backend
	case slices.Contains(strings.Split(r.Backend, "; "), d.Backend):
	case d.Threads > 0:
		r.Backend += "; " + d.Backend
	default:
		r.Backend = d.Backend + "; " + r.Backend
	}
	r.Threads = max(r.Threads, d.Threads)
}

// notes tells what the reader of the figures has to know.
func (r *benchReport) notes() (notes []string) {
	var foreign []string
	sizes := false
	for _, m := range r.Models {
		if m.Flavour.ForTensorRT() {
			foreign = append(foreign, plain(m.Name))
		}
		sizes = sizes || m.Input != r.Models[0].Input
		if m.Refused != "" {
			notes = append(notes, plain(m.Name)+" runs without a CUDA graph, which is slower: "+plain(m.Refused))
		}
	}
	if sizes {
		notes = append(notes, "the models scale the picture to different sizes: ratios compare different amounts of work")
	}
	if len(foreign) > 0 {
		notes = append(notes, "made for TensorRT: "+strings.Join(foreign, ", ")+"; ONNX Runtime runs such models slowly, and the speed here says nothing about TensorRT")
	}
	if r.Stopped {
		notes = append(notes, fmt.Sprintf("stopped after %d of %s", r.Turns, terminal.Plural(r.Runs, "turn")))
	}
	return notes
}

func (r *benchReport) write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	_, err := io.WriteString(out, r.text())
	return err
}

// text is the report for people.
func (r *benchReport) text() string {
	text := r.Backend
	if r.Threads > 0 {
		text += ", " + terminal.Plural(r.Threads, "thread")
	}
	text += ", " + r.CPU + "\n"
	for _, line := range r.Lines() {
		text += line + "\n"
	}
	text += fmt.Sprintf("%s, %d×%d; %s after %d to warm up\n\n", plain(r.Picture.Source), r.Picture.Width, r.Picture.Height, terminal.Plural(r.Turns, "turn"), r.Warmup)
	text += r.table() + r.layerTables()
	notes := r.Notes
	if warning := r.Warning(); warning != "" {
		notes = append([]string{warning}, notes...)
	}
	if len(notes) > 0 {
		text += "\n" + strings.Join(notes, "\n") + "\n"
	}
	return text
}

// table has a row for each model. Times are in milliseconds.
func (r *benchReport) table() string {
	t := terminal.Table{Left: []bool{true, true, false, false, false, false, false, false, false, false, false}}
	t.Row("", "", "input", "size", "network", "", "", "whole", "", "", "ratio")
	t.Row("times in ms", "flavour", "h×w", "MB", "p50", "p90", "p99", "p50", "p90", "p99", "network")
	t.Rule()
	for _, m := range r.Models {
		cells := []string{plain(m.Name), string(m.Flavour), fmt.Sprintf("%d×%d", m.Input[0], m.Input[1]), fmt.Sprintf("%.1f", float64(m.Size)/1e6)}
		for _, s := range []report.Spread{m.Latency.Infer, m.Latency.Whole} {
			cells = append(cells, fmt.Sprintf("%.2f", s.P50), fmt.Sprintf("%.2f", s.P90), fmt.Sprintf("%.2f", s.P99))
		}
		t.Row(append(cells, fmt.Sprintf("%.3f", m.Latency.Ratio))...)
	}
	return t.String()
}
