package pth

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// storage is a one-dimensional array in the file that tensors are views of.
type storage struct {
	key      string
	class    string // of torch, e.g. FloatStorage
	dtype    *dtype // nil: unknown to this package
	elements int64

	// locate finds the data on first use and checks it as far as the format
	// allows; nil if the file has none. start is valid after it.
	locate func() (start int64, err error)
}

// dtype is how one element is stored, little-endian.
type dtype struct {
	name  string
	size  int
	float func(raw []byte) float32 // nil: not a real number
}

// dtypes by the name of torch's storage class.
var dtypes = map[string]*dtype{
	"Float": {"float32", 4, func(raw []byte) float32 {
		return math.Float32frombits(binary.LittleEndian.Uint32(raw))
	}},
	"Double": {"float64", 8, func(raw []byte) float32 {
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(raw)))
	}},
	"Half": {"float16", 2, func(raw []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(raw)) }},
	"BFloat16": {"bfloat16", 2, func(raw []byte) float32 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw)) << 16)
	}},
	"Long":  {"int64", 8, func(raw []byte) float32 { return float32(int64(binary.LittleEndian.Uint64(raw))) }},
	"Int":   {"int32", 4, func(raw []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(raw))) }},
	"Short": {"int16", 2, func(raw []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(raw))) }},
	"Char":  {"int8", 1, func(raw []byte) float32 { return float32(int8(raw[0])) }},
	"Byte":  {"uint8", 1, func(raw []byte) float32 { return float32(raw[0]) }},
	"Bool":  {"bool", 1, func(raw []byte) float32 { return float32(min(raw[0], 1)) }},

	"ComplexFloat":  {"complex64", 8, nil},
	"ComplexDouble": {"complex128", 16, nil},
}

// halfToFloat converts IEEE 754 binary16, exactly.
func halfToFloat(half uint16) float32 {
	bits := uint32(half&0x7fff) << 13
	magnitude := math.Float32frombits(bits) * 0x1p112 // moves the exponent's bias from 15 to 127
	if half&0x7c00 == 0x7c00 {
		magnitude = math.Float32frombits(bits | 0x7f800000) // infinity, NaN
	}
	return math.Float32frombits(math.Float32bits(magnitude) | uint32(half&0x8000)<<16)
}

// tensor is a view of a storage, in elements. resolve fills what is below it.
type tensor struct {
	storage      *storage
	offset       int64
	size, stride tuple

	shape []int
	numel int64
	axes  []axis
}

// axis is a dimension of more than one element.
type axis struct{ size, stride, resultStride int64 }

// maxDims is more than any weight of a network has, and bounds what many tensors
// that share one description cost.
const maxDims = 8

// resolve checks that the view lies in its storage, that the tensor is not larger
// than the file, and that no element is read twice but by a stride of 0.
func (t *tensor) resolve(fileBytes int64) error {
	s := t.storage
	if s.dtype == nil {
		return fmt.Errorf("elements of type %s are not supported; convert it to float32 with PyTorch", shorten(s.class))
	}
	if len(t.size) != len(t.stride) || len(t.size) > maxDims {
		return fmt.Errorf("it has %d sizes and %d strides, want as many, at most %d: %s",
			len(t.size), len(t.stride), maxDims, damaged)
	}
	t.shape, t.numel, t.axes = make([]int, len(t.size)), 1, nil
	for i := len(t.size) - 1; i >= 0; i-- {
		size, isSize := t.size[i].(int64)
		stride, isStride := t.stride[i].(int64)
		if !isSize || !isStride || size < 0 || stride < 0 || size > fileBytes {
			return fmt.Errorf("dimension %d has a bad size or stride: %s", i, damaged)
		}
		if size > 1 {
			t.axes = append(t.axes, axis{size, stride, t.numel})
		}
		if size > 0 && t.numel > fileBytes/int64(s.dtype.size)/size {
			return fmt.Errorf("it is larger than the file: %s", damaged)
		}
		t.shape[i] = int(size)
		t.numel *= size
	}
	if t.numel == 0 {
		return nil
	}
	return t.checkExtent(fileBytes)
}

