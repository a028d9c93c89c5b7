package torch

import (
	"fmt"
	"math"
	"unsafe"
)

// FromFloat32 returns a tensor of the given shape on the run's device, with a copy of the
// data in row-major order. No dimensions make a tensor of one element.
func (s *Scope) FromFloat32(data []float32, shape ...int) *Tensor {
	return from(s, "FromFloat32", data, Float32, shape)
}

// FromFloat64 is [Scope.FromFloat32] for float64.
func (s *Scope) FromFloat64(data []float64, shape ...int) *Tensor {
	return from(s, "FromFloat64", data, Float64, shape)
}

// FromInt64 is [Scope.FromFloat32] for int64.
func (s *Scope) FromInt64(data []int64, shape ...int) *Tensor {
	return from(s, "FromInt64", data, Int64, shape)
}

// FromUint8 is [Scope.FromFloat32] for uint8.
func (s *Scope) FromUint8(data []uint8, shape ...int) *Tensor {
	return from(s, "FromUint8", data, Uint8, shape)
}

func from[E any](s *Scope, op string, data []E, d DType, shape []int) *Tensor {
	if !s.ready(op) {
		return nil
	}
	n, err := count(shape)
	if err == nil && n != len(data) {
		err = fmt.Errorf("%d values for %d elements", len(data), n)
	}
	if err == nil {
		r := s.run
		r.args = r.args[:0]
		for _, d := range shape {
			r.args = append(r.args, int64(d))
		}
		_, err = r.failure.from(unsafe.Pointer(unsafe.SliceData(data)), d, r.args, r.device, r.results)
	}
	if err != nil {
		s.fail(op, []any{shape}, err)
		return nil
	}
	t, _ := s.adopt(s.run.results)
	return t
}

// Zeros returns a tensor of zeros on the run's device.
func (s *Scope) Zeros(d DType, shape ...int) *Tensor { return s.Full(d, 0, shape...) }

// Ones returns a tensor of ones on the run's device.
func (s *Scope) Ones(d DType, shape ...int) *Tensor { return s.Full(d, 1, shape...) }

// Full returns a tensor of one value on the run's device.
func (s *Scope) Full(d DType, value float64, shape ...int) *Tensor {
	return s.Call("full", shape, value, d, nil, s.run.device)
}

// Eye returns the identity matrix [n, n] on the run's device.
func (s *Scope) Eye(n int, d DType) *Tensor { return s.Call("eye", n, d, nil, s.run.device) }

// Float32s returns the elements in row-major order, converted, from any device; nil after a
// failure.
func (s *Scope) Float32s(t *Tensor) []float32 { return read[float32](s, "Float32s", t, Float32) }

// Float64s is [Scope.Float32s] for float64.
func (s *Scope) Float64s(t *Tensor) []float64 { return read[float64](s, "Float64s", t, Float64) }

// Int64s is [Scope.Float32s] for int64; fractions are cut off.
func (s *Scope) Int64s(t *Tensor) []int64 { return read[int64](s, "Int64s", t, Int64) }

// maxRead is far above any feature map. A view of one element may claim to have more
// elements than memory has bytes.
const maxRead = 1 << 31

func read[E any](s *Scope, op string, t *Tensor, d DType) []E {
	if !s.ready(op) {
		return nil
	}
	handle, err := s.given(t)
	if n := t.Numel(); err == nil && (n < 0 || n > maxRead) {
		err = fmt.Errorf("more than %d elements", maxRead)
	}
	var data []E
	if err == nil {
		data = make([]E, t.Numel())
		err = s.run.failure.read(handle, d, unsafe.Pointer(unsafe.SliceData(data)), len(data))
	}
	if err != nil {
		s.fail(op, []any{t}, err)
		return nil
	}
	return data
}

// Item returns the only element of a tensor; NaN after a failure.
func (s *Scope) Item(t *Tensor) float64 {
	if n := t.Numel(); t != nil && n != 1 {
		s.fail("Item", []any{t}, fmt.Errorf("%d elements instead of 1", n))
	}
	if v := s.Float64s(t); v != nil {
		return v[0]
	}
	return math.NaN()
}

// Write overwrites the elements of a tensor, in row-major order, converting them to its
// type, unseen by [Scope.Backward].
func (s *Scope) Write(t *Tensor, data []float32) {
	if !s.ready("Write") {
		return
	}
	handle, err := s.given(t)
	if err == nil {
		err = s.run.failure.write(handle, Float32, unsafe.Pointer(unsafe.SliceData(data)), len(data))
	}
	s.fail("Write", []any{t}, err)
}
