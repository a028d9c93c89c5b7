package nvinfer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/pixels"
)

// Options choose how an engine is opened.
type Options struct {
	// Library is the path of the shim, see [Load].
	Library string
	// Kernel is the file of the kernel that scales frames on the GPU, as packaging/build-tensorrt.sh
	// makes it where nvcc is there; empty takes the one beside the shim. Without one, the CPU
	// scales.
	Kernel string
}

// kernelName is that of the kernel's file.
const kernelName = "robustnet-scale.fatbin"

// Engine is a plan in TensorRT. It implements [trt.Engine]: frames are scaled on the GPU, in the
// same graph, or else on the CPU into memory that the GPU reads, too; the mask is read where the
// GPU wrote it.
type Engine struct {
	library *Library // nil if it is the caller's
	native  *nativeEngine
	card    *trt.Card
	device  Device

	input       *pixels.Input
	scaling     scaling
	mask        []uint8
	style       []float32
	outdated    string
	interrupted atomic.Bool
	closed      bool
}

// Open loads the engine file at path, made by [Save], and runs it once. Nothing is built, and
// nothing else is taken in its place. Errors wrap [ErrStale], [ErrMissing], [ErrDevice],
// [ErrPlan], [ErrMemory], [trt.ErrContract] or the file system's own error.
func Open(path string, o Options) (*Engine, error) {
	sidecar, err := ReadSidecar(path)
	if err != nil {
		return nil, err
	}
	plan, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	l, err := Load(o.Library)
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", path, err)
	}
	e, err := open(l, path, plan, sidecar)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	e.library = l
	if sidecar.ModelChanged() {
		e.outdated = sidecar.Rebuild(path)
	}
	if err := e.scaleOnGPU(o.Kernel); err != nil {
		return nil, errors.Join(fmt.Errorf("engine %s: %w", path, err), e.Close())
	}
	return e, nil
}

func open(l *Library, path string, plan []byte, sidecar *Sidecar) (*Engine, error) {
	card, err := sidecar.check(path, plan, l.device)
	if err != nil {
		return nil, err
	}
	e, err := l.Engine(plan, card)
	if errors.Is(err, ErrPlan) {
		return nil, fmt.Errorf("engine %s: %w; %s", path, err, sidecar.rebuild(path))
	}
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", path, err)
	}
	return e, nil
}

// Engine loads a plan of a model with that card, and runs it once. The library must stay open as
// long as the engine is.
func (l *Library) Engine(plan []byte, card *trt.Card) (*Engine, error) {
	native, err := l.native.load(plan)
	if err != nil {
		return nil, err
	}
	e := &Engine{native: native, card: card, device: l.device}
	if err := e.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", trt.ErrContract, err), e.Close())
	}
	return e, nil
}

// bind finds the inputs and outputs of the model-file contract in the plan.
func (e *Engine) bind() error {
	tensors := e.native.tensors()
	find := func(name string, input bool, kind int, shape ...int64) (unsafe.Pointer, int, error) {
		for _, t := range tensors {
			if t.name != name || t.input != input {
				continue
			}
			if t.kind != kind || !slices.Equal(t.shape, shape) {
				return nil, 0, fmt.Errorf("its tensor %s is of another type than its card says, or of shape %v instead of %v", name, t.shape, shape)
			}
			return t.memory, t.bytes, nil
		}
		return nil, 0, fmt.Errorf("it has no tensor %s", name)
	}
	in, out, style := e.card.Input, e.card.Mask, len(e.card.Style.Mean)
	image, imageBytes, err1 := find("image", true, typeUint8, 1, int64(in.Height), int64(in.Width), 3)
	mask, maskBytes, err2 := find("mask", false, typeUint8, 1, int64(out.Height), int64(out.Width))
	vector, _, err3 := find("style", false, typeFloat32, 1, int64(style))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	e.mask = unsafe.Slice((*uint8)(mask), maskBytes)
	e.style = unsafe.Slice((*float32)(vector), style)
	var err error
	e.input, err = pixels.NewInput(in.CardSize, unsafe.Slice((*byte)(image), imageBytes))
	return err
}

// Card implements [trt.Engine].
func (e *Engine) Card() *trt.Card { return e.card }

// Describe implements [trt.Engine].
func (e *Engine) Describe() trt.Description {
	return trt.Description{
		Backend:     fmt.Sprintf("TensorRT %s, %s", e.device.TensorRT, e.device.GPU),
		InputWidth:  e.card.Input.Width,
		InputHeight: e.card.Input.Height,
		MaskWidth:   e.card.Mask.Width,
		MaskHeight:  e.card.Mask.Height,
		StyleLen:    len(e.style),
	}
}

// Captured tells whether runs replay a CUDA graph; otherwise the reason is why not.
func (e *Engine) Captured() (ok bool, reason string) {
	if e.closed {
		return false, "the engine is closed"
	}
	return e.native.captured()
}

// Outdated tells whether the model's file had changed since the engine was built from it when the
// engine was opened, and with which command it is built anew. The engine computes what it did.
func (e *Engine) Outdated() (rebuild string, ok bool) { return e.outdated, e.outdated != "" }

// Run implements [trt.Engine]. The frame is stretched to the network's input size. Errors wrap
// [ErrRun], or [ErrBroken] where the process has to start anew.
func (e *Engine) Run(f *camera.Frame) (trt.Result, error) {
	if e.closed {
		return trt.Result{}, fmt.Errorf("infer frame %d: engine: %w", f.Seq, os.ErrClosed)
	}
	start := time.Now()
	if err := e.fill(f); err != nil {
		return trt.Result{}, err
	}
	filled := time.Now()
	if e.interrupted.Load() {
		return trt.Result{}, trt.ErrInterrupted
	}
	if err := e.native.run(); err != nil {
		return trt.Result{}, fmt.Errorf("infer frame %d: %w", f.Seq, err)
	}
	if e.interrupted.Load() {
		return trt.Result{}, trt.ErrInterrupted
	}
	return trt.Result{Mask: e.mask, Style: e.style, Preprocess: filled.Sub(start), Infer: time.Since(filled)}, nil
}

// Interrupt implements [trt.Engine]. A run on the GPU, which takes milliseconds, is awaited.
func (e *Engine) Interrupt() { e.interrupted.Store(true) }

// Close implements [trt.Engine].
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	var err error
	if e.input != nil { // which looks into the engine's memory
		err = e.input.Close()
	}
	e.mask, e.style = nil, nil
	e.native.close()
	if e.library != nil {
		err = errors.Join(err, e.library.Close())
	}
	return err
}
