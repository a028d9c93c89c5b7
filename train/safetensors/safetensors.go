// Package safetensors writes and reads files of named arrays in the safetensors
// format (https://github.com/huggingface/safetensors#format): the header's length
// in 8 bytes, the header in JSON, and the arrays' bytes, all little-endian. A
// training run keeps its weights, momentum, masks and random state in such files.
package safetensors

import "fmt"

// Element is a Go type that an array can be made of: F32, F64, I32, I64, U8 and
// BOOL in the file.
type Element interface {
	float32 | float64 | int32 | int64 | uint8 | bool
}

// Info describes an array.
type Info struct {
	Name  string
	DType string // F32, F64, I32, I64, U8 or BOOL
	Shape []int  // outermost first, empty for one scalar
}

// Tensor is an array to be written. Make it with New.
type Tensor struct {
	Info
	data   any // []Element
	length int // elements
}

// New names an array in row-major order. The slices are not copied: they must not
// change before Write returns.
func New[T Element](name string, shape []int, data []T) Tensor {
	return Tensor{Info{name, dtypeOf[T](), shape}, data, len(data)}
}

func dtypeOf[T Element]() string {
	switch any(*new(T)).(type) {
	case float32:
		return "F32"
	case float64:
		return "F64"
	case int32:
		return "I32"
	case int64:
		return "I64"
	case uint8:
		return "U8"
	default:
		return "BOOL"
	}
}

// dtypes are in the order of the reference implementation, in which a file's data
// is written: larger elements first, so that each array is aligned.
var dtypes = []struct {
	name  string
	bytes int64 // of one element
}{{"I64", 8}, {"F64", 8}, {"F32", 4}, {"I32", 4}, {"U8", 1}, {"BOOL", 1}}

// rank is a dtype's index in dtypes, -1 if it is not known.
func rank(dtype string) int {
	for i, d := range dtypes {
		if d.name == dtype {
			return i
		}
	}
	return -1
}

// arrayBytes returns the size of an array; more than limit is an error.
func (i Info) arrayBytes(limit int64) (int64, error) {
	known := rank(i.DType)
	if known < 0 {
		return 0, fmt.Errorf("tensor %.80q is of type %.20q; only F32, F64, I32, I64, U8 and BOOL are supported", i.Name, i.DType)
	}
	size, empty := dtypes[known].bytes, false
	for _, n := range i.Shape {
		switch {
		case n < 0:
			return 0, fmt.Errorf("tensor %.80q has a negative dimension", i.Name)
		case n == 0:
			empty = true
		case size > limit/int64(n):
			return 0, fmt.Errorf("tensor %.80q has more than the %d bytes that there are", i.Name, limit)
		default:
			size *= int64(n)
		}
	}
	if empty {
		return 0, nil
	}
	if size > limit { // a scalar
		return 0, fmt.Errorf("tensor %.80q has more than the %d bytes that there are", i.Name, limit)
	}
	return size, nil
}

// header is the value of one array in the JSON header; the order of the fields is
// that of the reference implementation.
type header struct {
	DType   string  `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"` // begin and end in the data
}

const metadataKey = "__metadata__"

// maxHeaderBytes bounds what Open reads into memory: some 40,000 tensors.
const maxHeaderBytes = 4 << 20
