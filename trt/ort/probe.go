package ort

import (
	"errors"
	"fmt"
	"os"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/onnx"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/pixels"
)

// Probe is a model of which any tensors are looked at, rather than mask and style. One
// goroutine may use it at a time.
type Probe struct {
	input   *pixels.Input
	session *onnxruntime_go.DynamicAdvancedSession
	image   *onnxruntime_go.Tensor[uint8]
	outputs []onnxruntime_go.Value // nil before the first run
	closed  bool
}

// OpenProbe prepares a model with one input, uint8 [1, H, W, 3], whose outputs are to be looked
// at. Where it says of which shape they are, no more memory is taken than they need.
// Options.Library and errors are as in [Open].
func OpenProbe(m *onnx.Model, o Options) (*Probe, error) {
	if len(m.Graph.Inputs) != 1 {
		return nil, fmt.Errorf("probe a model: it has %d inputs, want one", len(m.Graph.Inputs))
	}
	v := m.Graph.Inputs[0]
	if v.Elem != onnx.Uint8 || len(v.Shape) != 4 || v.Shape[0] != 1 || min(v.Shape[1], v.Shape[2]) < 1 || max(v.Shape[1], v.Shape[2]) > trt.MaxSide || v.Shape[3] != 3 {
		return nil, fmt.Errorf("probe a model: its input is %s %v, want uint8 [1 H W 3]", v.Elem, v.Shape)
	}
	file, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	if err := acquireRuntime(o.Library, o.Provider); err != nil {
		return nil, err
	}
	p := &Probe{outputs: make([]onnxruntime_go.Value, len(m.Graph.Outputs))}
	if err := p.open(file, v, m.Graph.Outputs, o); err != nil {
		_ = p.Close() // the first fault is the one to tell
		return nil, fmt.Errorf("probe a model: %w", oneLine(err))
	}
	return p, nil
}

func (p *Probe) open(file []byte, image onnx.Value, outputs []onnx.Value, o Options) error {
	size := trt.CardSize{Height: int(image.Shape[1]), Width: int(image.Shape[2])}
	var err error
	if p.input, err = pixels.NewInput(size, make([]byte, size.Height*size.Width*3)); err != nil {
		return err
	}
	options, err := sessionOptions(o)
	if err != nil {
		return err
	}
	defer options.Destroy()
	names := make([]string, len(outputs))
	for i, v := range outputs {
		names[i] = v.Name
	}
	if p.image, err = onnxruntime_go.NewTensor(onnxruntime_go.NewShape(image.Shape...), p.input.Pixels()); err != nil {
		return err
	}
	p.session, err = onnxruntime_go.NewDynamicAdvancedSessionWithONNXData(file, []string{image.Name}, names, options)
	if err != nil {
		return err
	}
	for i, v := range outputs {
		if v.Elem != onnx.Float32 || v.Elements() < 1 {
			continue // ONNX Runtime allocates it in the first run
		}
		if p.outputs[i], err = onnxruntime_go.NewEmptyTensor[float32](onnxruntime_go.NewShape(v.Shape...)); err != nil {
			return err
		}
	}
	return nil
}

// Outputs returns the outputs of a model with the types and shapes that ONNX Runtime finds,
// dimensions that it does not know as -1. Options.Library and errors are as in [Open].
func Outputs(m *onnx.Model, o Options) (values []onnx.Value, err error) {
	file, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	if err := acquireRuntime(o.Library, o.Provider); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, releaseRuntime()) }()
	_, outputs, err := onnxruntime_go.GetInputOutputInfoWithONNXData(file)
	if err != nil {
		return nil, fmt.Errorf("look at the model's outputs: %w", oneLine(err))
	}
	for _, info := range outputs {
		// ONNX Runtime numbers the types as the format does.
		values = append(values, onnx.Value{Name: info.Name, Elem: onnx.ElemType(info.DataType), Shape: info.Dimensions})
	}
	return values, nil
}

// Run computes the outputs for a picture of any size, which is only read.
func (p *Probe) Run(f *camera.Frame) error {
	if p.closed {
		return fmt.Errorf("run a probe: %w", os.ErrClosed)
	}
	if err := p.input.Fill(f); err != nil {
		return fmt.Errorf("run a probe: %w", err)
	}
	// Later runs write into the outputs of the first: memory stays as it is.
	if err := p.session.Run([]onnxruntime_go.Value{p.image}, p.outputs); err != nil {
		return fmt.Errorf("run a probe: %w", oneLine(err))
	}
	return nil
}

// Pixels are what the network read in the last run: rows of red, green, blue.
func (p *Probe) Pixels() []byte { return p.input.Pixels() }

// Output returns the values of the i-th output, float32, and its shape, which is the same in
// every run. They hold until the next Run or Close.
func (p *Probe) Output(i int) (values []float32, shape []int64, err error) {
	t, ok := p.outputs[i].(*onnxruntime_go.Tensor[float32])
	if !ok {
		return nil, nil, fmt.Errorf("look at output %d of the model: it is %T, want numbers of float32", i, p.outputs[i])
	}
	return t.GetData(), t.GetShape(), nil
}

// release frees the outputs.
func (p *Probe) release() error {
	var errs []error
	for i, v := range p.outputs {
		if v != nil {
			errs = append(errs, v.Destroy())
		}
		p.outputs[i] = nil
	}
	return errors.Join(errs...)
}

// Close frees the model. It is idempotent.
func (p *Probe) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	err := p.release()
	if p.session != nil {
		err = errors.Join(err, p.session.Destroy())
	}
	if p.image != nil {
		err = errors.Join(err, p.image.Destroy())
	}
	if p.input != nil {
		err = errors.Join(err, p.input.Close())
	}
	return errors.Join(err, releaseRuntime())
}