func (t *tensor) checkExtent(fileBytes int64) error {
	s := t.storage
	if s.elements > fileBytes/int64(s.dtype.size) || t.offset < 0 || t.offset >= s.elements {
		return fmt.Errorf("offset %d in a storage of %d elements in a file of %d bytes: %s",
			t.offset, s.elements, fileBytes, damaged)
	}
	last := t.offset
	for _, a := range t.axes {
		if a.stride > 0 && a.size-1 > (s.elements-1-last)/a.stride {
			return fmt.Errorf("its end lies outside its storage of %d elements: %s", s.elements, damaged)
		}
		last += (a.size - 1) * a.stride
	}
	// In this order the elements lie one behind the other in the file, whether
	// the tensor was transposed, channels_last, or a slice.
	slices.SortStableFunc(t.axes, func(a, b axis) int { return cmp.Compare(b.stride, a.stride) })
	covered := int64(1)
	for _, a := range slices.Backward(t.axes) {
		if a.stride > 0 && a.stride < covered {
			return errors.New("its elements overlap each other; save a clone of it")
		}
		covered += (a.size - 1) * a.stride
	}
	return nil
}

// Float32s returns a tensor's elements in row-major order. Wider numbers are
// rounded to float32; bool becomes 0 and 1.
func (f *File) Float32s(name string) ([]float32, error) {
	t, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	convert := t.storage.dtype.float
	if convert == nil {
		return nil, fmt.Errorf("tensor %s of checkpoint %s is %s and cannot be read as float32",
			shorten(name), f.path, t.storage.dtype.name)
	}
	if 4*t.numel > 2*f.size {
		return nil, fmt.Errorf("tensor %s of checkpoint %s is %s: as float32 it would take more than twice the file's %d bytes; "+
			"save it as float32 if it is a weight", shorten(name), f.path, t.storage.dtype.name, f.size)
	}
	values := make([]float32, t.numel)
	err = f.walk(t, func(i int64, raw []byte) { values[i] = convert(raw) })
	if err != nil {
		return nil, fmt.Errorf("read tensor %s of checkpoint %s: %w", shorten(name), f.path, err)
	}
	return values, nil
}

// walk visits every element with its row-major index, in the file's order.
func (f *File) walk(t *tensor, visit func(index int64, raw []byte)) error {
	if t.numel == 0 {
		return nil
	}
	start, err := t.storage.locate()
	if err != nil {
		return err
	}
	size := int64(t.storage.dtype.size)
	length := t.storage.elements * size
	w := window{source: f.source, end: start + length, buffer: make([]byte, min(64<<10, length))}
	position, index := start+t.offset*size, int64(0)
	counters := make([]int64, len(t.axes))
	for {
		raw, err := w.at(position, size)
		if err != nil {
			return err
		}
		visit(index, raw)
		i := len(t.axes) - 1
		for ; i >= 0; i-- {
			a := t.axes[i]
			counters[i]++
			position += a.stride * size
			index += a.resultStride
			if counters[i] < a.size {
				break
			}
			counters[i] = 0
			position -= a.size * a.stride * size
			index -= a.size * a.resultStride
		}
		if i < 0 {
			return nil
		}
	}
}

// window is a part of the file, read anew when the walk leaves it.
type window struct {
	source io.ReaderAt
	end    int64 // of the storage
	start  int64
	bytes  []byte // of buffer
	buffer []byte
}

func (w *window) at(position, size int64) ([]byte, error) {
	if position < w.start || position+size > w.start+int64(len(w.bytes)) {
		w.start, w.bytes = position, w.buffer[:min(int64(len(w.buffer)), w.end-position)]
		if n, err := w.source.ReadAt(w.bytes, position); n < len(w.bytes) {
			return nil, err
		}
	}
	from := position - w.start
	return w.bytes[from : from+size], nil
}
