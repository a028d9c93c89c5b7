package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/robustnet-edge/robustnet/internal/cli"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/quantize/inspect"
	"github.com/robustnet-edge/robustnet/trt"
)

const infoHelp = `Info prints what is in a model file: its card, its inputs and outputs, the size of its
parameters, and in which precision its convolutions calculate. A model without a card is shown,
too. ONNX Runtime is not needed.

Of a TensorRT engine it prints what the description beside it says: for which GPU and TensorRT it
is, and what it was built from. With --layers it loads the engine, which takes that GPU, and lists
the layers that TensorRT has made; their precisions are known if the engine was built with
--detailed. 'robustnet-quantize bench --layers' has their times.

The precision of weights and activations is the type of the levels that DequantizeLinear reads
in front of a convolution, or else the type of what the convolution reads itself.`

const infoExamples = `  robustnet-quantize info model.onnx
  robustnet-quantize info q/model.trt-int8.onnx --layers
  robustnet-quantize info q/model.cpu-int8.onnx --json
  robustnet-quantize info model.engine --layers`

type infoOptions struct {
	layers, json bool
	tensorrt     string
}

func newInfo() *cobra.Command {
	var o infoOptions
	cmd := &cobra.Command{
		Use:     "info MODEL.onnx|MODEL.engine",
		Short:   "Print what is in a model file",
		Long:    infoHelp,
		Example: infoExamples,
		Args:    cli.Positional(cobra.ExactArgs(1)),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.layers, "layers", false, "list the precision of every convolution, or of every layer of an engine")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.tensorrt, "tensorrt", "", "file of the TensorRT shim; ROBUSTNET_TENSORRT_LIBRARY")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if isEngine(args[0]) {
			return o.engine(args[0], cmd.OutOrStdout())
		}
		return o.info(args[0], cmd.OutOrStdout())
	}
	return cmd
}

func (o *infoOptions) info(path string, out io.Writer) error {
	file, err := readModelFile(path)
	if err != nil {
		return err
	}
	d, err := newModelInfo(path, file)
	if err != nil {
		return err
	}
	if o.json {
		if !o.layers {
			d.Layers = nil
		}
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

// modelInfo is what info tells. Its JSON form is an interface.
type modelInfo struct {
	File   string `json:"file"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Card is null where the file has none that can be used, and Fault then says why.
	Card  *trt.Card `json:"card"`
	Fault string    `json:"card_fault,omitempty"`
	inspect.Summary
}

func newModelInfo(path string, file []byte) (*modelInfo, error) {
	m, err := onnx.Unmarshal(file)
	if err != nil {
		return nil, fmt.Errorf("inspect model %s: %w", path, err)
	}
	sum := sha256.Sum256(file)
	d := &modelInfo{File: path, Size: int64(len(file)), SHA256: hex.EncodeToString(sum[:]), Summary: inspect.Inspect(m)}
	if d.Card, err = trt.ReadCard(file); err != nil {
		d.Fault = err.Error()
	}
	return d, nil
}

// readModelFile reads a file that is to be a model.
func readModelFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("open model %s: it is a folder; name a model file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("open model %s: it is no regular file", path)
	case info.Size() > math.MaxInt32: // the limit that protocol buffers set
		return nil, fmt.Errorf("open model %s: it has %d bytes; a model file has at most %d", path, info.Size(), math.MaxInt32)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	if len(file) == 0 {
		return nil, fmt.Errorf("open model %s: it is empty; make it again", path)
	}
	return file, nil
}
