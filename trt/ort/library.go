package ort

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/yalue/onnxruntime_go"

	"github.com/robustnet-edge/robustnet/internal/library"
	"github.com/robustnet-edge/robustnet/trt"
)

// ErrLibrary is wrapped when ONNX Runtime itself cannot be loaded.
var ErrLibrary = errors.New("ONNX Runtime cannot be loaded")

// libraryName is ONNX Runtime's SONAME.
const libraryName = "libonnxruntime.so.1"

// nextStep ends every error about the library.
const nextStep = "name the file of ONNX Runtime 1.24 or newer with --onnxruntime"

// noTelemetry is the variable of the environment that keeps Microsoft's builds of ONNX Runtime
// from gathering figures of their use in the user's cache folder and sending them. The API has
// a call for it, which comes too late: the library begins when it is loaded.
const noTelemetry = "ORT_DISABLE_TELEMETRY"

// runtimeUse counts the engines that are open: the binding keeps one environment per
// process in variables of its own, so its life time has to be kept per process, too.
var runtimeUse struct {
	sync.Mutex
	engines int
	library string
}

// acquireRuntime loads the library for one engine more, if it has the provider.
func acquireRuntime(library string, provider trt.Provider) error {
	u := &runtimeUse
	u.Lock()
	defer u.Unlock()
	if u.engines > 0 {
		if library != "" && library != u.library {
			return fmt.Errorf("%w from %s: %s is in use", ErrLibrary, library, u.library)
		}
		if err := checkProvider(provider, u.library); err != nil {
			return err
		}
		u.engines++
		return nil
	}
	path, err := findLibrary(library)
	if err != nil {
		return err
	}
	if err := checkProvider(provider, path); err != nil {
		return err
	}
	if _, set := os.LookupEnv(noTelemetry); !set {
		if err := os.Setenv(noTelemetry, "1"); err != nil {
			return fmt.Errorf("%w from %s: %w; set %s=1", ErrLibrary, path, err, noTelemetry)
		}
	}
	onnxruntime_go.SetSharedLibraryPath(path)
	if err := onnxruntime_go.InitializeEnvironment(); err != nil {
		return fmt.Errorf("%w from %s: %w; %s", ErrLibrary, path, oneLine(err), nextStep)
	}
	u.engines, u.library = 1, path
	return nil
}

// releaseRuntime undoes one acquireRuntime.
func releaseRuntime() error {
	u := &runtimeUse
	u.Lock()
	defer u.Unlock()
	if u.engines--; u.engines > 0 {
		return nil
	}
	return onnxruntime_go.DestroyEnvironment()
}

func findLibrary(wanted string) (string, error) {
	if wanted != "" {
		if _, err := os.Stat(wanted); err != nil {
			return "", fmt.Errorf("%w: %w; %s", ErrLibrary, err, nextStep)
		}
		return wanted, nil
	}
	if path := library.Find(libraryName); path != "" {
		return path, nil
	}
	return libraryName, nil // the dynamic loader's own places
}
