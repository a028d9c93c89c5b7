package ort

import (
	"fmt"
	"strings"

	"github.com/robustnet-edge/robustnet/trt"
)

// Placement tells which of a model's kernels the provider that was asked for computes. ONNX
// Runtime gives those that it does not know to the CPU, and says nothing of it.
type Placement struct {
	// Provider is the number of those that it computes. With TensorRT, many operators are one.
	Provider int
	// CPU is the number of the others, and Operators names their operators, each once.
	CPU       int
	Operators []string
}

// String is a line such as "2 of 60 kernels run on the CPU: ArgMax, Cast".
func (p Placement) String() string {
	if p.CPU == 0 {
		return "no kernel runs on the CPU"
	}
	const most = 5
	names := p.Operators
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return fmt.Sprintf("%d of %d kernels run on the CPU: %s", p.CPU, p.CPU+p.Provider, strings.Join(names, ", "))
}

// providerNames are ONNX Runtime's own.
var providerNames = map[trt.Provider]string{
	trt.CUDA:     "CUDAExecutionProvider",
	trt.TensorRT: "TensorrtExecutionProvider",
}

// place counts kernels; that none is the provider's is an error.
func place(kernels []kernel, provider trt.Provider) (Placement, error) {
	var p Placement
	seen := map[string]bool{}
	for _, k := range kernels {
		switch {
		case strings.HasPrefix(k.operator, "Memcpy"): // between the two, and work for neither
		case k.provider == providerNames[provider]:
			p.Provider++
		default:
			p.CPU++
			if !seen[k.operator] {
				p.Operators = append(p.Operators, k.operator)
			}
			seen[k.operator] = true
		}
	}
	if p.Provider == 0 {
		return p, fmt.Errorf("%w %s: it computes none of the model's %d kernels, which would run on the CPU; %s", ErrProvider, provider, p.CPU, strings.TrimPrefix(providerStep, "or "))
	}
	return p, nil
}
