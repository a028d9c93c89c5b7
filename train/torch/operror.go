package torch

import (
	"reflect"
	"strconv"
	"strings"
)

// OpError is a failure of an operator.
type OpError struct {
	// Op is the operator: one of libtorch's, such as "conv2d", or a method of [Scope].
	Op string
	// Args are its arguments: values, and tensors as type and shape.
	Args []string
	// Err is libtorch's message, or that of this package.
	Err error
}

// Error returns the failed call and the reason, in one line.
func (e *OpError) Error() string {
	return e.Op + "(" + strings.Join(e.Args, ", ") + "): " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *OpError) Unwrap() error { return e.Err }

// fail keeps the failure of an operator; a nil err is none.
func (s *Scope) fail(op string, args []any, err error) {
	if err == nil || s.run.err != nil {
		return
	}
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = describe(a)
	}
	s.run.err = &OpError{Op: strings.Clone(op), Args: texts, Err: err}
}

// describe returns an argument's text. It must not let the argument escape to the heap, or
// every call would allocate its arguments: no fmt here, and no functions of the elements
// but closures.
func describe(argument any) string {
	switch a := argument.(type) {
	case nil:
		return "none"
	case *Tensor:
		return a.describe()
	case []*Tensor:
		return describeList(len(a), func(i int) string { return a[i].describe() })
	case int:
		return strconv.Itoa(a)
	case []int:
		return describeInts(a)
	case float64:
		return describeFloat(a)
	case []float64:
		return describeList(len(a), func(i int) string { return describeFloat(a[i]) })
	case bool:
		return strconv.FormatBool(a)
	case []bool:
		return describeList(len(a), func(i int) string { return strconv.FormatBool(a[i]) })
	case string:
		return strconv.Quote(a)
	case DType:
		return a.String()
	case Device:
		return a.String()
	}
	return reflect.TypeOf(argument).String()
}

func describeFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func describeInts(list []int) string {
	return describeList(len(list), func(i int) string { return strconv.Itoa(list[i]) })
}

// describeList shortens long lists: an optimiser passes hundreds of tensors.
func describeList(n int, element func(i int) string) string {
	const shown = 6
	var texts []string
	for i := range min(n, shown) {
		texts = append(texts, element(i))
	}
	if n > shown {
		texts = append(texts, "… "+strconv.Itoa(n))
	}
	return "[" + strings.Join(texts, " ") + "]"
}
