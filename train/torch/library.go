// Package torch is libtorch for Go: tensors, operators and reverse-mode differentiation.
//
// The library is loaded by [Load], never linked: programs that import this package build and
// start without it. Everything happens inside [Library.Run], on one goroutine and one
// operating-system thread, in a tree of scopes that own the tensors made in them. Operators
// are methods of [Scope]; errors are sticky, so that code reads like the mathematics:
//
//	err = library.Run(torch.Options{}, func(s *torch.Scope) error {
//		x := s.FromFloat32(pixels, 1, 3, height, width)
//		y := s.Softmax(s.Conv2D(x, weight, nil, torch.Conv{Stride: 2}), 1)
//		labels = s.Int64s(s.Argmax(y, 1))
//		return s.Err()
//	})
//
// Several runs may go on at a time, on goroutines of their own; they share no tensors.
package torch

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/robustnet-edge/robustnet/internal/library"
)

// ErrLibrary is wrapped when libtorch cannot be loaded.
var ErrLibrary = errors.New("libtorch cannot be loaded")

const (
	libraryName     = "librobustnet-torch.so"
	libraryVariable = "ROBUSTNET_TORCH_LIBRARY"
	// nextStep ends every error about the library.
	nextStep = "run `make setup`, or install libtorch-dev and libopenblas0-pthread, run packaging/build-torch-shim.sh, and name its " + libraryName + " in " + libraryVariable
)

// Library is libtorch. It stays loaded for the life of the process; all methods may be
// called at any time from any goroutine.
type Library struct {
	path string

	mu        sync.Mutex
	operators map[string]int64
}

// loaded is the process's libtorch, which cannot be loaded twice.
var loaded struct {
	sync.Mutex
	library *Library
}

// Load returns libtorch. The path is that of librobustnet-torch.so; empty looks for it in
// the environment variable ROBUSTNET_TORCH_LIBRARY, beside the program, in lib/ beside it
// and in /usr/lib/robustnet. Later calls return the same library, or an error where they
// name another one. Errors wrap [ErrLibrary] and say what to install.
//
// From then on the C library's malloc keeps freed memory for the whole process, between runs
// too, save blocks of 12 MiB or more: each training step allocates the same tensors again,
// and the system would have to map and clear their memory anew.
func Load(path string) (*Library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	l := loaded.library
	if l != nil && (path == "" || path == l.path) {
		return l, nil
	}
	if l != nil {
		return nil, fmt.Errorf("%w from %s: %s is in use", ErrLibrary, path, l.path)
	}
	path, err := findLibrary(path)
	if err != nil {
		return nil, err
	}
	if err := shimLoad(path); err != nil {
		return nil, fmt.Errorf("%w from %s: %w; %s", ErrLibrary, path, err, nextStep)
	}
	loaded.library = &Library{path: path, operators: map[string]int64{}}
	return loaded.library, nil
}

func findLibrary(wanted string) (string, error) {
	given, err := library.Given(wanted, libraryVariable)
	if err != nil {
		return "", fmt.Errorf("%w: %w; %s", ErrLibrary, err, nextStep)
	}
	if given != "" {
		return given, nil
	}
	if path := library.Find(libraryName); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%w: no %s in %s; %s", ErrLibrary, libraryName, library.Folders(), nextStep)
}

// Version returns the version of libtorch that the library was compiled against.
func (l *Library) Version() string { return shimVersion() }

// HasCUDA tells whether this libtorch can compute on a GPU, and there is one.
func (l *Library) HasCUDA() bool { return shimCUDADevices() > 0 }

// Live returns the number of tensors that were not freed, of all runs.
func (l *Library) Live() int { return shimLive() }

// operator returns the handle of one of libtorch's "aten" operators by its schema's name,
// such as "bmm" or "add.Tensor".
func (l *Library) operator(name string, f failure) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if op, ok := l.operators[name]; ok {
		return op, nil
	}
	base, overload, _ := strings.Cut(name, ".")
	op, err := f.operator("aten::"+base, overload)
	if err != nil {
		return 0, err
	}
	l.operators[strings.Clone(name)] = op
	return op, nil
}
