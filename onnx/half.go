package onnx

import (
	"encoding/binary"

	"github.com/x448/float16"
)

// NewHalfTensor returns a tensor of float16 with the values rounded to the nearest, half way
// cases to even. Values beyond ±65504 become infinite. Without dims it is a scalar.
func NewHalfTensor(name string, values []float32, dims ...int) *Tensor {
	t := &Tensor{Name: name, Elem: Float16, Raw: make([]byte, 2*len(values))}
	for i, v := range values {
		binary.LittleEndian.PutUint16(t.Raw[2*i:], float16.Fromfloat32(v).Bits())
	}
	for _, d := range dims {
		t.Dims = append(t.Dims, int64(d))
	}
	return t
}

func fromHalf(raw []byte) []float32 {
	values := make([]float32, len(raw)/2)
	for i := range values {
		values[i] = float16.Frombits(binary.LittleEndian.Uint16(raw[2*i:])).Float32()
	}
	return values
}
