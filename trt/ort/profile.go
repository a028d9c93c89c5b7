package ort

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kernels runs a model that keeps the model-file contract once, with ONNX Runtime's own
// profiler, and returns how many kernels of each operator ran. After fusion a quantised
// convolution runs as QLinearConv; one that runs as Conv was computed in float.
func Kernels(name string, model []byte, o Options) (counts map[string]int, err error) {
	kernels, err := profiled(name, model, o)
	if err != nil {
		return nil, err
	}
	counts = map[string]int{}
	for _, k := range kernels {
		counts[k.operator]++
	}
	return counts, nil
}

// kernel is one that ran.
type kernel struct {
	operator string
	provider string // by ONNX Runtime's name, such as CPUExecutionProvider
}

// profiled runs a model once, with ONNX Runtime's own profiler.
func profiled(name string, model []byte, o Options) (kernels []kernel, err error) {
	dir, err := os.MkdirTemp("", "robustnet-profile-")
	if err != nil {
		return nil, fmt.Errorf("profile model %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.profile = filepath.Join(dir, "kernels")
	engine, err := Load(name, model, o) // which runs it once
	if err == nil {
		err = engine.Close() // which writes the profile
	}
	if err != nil {
		return nil, fmt.Errorf("profile model %s: %w", name, err)
	}
	files, err := filepath.Glob(o.profile + "*")
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("ONNX Runtime wrote %d profiles, want one", len(files))
	}
	if err == nil {
		kernels, err = readProfile(files[0])
	}
	if err != nil {
		return nil, fmt.Errorf("profile model %s: %w", name, err)
	}
	return kernels, nil
}

// readProfile returns the kernels in a profile.
func readProfile(path string) ([]kernel, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var events []struct {
		Category string `json:"cat"`
		Name     string `json:"name"`
		Args     struct {
			Operator string `json:"op_name"`
			Provider string `json:"provider"`
		} `json:"args"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, fmt.Errorf("read ONNX Runtime's profile: %w", err)
	}
	var kernels []kernel
	for _, e := range events {
		if e.Category == "Node" && strings.HasSuffix(e.Name, "_kernel_time") {
			kernels = append(kernels, kernel{operator: e.Args.Operator, provider: e.Args.Provider})
		}
	}
	if len(kernels) == 0 {
		return nil, errors.New("ONNX Runtime's profile names no kernels")
	}
	return kernels, nil
}
