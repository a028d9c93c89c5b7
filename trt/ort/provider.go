package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/trt"
)

// ErrProvider is wrapped where ONNX Runtime has no such provider, or it does not start. Nothing
// else is taken in its place.
var ErrProvider = errors.New("ONNX Runtime lacks the provider")

// providerFiles are the libraries that a provider needs beside ONNX Runtime's own.
func providerFiles(p trt.Provider) []string {
	const shared = "libonnxruntime_providers_shared.so"
	switch p {
	case trt.CUDA:
		return []string{shared, "libonnxruntime_providers_cuda.so"}
	case trt.TensorRT:
		return []string{shared, "libonnxruntime_providers_tensorrt.so"}
	}
	return nil
}

// checkProvider names what is missing beside the library, before anything is loaded. Where the
// dynamic loader is to find the library, it cannot tell.
func checkProvider(p trt.Provider, library string) error {
	if p != "" && !slices.Contains(trt.Providers(), p) {
		return fmt.Errorf("%w %q: it is none of %v", ErrProvider, p, trt.Providers())
	}
	if filepath.Base(library) == library {
		return nil
	}
	real, err := filepath.EvalSymlinks(library)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	for _, name := range providerFiles(p) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(real), name)); err != nil {
			return fmt.Errorf("%w %s: %s is not in %s; name a build that has it with --onnxruntime, or use --provider cpu", ErrProvider, p, name, filepath.Dir(real))
		}
	}
	return nil
}

// appendProvider adds the provider to a session's options.
func appendProvider(o *onnxruntime_go.SessionOptions, p trt.Provider) (err error) {
	switch p {
	case trt.CUDA:
		err = appendCUDA(o)
	case trt.TensorRT:
		err = appendTensorRT(o)
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrProvider, p, oneLine(err))
	}
	return nil
}

func appendCUDA(o *onnxruntime_go.SessionOptions) error {
	cuda, err := onnxruntime_go.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy()
	return o.AppendExecutionProviderCUDA(cuda)
}

// appendTensorRT keeps the engines that ONNX Runtime builds: without, every start takes minutes.
func appendTensorRT(o *onnxruntime_go.SessionOptions) error {
	tensorRT, err := onnxruntime_go.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer tensorRT.Destroy()
	settings := map[string]string{"trt_int8_enable": "1", "trt_fp16_enable": "1"}
	if cache, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(cache, "robustnet", "onnxruntime-tensorrt")
		if os.MkdirAll(dir, 0o700) == nil {
			settings["trt_engine_cache_enable"], settings["trt_engine_cache_path"] = "1", dir
			settings["trt_timing_cache_enable"], settings["trt_timing_cache_path"] = "1", dir
		}
	}
	if err := tensorRT.Update(settings); err != nil {
		return err
	}
	return o.AppendExecutionProviderTensorRT(tensorRT)
}
