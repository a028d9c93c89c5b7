package ort

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/trt"
)

// session is a model in ONNX Runtime, bound to an engine's input and output memory.
type session struct {
	ort     *onnxruntime_go.AdvancedSession
	tensors []onnxruntime_go.Value
	pin     runtime.Pinner

	mu          sync.Mutex // guards what follows against an interrupt from elsewhere
	control     *onnxruntime_go.RunOptions
	interrupted bool
}

// open binds the model to the engine's slices, which stay where they are until close. After
// an error, too, close must be called.
func (s *session) open(model []byte, e *Engine, o Options) error {
	in, out := e.card.Input, e.card.Mask
	image, err1 := tensor(s, e.input.Pixels(), 1, int64(in.Height), int64(in.Width), 3)
	mask, err2 := tensor(s, e.mask, 1, int64(out.Height), int64(out.Width))
	style, err3 := tensor(s, e.style, 1, int64(len(e.style)))
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	options, err := sessionOptions(o)
	if err != nil {
		return err
	}
	defer options.Destroy()
	if s.control, err = onnxruntime_go.NewRunOptions(); err != nil {
		return fmt.Errorf("make run options: %w", err)
	}
	s.ort, err = onnxruntime_go.NewAdvancedSessionWithONNXData(model,
		[]string{"image"}, []string{"mask", "style"},
		[]onnxruntime_go.Value{image}, []onnxruntime_go.Value{mask, style}, options)
	return oneLine(err)
}

// tensor wraps data, which ONNX Runtime reads or writes in place.
func tensor[T onnxruntime_go.TensorData](s *session, data []T, shape ...int64) (onnxruntime_go.Value, error) {
	s.pin.Pin(unsafe.SliceData(data))
	t, err := onnxruntime_go.NewTensor(onnxruntime_go.NewShape(shape...), data)
	if err != nil {
		return nil, fmt.Errorf("make a tensor of shape %v: %w", shape, err)
	}
	s.tensors = append(s.tensors, t)
	return t, nil
}

func sessionOptions(options Options) (*onnxruntime_go.SessionOptions, error) {
	o, err := onnxruntime_go.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("make session options: %w", err)
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(options.threads()),
		o.SetInterOpNumThreads(1),
		o.SetGraphOptimizationLevel(onnxruntime_go.GraphOptimizationLevelEnableAll),
		o.SetLogSeverityLevel(onnxruntime_go.LoggingLevelFatal),
		// Spinning workers steal the cores that decode, draw and encode.
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		// Denormal numbers are slow on most CPUs and far below what a mask depends on.
		o.AddSessionConfigEntry("session.set_denormal_as_zero", "1"),
	)
	if options.Unfused {
		err = errors.Join(err, o.AddSessionConfigEntry("session.disable_quant_qdq", "1"))
	}
	if options.profile != "" {
		err = errors.Join(err, o.EnableProfiling(options.profile))
	}
	if err == nil {
		err = appendProvider(o, options.Provider)
	}
	if err != nil {
		o.Destroy()
		return nil, fmt.Errorf("set session options: %w", err)
	}
	return o, nil
}

// run reads the input slice and fills the output slices.
func (s *session) run() error {
	err := s.ort.RunWithOptions(s.control)
	if err != nil && s.wasInterrupted() {
		return trt.ErrInterrupted
	}
	return oneLine(err)
}

// interrupt ends a run in progress after the operator that it is in. ONNX Runtime keeps the
// order, so that later runs end at once.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control != nil {
		s.interrupted = s.control.Terminate() == nil
	}
}

func (s *session) wasInterrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.interrupted
}

// close frees what open made, however far it came.
func (s *session) close() error {
	var errs []error
	if s.ort != nil {
		errs = append(errs, s.ort.Destroy())
	}
	for _, t := range s.tensors {
		errs = append(errs, t.Destroy())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control != nil {
		errs = append(errs, s.control.Destroy())
		s.control = nil
	}
	s.pin.Unpin()
	return errors.Join(errs...)
}

// oneLine keeps messages of ONNX Runtime, some of which have several lines, to one.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
