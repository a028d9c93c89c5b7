// Package ort runs models with ONNX Runtime on the CPU.
//
// The library is loaded when the first engine is opened, never linked: programs that
// import this package start without it.
package ort

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/yalue/onnxruntime_go"
	"gocv.io/x/gocv"

	"github.com/robustnet-edge/robustnet/camera"
	"github.com/robustnet-edge/robustnet/camera/cvmat"
	"github.com/robustnet-edge/robustnet/trt"
)

// Options choose how a model runs. The zero value is a good default.
type Options struct {
	// Library is the path of libonnxruntime; empty looks for it beside the program, in
	// lib/ beside it, in /usr/lib/robustnet and where the dynamic loader looks.
	Library string
	// Threads is the number of CPU threads for inference. 0 leaves one core to the rest
	// of the pipeline.
	Threads int
}

// ErrLibrary is wrapped when ONNX Runtime itself cannot be loaded.
var ErrLibrary = errors.New("ONNX Runtime cannot be loaded")

// Open reads a model file, holds it against the model-file contract, and prepares it:
// when Open returns, one inference has been run, so that the first frame is not slow.
func Open(path string, o Options) (*Engine, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	return Load(path, model, o)
}

// Load is [Open] for a model in memory; name is for error messages.
func Load(name string, model []byte, o Options) (*Engine, error) {
	card, err := trt.ReadCard(model)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	if err := acquireRuntime(o.Library); err != nil {
		return nil, err
	}
	e := &Engine{card: card, threads: o.Threads, area: image.Pt(card.Input.Width, card.Input.Height)}
	if e.threads <= 0 {
		e.threads = max(1, runtime.NumCPU()-1)
	}
	if err := e.prepare(model); err != nil {
		e.Close()
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return e, nil
}

// Engine is a model in ONNX Runtime. It implements [trt.Engine].
type Engine struct {
	card    *trt.Card
	threads int
	area    image.Point

	session *onnxruntime_go.AdvancedSession
	pin     runtime.Pinner
	tensors []onnxruntime_go.Value
	input   []byte
	mask    []uint8
	style   []float32

	frames   cvmat.Frames
	scaled   gocv.Mat
	inputMat *cvmat.Pinned
	closed   bool
}

func (e *Engine) prepare(model []byte) error {
	in, out := e.card.Input, e.card.Mask
	e.input = make([]byte, in.Height*in.Width*3)
	e.mask = make([]uint8, out.Height*out.Width)
	e.style = make([]float32, len(e.card.Style.Mean))

	var err error
	if e.inputMat, err = cvmat.Over(e.input, in.Height, in.Width, gocv.MatTypeCV8UC3); err != nil {
		return err
	}
	e.scaled = gocv.NewMatWithSize(in.Height, in.Width, gocv.MatTypeCV8UC3)

	image, err := tensor(e, []int64{1, int64(in.Height), int64(in.Width), 3}, e.input)
	if err != nil {
		return err
	}
	mask, err := tensor(e, []int64{1, int64(out.Height), int64(out.Width)}, e.mask)
	if err != nil {
		return err
	}
	style, err := tensor(e, []int64{1, int64(len(e.style))}, e.style)
	if err != nil {
		return err
	}
	options, err := sessionOptions(e.threads)
	if err != nil {
		return err
	}
	defer options.Destroy()
	e.session, err = onnxruntime_go.NewAdvancedSessionWithONNXData(model,
		[]string{"image"}, []string{"mask", "style"},
		[]onnxruntime_go.Value{image}, []onnxruntime_go.Value{mask, style}, options)
	if err != nil {
		return fmt.Errorf("prepare in ONNX Runtime: %w", err)
	}
	if err := e.session.Run(); err != nil {
		return fmt.Errorf("first inference: %w", err)
	}
	return nil
}

// tensor wraps data, which ONNX Runtime reads or writes in place until Close.
func tensor[T onnxruntime_go.TensorData](e *Engine, shape []int64, data []T) (onnxruntime_go.Value, error) {
	e.pin.Pin(unsafe.SliceData(data))
	t, err := onnxruntime_go.NewTensor(onnxruntime_go.NewShape(shape...), data)
	if err != nil {
		return nil, fmt.Errorf("make a tensor of shape %v: %w", shape, err)
	}
	e.tensors = append(e.tensors, t)
	return t, nil
}

func sessionOptions(threads int) (*onnxruntime_go.SessionOptions, error) {
	o, err := onnxruntime_go.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("make session options: %w", err)
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(threads),
		o.SetInterOpNumThreads(1),
		o.SetGraphOptimizationLevel(onnxruntime_go.GraphOptimizationLevelEnableAll),
		o.SetLogSeverityLevel(onnxruntime_go.LoggingLevelError),
		// Spinning workers steal the cores that decode, draw and encode.
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		// Denormals in float convolutions cost a hundred times a normal number.
		o.AddSessionConfigEntry("session.set_denormal_as_zero", "1"),
	)
	if err != nil {
		o.Destroy()
		return nil, fmt.Errorf("set session options: %w", err)
	}
	return o, nil
}

