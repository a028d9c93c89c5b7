package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/quantize/latency"
	"github.com/robustnet-edge/robustnet/quantize/report"
)

// benchReport is what 'bench --json' prints.
type benchReport struct {
	Backend string `json:"backend"`
	CPU     string `json:"cpu"`
	Threads int    `json:"threads"`
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
	text := fmt.Sprintf("%s, %s, %s\n", r.Backend, terminal.Plural(r.Threads, "thread"), r.CPU)
	for _, line := range r.Lines() {
		text += line + "\n"
	}
	text += fmt.Sprintf("%s, %d×%d; %s after %d to warm up\n\n", plain(r.Picture.Source), r.Picture.Width, r.Picture.Height, terminal.Plural(r.Turns, "turn"), r.Warmup)
	text += r.table()
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
