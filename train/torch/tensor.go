package torch

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
)

// DType is the type of a tensor's elements.
type DType int64

// The types of elements, with libtorch's numbers.
const (
	Uint8    DType = 0
	Int32    DType = 3
	Int64    DType = 4
	Float16  DType = 5
	Float32  DType = 6
	Float64  DType = 7
	Bool     DType = 11
	BFloat16 DType = 15
)

// String returns the name that Python's torch uses.
func (d DType) String() string {
	switch d {
	case Uint8:
		return "uint8"
	case Int32:
		return "int32"
	case Int64:
		return "int64"
	case Float16:
		return "float16"
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	case Bool:
		return "bool"
	case BFloat16:
		return "bfloat16"
	}
	return fmt.Sprintf("dtype%d", int64(d))
}

// Tensor is an array of libtorch's, owned by a [Scope]. A nil tensor stands for none: it is
// what operators return after a failure, and a missing bias.
type Tensor struct {
	ref   *ref
	dtype DType
	shape []int
	dims  [4]int // shape's memory, for most tensors
}

// Shape returns the dimensions; nil for no tensor.
func (t *Tensor) Shape() []int {
	if t == nil {
		return nil
	}
	return slices.Clone(t.shape)
}

// Dim returns one dimension, counted from the end if i is negative; 0 if there is none such.
func (t *Tensor) Dim(i int) int {
	if t == nil {
		return 0
	}
	if i < 0 {
		i += len(t.shape)
	}
	if i < 0 || i >= len(t.shape) {
		return 0
	}
	return t.shape[i]
}

// Numel returns the number of elements; 0 for no tensor.
func (t *Tensor) Numel() int {
	if t == nil {
		return 0
	}
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// DType returns the type of the elements; of no tensor, a type of no elements.
func (t *Tensor) DType() DType {
	if t == nil {
		return -1
	}
	return t.dtype
}

// describe is the tensor in an error's text, such as float32[2 3].
func (t *Tensor) describe() string {
	if t == nil {
		return "none"
	}
	text := t.dtype.String() + describeInts(t.shape)
	if t.ref.handle == 0 {
		text += " (freed)"
	}
	return text
}

// adopt makes the tensor at the beginning of results s's own, and returns the rest.
func (s *Scope) adopt(results []int64) (*Tensor, []int64) {
	handle, dtype, n := results[0], results[1], int(results[2])
	sizes, rest := results[3:3+n], results[3+n:]
	if handle == 0 {
		return nil, rest
	}
	t := &Tensor{ref: &ref{handle: handle}, dtype: DType(dtype)}
	t.shape = t.dims[:0]
	for _, d := range sizes {
		t.shape = append(t.shape, int(d))
	}
	s.own(t.ref)
	runtime.AddCleanup(t, s.run.onLost, t.ref)
	return t, rest
}

// handleOf returns what the shim knows t by; 0 for no tensor.
func (s *Scope) handleOf(t *Tensor) (int64, error) {
	switch {
	case t == nil:
		return 0, nil
	case t.ref.handle == 0:
		return 0, errors.New("a tensor was freed before")
	case t.ref.scope.run != s.run:
		return 0, errors.New("a tensor belongs to another run")
	}
	return t.ref.handle, nil
}

// given is handleOf for where there has to be a tensor.
func (s *Scope) given(t *Tensor) (int64, error) {
	handle, err := s.handleOf(t)
	if err == nil && handle == 0 {
		err = errors.New("there is no tensor")
	}
	return handle, err
}

// count returns the number of elements of a shape.
func count(shape []int) (int, error) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("a dimension is %d", d)
		}
		high, low := bits.Mul64(n, uint64(d))
		if high != 0 || low > 1<<48 {
			return 0, errors.New("the shape is too large")
		}
		n = low
	}
	return int(n), nil
}
