package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/terminal"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/nvinfer"
)

// engineInfo is what info tells of an engine. Its JSON form is an interface.
type engineInfo struct {
	File   string `json:"file"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Sidecar is the description beside the engine.
	Sidecar nvinfer.Sidecar `json:"description"`
	// Faults say why the daemon would refuse the engine on any machine.
	Faults []string `json:"faults,omitempty"`
	// ModelChanged says that the model is another than the one that the engine was built from.
	ModelChanged bool `json:"model_changed,omitempty"`
	// Layers are there if asked for, with what TensorRT tells of them.
	Layers []nvinfer.Layer `json:"layers,omitempty"`

	card *trt.Card // nil where there is none that can be used
}

func isEngine(path string) bool { return filepath.Ext(path) == nvinfer.FileEnding }

// engine describes an engine. Without --layers neither TensorRT nor a GPU is needed.
func (o *infoOptions) engine(path string, out io.Writer) (err error) {
	d, err := newEngineInfo(path)
	if err != nil {
		return err
	}
	if o.layers {
		e, err := nvinfer.Open(path, nvinfer.Options{Library: o.tensorrt})
		if err != nil {
			return err
		}
		d.Layers, err = e.Inspect()
		if err = errors.Join(err, e.Close()); err != nil {
			return fmt.Errorf("engine %s: %w", path, err)
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	text := d.text()
	if o.layers {
		text += "\n" + d.layerTable()
	}
	_, err = io.WriteString(out, text)
	return err
}

func newEngineInfo(path string) (*engineInfo, error) {
	s, err := nvinfer.ReadSidecar(path)
	if err != nil {
		return nil, err
	}
	plan, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	sum := sha256.Sum256(plan)
	d := &engineInfo{File: path, Size: int64(len(plan)), SHA256: hex.EncodeToString(sum[:]), Sidecar: *s, ModelChanged: s.ModelChanged()}
	if d.SHA256 != s.PlanSHA256 {
		d.Faults = append(d.Faults, "it is not the plan that "+filepath.Base(path)+nvinfer.SidecarEnding+" describes")
	}
	if d.card, err = trt.ParseCard(s.Card); err != nil {
		d.Faults = append(d.Faults, err.Error())
	}
	return d, nil
}

// text is the description for people.
func (d *engineInfo) text() string {
	s := d.Sidecar
	t := terminal.Table{Left: []bool{true, true}}
	t.Row("file", plain(d.File))
	t.Row("size", terminal.Count(d.Size)+" bytes ("+terminal.Megabytes(d.Size)+")")
	t.Row("SHA-256", d.SHA256)
	t.Row("flavour", "TensorRT engine")
	t.Row("runs on", plain(fmt.Sprintf("%s with %s, compute capability %s, and TensorRT %s", s.Device.GPU, terminal.Plural(s.Device.Processors, "processor"), s.Device.Capability, s.Device.TensorRT)))
	from := plain(s.Model.Path)
	if d.ModelChanged {
		from += ", which has changed since"
	}
	t.Row("built from", from)
	t.Row("built by", plain(s.Program))
	t.Row("options", buildText(s.Build))
	graph := "replayed"
	if !s.Captured {
		graph = "refused: " + plain(s.Refused)
	}
	t.Row("CUDA graph", graph)
	title := "no card that can be used\n"
	if d.card != nil {
		title = plain(d.card.Name) + "\n"
		cardRows(&t, d.card)
	}
	text := title + "\n" + t.String()
	if d.card != nil && len(d.card.Accuracy) > 0 {
		text += "\n" + accuracyTable(d.card)
	}
	for _, fault := range d.Faults {
		text += "\nthis engine cannot be used: " + plain(fault) + "\n"
	}
	if len(d.Faults) > 0 || d.ModelChanged {
		text += "\nto build it anew: " + s.Rebuild(d.File) + "\n"
	}
	return text
}

// buildText tells the options of a build.
func buildText(b nvinfer.Build) string {
	parts := []string{fmt.Sprintf("level %d", b.Level)}
	if b.WorkspaceBytes > 0 {
		parts = append(parts, fmt.Sprintf("workspace of %d MiB", b.WorkspaceBytes>>20))
	}
	if b.Weak {
		parts = append(parts, "types chosen by TensorRT")
	} else {
		parts = append(parts, "types as in the model")
	}
	if b.Detailed {
		parts = append(parts, "details of layers kept")
	}
	return strings.Join(parts, ", ")
}

func (d *engineInfo) layerTable() string {
	if !d.Sidecar.Build.Detailed {
		text := terminal.Plural(len(d.Layers), "layer") + "\n"
		for _, l := range d.Layers {
			text += "  " + plain(l.Name) + "\n"
		}
		return text + "\nit was built without their details: " + d.Sidecar.Rebuild(d.File) + " --detailed\n"
	}
	t := terminal.Table{Left: []bool{true, true, true, true, true, true}}
	t.Row("layer", "kind", "weights", "reads", "writes", "kernel")
	t.Rule()
	for _, l := range d.Layers {
		t.Row(short(l.Name), short(l.Kind), short(l.Weights), short(l.Reads), short(l.Writes), short(l.Kernel))
	}
	return t.String()
}

// short is text of a file for a cell of a table: TensorRT names a layer after all nodes in it.
func short(text string) string {
	const longest = 60
	text = plain(text)
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}
