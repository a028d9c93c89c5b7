package inspect

import (
	"slices"

	"github.com/robustnet-edge/robustnet/onnx"
)

// Flavour is the kind of arithmetic, and the runtime that it is made for.
type Flavour string

// The flavours.
const (
	Float32 Flavour = "float32"
	// Float16 models calculate in float16 but for a few layers.
	Float16 Flavour = "float16"
	// CPUInt8 models have activations of uint8, or of int8 with a zero-point other than 0, or
	// operators of integers, which ONNX Runtime alone has kernels for.
	CPUInt8 Flavour = "cpu-int8"
	// TRTInt8 models have activations of int8 with zero-point 0, as TensorRT wants them.
	TRTInt8 Flavour = "trt-int8"
	// WeightInt8 models have weights of int8 and activations of floating point.
	WeightInt8 Flavour = "weight-int8"
)

var flavourTitles = map[Flavour]string{
	Float32: "float32", Float16: "float16 (for TensorRT)", WeightInt8: "INT8 weights, activations in floating point",
	CPUInt8: "INT8 for ONNX Runtime", TRTInt8: "INT8 for TensorRT",
}

// String is the flavour for people.
func (f Flavour) String() string {
	if title, ok := flavourTitles[f]; ok {
		return title
	}
	return string(f)
}

// ForTensorRT tells whether the speed of such a model on ONNX Runtime's CPU kernels says
// nothing about the runtime that it is made for.
func (f Flavour) ForTensorRT() bool { return f == TRTInt8 || f == Float16 }

// integer tells whether the weights have 8 bits.
func (l Layer) integer() bool { return isInteger(l.Weight) }

func isInteger(precision string) bool {
	return precision == onnx.Int8.String() || precision == onnx.Uint8.String()
}

// flavour judges by the grids of activations, then by the weights.
func (s *Summary) flavour(t *trace) Flavour {
	other := func(g grid) bool { return g.elem != onnx.Int8 || !g.zero }
	unsigned := func(l Layer) bool { return l.Input == onnx.Uint8.String() }
	switch {
	case t.integer || slices.ContainsFunc(t.rounding, other) || slices.ContainsFunc(s.Layers, unsigned):
		return CPUInt8
	case len(t.rounding) > 0:
		return TRTInt8
	case s.Integer > 0:
		return WeightInt8
	case s.half():
		return Float16
	}
	return Float32
}

// half tells whether most of the convolutions, or without any most of the parameters, are
// float16.
func (s *Summary) half() bool {
	if len(s.Layers) == 0 {
		return len(s.Constants) > 0 && s.Constants[0].Type == onnx.Float16.String()
	}
	half := 0
	for _, l := range s.Layers {
		if l.Weight == onnx.Float16.String() {
			half++
		}
	}
	return 2*half > len(s.Layers)
}
