package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// providerStep is what to do where a provider cannot be had.
const providerStep = "or use --provider cpu"

// checkProvider names what is missing before ONNX Runtime is loaded: the provider's own files, and
// the libraries of CUDA and TensorRT that these need.
func checkProvider(p trt.Provider, library string) error {
	if p != "" && !slices.Contains(trt.Providers(), p) {
		return fmt.Errorf("%w %q: it is none of %v", ErrProvider, p, trt.Providers())
	}
	files := providerFiles(p)
	if len(files) == 0 {
		return nil
	}
	if filepath.Base(library) == library {
		place, wrong := tryLibrary(library)
		if wrong != "" {
			return fmt.Errorf("%w: %s; %s", ErrLibrary, wrong, nextStep)
		}
		library = place
	}
	real, err := filepath.EvalSymlinks(library)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	for _, name := range files {
		path := filepath.Join(filepath.Dir(real), name)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w %s: %s is not in %s; name a build that has it with --onnxruntime, %s", ErrProvider, p, name, filepath.Dir(real), providerStep)
		}
		switch missing, err := unmet(path); {
		case err != nil:
			return fmt.Errorf("%w %s: %s is no library: %w; name a build that has it with --onnxruntime, %s", ErrProvider, p, path, oneLine(err), providerStep)
		case len(missing) > 0:
			return fmt.Errorf("%w %s: %s needs %s, which cannot be loaded; %s, %s", ErrProvider, p, name, strings.Join(missing, ", "), stepFor(missing), providerStep)
		}
	}
	return nil
}

// stepFor is what to do about libraries that a provider needs.
func stepFor(missing []string) string {
	if len(missing) == 1 && missing[0] == "libcuda.so.1" {
		return "install NVIDIA's driver, or give the container its GPU"
	}
	return "install what has them, of these versions, and name its folders in LD_LIBRARY_PATH where the loader does not look there"
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
		return fmt.Errorf("%w %s: %w; name one that fits this machine's CUDA with --onnxruntime, %s", ErrProvider, p, oneLine(err), providerStep)
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
