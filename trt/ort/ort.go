// Package ort runs models with ONNX Runtime: on the CPU, or on what a build of it has besides.
//
// The library is loaded when the first engine is opened, never linked: programs that
// import this package start without it. It is unloaded when the last engine is closed.
package ort

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/trt"
	"github.com/robustnet-edge/robustnet/trt/pixels"
)

// Options choose how a model runs. The zero value is a good default.
type Options struct {
	// Library is the path of libonnxruntime; empty looks for it beside the program, in
	// lib/ beside it, in /usr/lib/robustnet and where the dynamic loader looks. All
	// engines that are open at a time use the same one.
	Library string
	// Threads is the number of CPU threads for inference. 0 or less leaves one of the
	// cores that the process may use to the rest of the pipeline.
	Threads int
	// Provider computes the model; empty is the CPU. Operators that it does not know run on the
	// CPU, see [Engine.Placement]. With TensorRT, the first start builds an engine, which takes
	// minutes.
	Provider trt.Provider
	// Unfused computes quantised models as they are written, rounding between operators of
	// floating point, rather than with kernels for integers. It shows what another runtime's
	// placement of the same model comes to.
	Unfused bool

	profile string // beginning of the path of a profile to write; see [Kernels]
}

func (o Options) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return max(1, runtime.GOMAXPROCS(0)-1)
}

// Open reads a model file, holds it against the model-file contract, and prepares it:
// when Open returns, one inference has been run, so that the first frame is not slow.
// Errors are one line each. They wrap onnx.ErrCorrupt or [trt.ErrContract] about the file's
// content, [ErrLibrary] about the library, and the file system's own error.
func Open(path string, o Options) (*Engine, error) {
	model, err := readModel(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	return Load(path, model, o)
}

// maxModelBytes is the limit that protocol buffers set.
const maxModelBytes = math.MaxInt32

func readModel(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > maxModelBytes {
		return nil, fmt.Errorf("%s has %d bytes; a model file has at most %d", path, info.Size(), maxModelBytes)
	}
	model := make([]byte, info.Size())
	if _, err := io.ReadFull(f, model); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return model, nil
}

// Load is [Open] for a model in memory; name is for error messages. The model's bytes are
// not used after it returns.
func Load(name string, model []byte, o Options) (*Engine, error) {
	card, err := trt.ReadCard(model)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	if err := acquireRuntime(o.Library, o.Provider); err != nil {
		return nil, err
	}
	var placement *Placement
	if len(providerFiles(o.Provider)) > 0 && o.profile == "" {
		if placement, err = placed(name, model, o); err != nil {
			_ = releaseRuntime() // the first fault is the one to tell
			return nil, err
		}
	}
	e := &Engine{
		card:    card,
		placed:  placement,
		backend: "ONNX Runtime " + onnxruntime_go.GetVersion() + " " + strings.ToUpper(string(cmp.Or(o.Provider, trt.CPU))),
		threads: o.threads(),
		mask:    make([]uint8, card.Mask.Height*card.Mask.Width),
		style:   make([]float32, len(card.Style.Mean)),
	}
	if err := e.prepare(model, o); err != nil {
		_ = e.Close() // the first fault is the one to tell
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return e, nil
}

// Engine is a model in ONNX Runtime. It implements [trt.Engine].
type Engine struct {
	card    *trt.Card
	backend string
	threads int
	placed  *Placement // nil on the CPU

	session session
	input   *pixels.Input
	mask    []uint8
	style   []float32
	closed  bool
}

// placed runs a model once to see where its kernels are computed.
func placed(name string, model []byte, o Options) (*Placement, error) {
	kernels, err := profiled(name, model, o)
	if err != nil {
		return nil, err
	}
	p, err := place(kernels, o.Provider)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return &p, nil
}

func (e *Engine) prepare(model []byte, o Options) error {
	size := e.card.Input.CardSize
	var err error
	if e.input, err = pixels.NewInput(size, make([]byte, size.Height*size.Width*3)); err != nil {
		return err
	}
	if err := e.session.open(model, e, o); err != nil {
		return fmt.Errorf("prepare in ONNX Runtime: %w", err)
	}
	if err := e.session.run(); err != nil {
		return fmt.Errorf("first inference: %w", err)
	}
	return nil
}

// Card implements [trt.Engine].
func (e *Engine) Card() *trt.Card { return e.card }

// Placement tells which kernels run on the provider of a GPU, and whether there is one.
func (e *Engine) Placement() (p Placement, ok bool) {
	if e.placed == nil {
		return Placement{}, false
	}
	return *e.placed, true
}

// Describe implements [trt.Engine].
func (e *Engine) Describe() trt.Description {
	return trt.Description{
		Backend:     e.backend,
		Threads:     e.threads,
		InputWidth:  e.card.Input.Width,
		InputHeight: e.card.Input.Height,
		MaskWidth:   e.card.Mask.Width,
		MaskHeight:  e.card.Mask.Height,
		StyleLen:    len(e.style),
	}
}

// Run implements [trt.Engine]. The frame is stretched to the network's input size.
func (e *Engine) Run(f *camera.Frame) (trt.Result, error) {
	if e.closed {
		return trt.Result{}, fmt.Errorf("infer frame %d: engine: %w", f.Seq, os.ErrClosed)
	}
	start := time.Now()
	if err := e.input.Fill(f); err != nil {
		return trt.Result{}, err
	}
	filled := time.Now()
	if err := e.session.run(); err != nil {
		return trt.Result{}, fmt.Errorf("infer frame %d: %w", f.Seq, err)
	}
	return trt.Result{
		Mask:       e.mask,
		Style:      e.style,
		Preprocess: filled.Sub(start),
		Infer:      time.Since(filled),
	}, nil
}

// Interrupt implements [trt.Engine].
func (e *Engine) Interrupt() { e.session.interrupt() }

// Close implements [trt.Engine].
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	err := e.session.close()
	if e.input != nil {
		err = errors.Join(err, e.input.Close())
	}
	return errors.Join(err, releaseRuntime())
}
