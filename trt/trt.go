// Package trt is what programs know of segmentation models: the interface of an inference
// engine, and the card with which a model file describes itself.
//
// It holds no native code. A backend is a package of its own, such as
// [github.com/robustnet-edge/robustnet/trt/ort] for ONNX Runtime on the CPU, and is chosen
// by the program.
package trt

import (
	"errors"
	"time"

	"github.com/robustnet-edge/robustnet/camera"
)

// ErrInterrupted is returned by [Engine] when Run was told to stop.
var ErrInterrupted = errors.New("inference was interrupted")

// Engine is a loaded model with static shapes. Run and Close are called by one goroutine at
// a time; Card and Describe may be called by any, at any time. It must be closed: it pins
// memory.
type Engine interface {
	// Card is the model's own description. It is constant; callers must not change it.
	Card() *Card
	// Describe tells where and how the model runs.
	Describe() Description
	// Run segments one frame of any size, which stays the caller's and whose pixels are
	// only read. The result's slices belong to the engine and hold until the next Run or
	// Close. Run after Close is an error.
	Run(f *camera.Frame) (Result, error)
	// Interrupt makes a Run in progress return soon, and every later one at once, with
	// [ErrInterrupted]. It may be called from any goroutine, and after Close.
	Interrupt()
	// Close frees the model. It is idempotent and must not overlap Run.
	Close() error
}

// Description tells where and how a model runs.
type Description struct {
	// Backend names library, version and device, e.g. "ONNX Runtime 1.30.0 CPU".
	Backend string
	// Threads is the number of CPU threads that inference uses.
	Threads int
	// InputWidth and InputHeight are the size in pixels to which frames are scaled.
	InputWidth, InputHeight int
	// MaskWidth and MaskHeight are the size of the label map that comes out.
	MaskWidth, MaskHeight int
	// StyleLen is the length of the style vector.
	StyleLen int
}

// Result is what a model says about one frame.
type Result struct {
	// Mask holds one class id per pixel, MaskHeight rows of MaskWidth, and covers the
	// whole frame. Nothing keeps a faulty model from ids above those of its card.
	Mask []uint8
	// Style holds channel means, then standard deviations, of the shallow features on
	// which whitening works: a fingerprint of light and weather.
	Style []float32
	// Preprocess and Infer are the times spent on scaling the frame and in the network.
	Preprocess, Infer time.Duration
}

// Provider is what computes an ONNX model in a runtime that has several.
type Provider string

// The providers.
const (
	CPU      Provider = "cpu"
	CUDA     Provider = "cuda"
	TensorRT Provider = "tensorrt"
)

// Providers lists them.
func Providers() []Provider { return []Provider{CPU, CUDA, TensorRT} }
