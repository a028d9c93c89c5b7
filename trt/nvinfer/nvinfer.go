// Package nvinfer builds and runs TensorRT engines on NVIDIA GPUs.
//
// TensorRT is loaded when it is needed, never linked, through a shim of our own for each of its
// major versions: programs that import this package build and start without it. What is missing
// is named in one sentence.
package nvinfer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/internal/library"
)

// The kinds of errors that TensorRT and CUDA make.
var (
	// ErrMissing says that TensorRT, CUDA or the shim cannot be loaded.
	ErrMissing = errors.New("TensorRT cannot be loaded")
	// ErrDevice says that there is no GPU that answers.
	ErrDevice = errors.New("no usable GPU")
	// ErrModel says that TensorRT cannot read the model, or build an engine of it.
	ErrModel = errors.New("TensorRT cannot build the model")
	// ErrPlan says that a plan is damaged, or of another version or GPU.
	ErrPlan = errors.New("TensorRT cannot read the engine")
	// ErrMemory says that there is no memory.
	ErrMemory = errors.New("out of memory on the GPU")
	// ErrCancelled says that a build was cancelled.
	ErrCancelled = errors.New("the build was cancelled")
	// ErrRun says that an inference failed; the next may succeed.
	ErrRun = errors.New("inference failed")
	// ErrBroken says that CUDA answers nothing any more: nothing but a new process helps.
	ErrBroken = errors.New("the GPU failed beyond recovery in this process")
)

// What to do about what is missing. All begin alike, so that they can be told apart from the fault.
const (
	nextStep   = "on a Jetson, install TensorRT (apt-get install tensorrt) and the shim, packaging/build-tensorrt.sh; elsewhere, use the .onnx model"
	nextDLA    = "on a Jetson, it is of JetPack 6's package nvidia-l4t-dla-compiler, without which TensorRT 10.3 cannot be loaded; a container gets it from its host with --runtime nvidia; JetPack 7 has it no more and needs the image for JetPack 7"
	nextDriver = "on a Jetson, it is of the driver, the package nvidia-l4t-cuda; a container gets it from its host with --runtime nvidia or --device nvidia.com/gpu=all; elsewhere, use the .onnx model"

	shimVariable = "ROBUSTNET_TENSORRT_LIBRARY"
)

// stepAfter is what to do about what the dynamic loader said.
func stepAfter(said string) string {
	switch {
	case strings.Contains(said, "libnvdla_compiler.so"):
		return nextDLA
	case strings.Contains(said, "libcuda.so.1"):
		return nextDriver
	}
	return nextStep
}

// BuilderBytes is about how much memory TensorRT's builder takes.
const BuilderBytes = 3 << 30

// shims are the names of the shims, that for the version of the newest JetPack first.
var shims = [...]string{"librobustnet-trt10.so", "librobustnet-trt11.so", "librobustnet-trt8.so"}

// Library is TensorRT. One goroutine may use it, and the engines that it has loaded, at a time.
type Library struct {
	native *native
	device Device
}

// Device is what an engine depends on.
type Device struct {
	// TensorRT is the version of the library, such as "10.3.0", and CUDA that of the runtime.
	TensorRT string `json:"tensorrt"`
	CUDA     string `json:"cuda"`
	// GPU is its name, and Capability its compute capability, such as "8.7".
	GPU        string `json:"gpu"`
	Capability string `json:"capability"`
	// Processors is the number of its streaming multiprocessors.
	Processors int `json:"processors"`
	// Integrated says that it shares the memory with the CPU.
	Integrated bool `json:"integrated"`
}

// Load finds TensorRT and a GPU. The path is that of the shim; empty takes that of the environment
// variable ROBUSTNET_TENSORRT_LIBRARY or the first, of those beside the program, in lib/ beside it
// and in /usr/lib/robustnet, whose TensorRT is there. Errors wrap [ErrMissing] or [ErrDevice].
func Load(path string) (*Library, error) {
	paths, err := candidates(path)
	if err != nil {
		return nil, err
	}
	var said []string
	for _, path := range paths {
		n, err := loadShim(path)
		if err != nil {
			said = append(said, fmt.Sprintf("%s: %s", path, strings.TrimPrefix(err.Error(), ErrMissing.Error()+": ")))
			continue
		}
		device, err := n.describe()
		if err != nil {
			n.close()
			return nil, err
		}
		return &Library{native: n, device: device}, nil
	}
	all := strings.Join(said, "; ")
	return nil, fmt.Errorf("%w: %s; %s", ErrMissing, all, stepAfter(all))
}

// candidates are the shims that there are.
func candidates(wanted string) ([]string, error) {
	given, err := library.Given(wanted, shimVariable)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrMissing, err, nextStep)
	}
	if given != "" {
		return []string{given}, nil
	}
	var paths []string
	for _, name := range shims {
		if path := library.Find(name); path != "" {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w: no %s in %s; %s", ErrMissing, strings.Join(shims[:], ", "), library.Folders(), nextStep)
	}
	return paths, nil
}

// Device tells what was found.
func (l *Library) Device() Device { return l.device }

// Close lets TensorRT go; engines must have been closed. It is idempotent.
func (l *Library) Close() error {
	if l.native != nil {
		l.native.close()
		l.native = nil
	}
	return nil
}