// Card implements [trt.Engine].
func (e *Engine) Card() *trt.Card { return e.card }

// Describe implements [trt.Engine].
func (e *Engine) Describe() trt.Description {
	return trt.Description{
		Backend:     "ONNX Runtime " + onnxruntime_go.GetVersion() + " CPU",
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
	start := time.Now()
	if err := e.fill(f); err != nil {
		return trt.Result{}, err
	}
	filled := time.Now()
	if err := e.session.Run(); err != nil {
		return trt.Result{}, fmt.Errorf("infer frame %d: %w", f.Seq, err)
	}
	return trt.Result{
		Mask:       e.mask,
		Style:      e.style,
		Preprocess: filled.Sub(start),
		Infer:      time.Since(filled),
	}, nil
}

// fill scales the frame into the input tensor as RGB.
func (e *Engine) fill(f *camera.Frame) error {
	src, err := e.frames.Mat(f)
	if err != nil {
		return err
	}
	if f.Width != e.area.X || f.Height != e.area.Y {
		gocv.Resize(src, &e.scaled, e.area, 0, 0, interpolation(f, e.area))
		src = e.scaled
	}
	gocv.CvtColor(src, &e.inputMat.Mat, gocv.ColorBGRToRGB)
	return nil
}

// interpolation averages when pixels would be skipped otherwise: a bilinear filter looks at
// two by two pixels and turns fine texture into noise below half size.
func interpolation(f *camera.Frame, to image.Point) gocv.InterpolationFlags {
	if f.Width >= 2*to.X || f.Height >= 2*to.Y {
		return gocv.InterpolationArea
	}
	return gocv.InterpolationLinear
}

// Close implements [trt.Engine].
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	if e.session != nil {
		errs = append(errs, e.session.Destroy())
	}
	for _, t := range e.tensors {
		errs = append(errs, t.Destroy())
	}
	e.frames.Close()
	if e.inputMat != nil {
		errs = append(errs, e.inputMat.Close())
	}
	if e.scaled.Ptr() != nil {
		errs = append(errs, e.scaled.Close())
	}
	e.pin.Unpin()
	errs = append(errs, releaseRuntime())
	return errors.Join(errs...)
}

// runtimeUse counts the engines that are open: the binding keeps one environment per
// process in variables of its own, so its life time has to be kept per process, too.
var runtimeUse struct {
	sync.Mutex
	engines int
	library string
}

func acquireRuntime(library string) error {
	u := &runtimeUse
	u.Lock()
	defer u.Unlock()
	if u.engines > 0 {
		if library != "" && library != u.library {
			return fmt.Errorf("%w: %s is wanted but %s is in use", ErrLibrary, library, u.library)
		}
		u.engines++
		return nil
	}
	path, err := findLibrary(library)
	if err != nil {
		return err
	}
	onnxruntime_go.SetSharedLibraryPath(path)
	if err := onnxruntime_go.InitializeEnvironment(); err != nil {
		return fmt.Errorf("%w from %s: %w; name another with --onnxruntime", ErrLibrary, path, err)
	}
	u.engines, u.library = 1, path
	return nil
}

func releaseRuntime() error {
	u := &runtimeUse
	u.Lock()
	defer u.Unlock()
	if u.engines--; u.engines > 0 {
		return nil
	}
	return onnxruntime_go.DestroyEnvironment()
}

// libraryName is ONNX Runtime's SONAME.
const libraryName = "libonnxruntime.so.1"

func findLibrary(wanted string) (string, error) {
	if wanted != "" {
		if _, err := os.Stat(wanted); err != nil {
			return "", fmt.Errorf("%w: %w; name the file with --onnxruntime", ErrLibrary, err)
		}
		return wanted, nil
	}
	var folders []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		folders = append(folders, dir, filepath.Join(dir, "lib"))
	}
	folders = append(folders, "/usr/lib/robustnet")
	for _, dir := range folders {
		path := filepath.Join(dir, libraryName)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return libraryName, nil // the dynamic loader's own places
}
