package torch

import (
	"errors"
	"math"
	"reflect"
)

// Call calls one of libtorch's "aten" operators, by its schema's name and overload, such as
// "bmm" or "add.Tensor", and returns its first result, nil if there is none. Keyword arguments
// follow the positional ones in the schema's order; those left off take their defaults.
// Arguments are
//
//	*Tensor, or nil for none    Tensor
//	[]*Tensor                   Tensor[]
//	int, float64, bool          int, float, bool and Scalar; for formats, libtorch's number
//	[]int, []float64, []bool    lists of them
//	string, [DType], [Device]   themselves
//	nil                         none
//
// Results that are views of an argument, or the argument itself, are tensors of their own
// upon the same memory. Numbers returned become tensors without dimensions.
func (s *Scope) Call(op string, args ...any) *Tensor {
	n := s.invoke(op, args, s.run.results)
	var first *Tensor
	rest := s.run.results
	for i := range n {
		var t *Tensor
		if t, rest = s.adopt(rest); i == 0 {
			first = t
		} else {
			s.Free(t)
		}
	}
	return first
}

// do is Call for what an operator does to an argument.
func (s *Scope) do(op string, args ...any) { s.invoke(op, args, nil) }

// invoke calls an operator and returns the number of results.
func (s *Scope) invoke(op string, args []any, results []int64) int {
	if !s.ready(op) {
		return 0
	}
	r := s.run
	handle, err := r.library.operator(op, r.failure)
	if err != nil {
		s.fail(op, args, err)
		return 0
	}
	r.args = r.args[:0]
	for _, a := range args {
		if err := s.encode(a); err != nil {
			s.fail(op, args, err)
			return 0
		}
	}
	n, err := r.failure.call(handle, s.grad, r.args, len(args), results)
	if err != nil {
		s.fail(op, args, err)
		return 0
	}
	return n
}

// encode appends one argument as the shim reads it.
func (s *Scope) encode(argument any) error {
	switch a := argument.(type) {
	case nil:
		s.put(kindNone)
	case *Tensor:
		h, err := s.handleOf(a)
		if err != nil {
			return err
		}
		if h == 0 {
			s.put(kindNone)
		} else {
			s.put(kindTensor, h)
		}
	case []*Tensor:
		return s.encodeTensors(a)
	case int:
		s.put(kindInt, int64(a))
	case DType:
		s.put(kindInt, int64(a))
	case float64:
		s.put(kindFloat, int64(math.Float64bits(a)))
	case bool:
		s.put(kindBool, bit(a))
	case Device:
		s.put(kindDevice, a.index())
	case string:
		s.encodeString(a)
	case []int:
		encodeList(s, kindInts, a, func(n int) int64 { return int64(n) })
	case []float64:
		encodeList(s, kindFloats, a, func(f float64) int64 { return int64(math.Float64bits(f)) })
	case []bool:
		encodeList(s, kindBools, a, bit)
	default:
		return errors.New("there is no way to pass a " + reflect.TypeOf(argument).String())
	}
	return nil
}

func (s *Scope) put(words ...int64) { s.run.args = append(s.run.args, words...) }

func (s *Scope) encodeTensors(ts []*Tensor) error {
	s.put(kindTensors, int64(len(ts)))
	for _, t := range ts {
		h, err := s.handleOf(t)
		if err != nil {
			return err
		}
		s.put(h)
	}
	return nil
}

func encodeList[E any](s *Scope, kind int64, list []E, word func(E) int64) {
	s.put(kind, int64(len(list)))
	for _, e := range list {
		s.put(word(e))
	}
}

// encodeString packs the bytes into words, in the order of a little-endian machine's memory.
func (s *Scope) encodeString(text string) {
	s.put(kindString, int64(len(text)))
	for ; len(text) > 0; text = text[min(8, len(text)):] {
		word := uint64(0)
		for i := range min(8, len(text)) {
			word |= uint64(text[i]) << (8 * i)
		}
		s.put(int64(word))
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
