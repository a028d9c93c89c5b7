package torch

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Device is where tensors live and are computed with; the zero value is the CPU.
type Device struct {
	cuda    bool
	ordinal int
}

// ParseDevice reads "cpu", "cuda" (the first GPU) or "cuda:N".
func ParseDevice(name string) (Device, error) {
	kind, number, numbered := strings.Cut(name, ":")
	switch {
	case name == "cpu":
		return Device{}, nil
	case name == "cuda":
		return Device{cuda: true}, nil
	case kind == "cuda" && numbered:
		// libtorch counts devices in 8 bits.
		if n, err := strconv.ParseUint(number, 10, 7); err == nil {
			return Device{cuda: true, ordinal: int(n)}, nil
		}
	}
	return Device{}, fmt.Errorf("device %q: want cpu, cuda or cuda:N", name)
}

// String returns what [ParseDevice] reads.
func (d Device) String() string {
	if d.cuda {
		return "cuda:" + strconv.Itoa(d.ordinal)
	}
	return "cpu"
}

// index is the shim's number for the device.
func (d Device) index() int64 {
	if d.cuda {
		return int64(d.ordinal)
	}
	return -1
}

// Check says why the device cannot be used: libtorch, which must be loaded, sees no such GPU.
func (d Device) Check() error {
	if !d.cuda {
		return nil
	}
	switch n := shimCUDADevices(); {
	case n <= 0:
		return fmt.Errorf("device %s: libtorch %s sees no GPU; use cpu, or build packaging/build-torch-shim.sh with LIBTORCH set to the folder of a CUDA libtorch", d, shimVersion())
	case d.ordinal >= n:
		return fmt.Errorf("device %s: libtorch sees %d GPU(s), cuda:0 to cuda:%d", d, n, n-1)
	}
	return nil
}

// Options say where and how a run computes. The zero value is the CPU, all of it.
type Options struct {
	// Device is where the tensors are that the run makes.
	Device Device
	// Threads is the number of CPU threads; 0 is one for each that the process may use.
	Threads int
	// Seed begins libtorch's random numbers. There is one generator for the process: runs
	// at the same time draw from it in turn.
	Seed int64
}

// run is what the scopes of one [Library.Run] share. Only the run's goroutine uses it, save
// for lost.
type run struct {
	library *Library
	device  Device
	failure failure
	err     error // the first one

	// Buffers for one call at a time.
	args    []int64
	results []int64

	lost   lostTensors
	onLost func(*ref) // lost.add, bound once: each tensor has a reference to it
}

// lostTensors are those that the garbage collector found unreachable.
type lostTensors struct {
	any  atomic.Bool
	mu   sync.Mutex
	refs []*ref
}

func (l *lostTensors) add(r *ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refs = append(l.refs, r)
	l.any.Store(true)
}

func (l *lostTensors) take() []*ref {
	if !l.any.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	refs := l.refs
	l.refs = nil
	l.any.Store(false)
	return refs
}

// resultWords is room for two thousand tensors of four dimensions from one operator.
const resultWords = 1 << 14

// Run calls f with a new scope, the root of a tree, on the calling goroutine, which stays on
// one operating-system thread meanwhile. It returns f's error or else the first failure in
// the tree, and both where they differ. No tensor of the tree outlives the run.
func (l *Library) Run(o Options, f func(s *Scope) error) error {
	if o.Threads < 0 || o.Threads > 1<<10 {
		return fmt.Errorf("%d threads: want 0 to 1024", o.Threads)
	}
	if err := o.Device.Check(); err != nil {
		return err
	}
	// libtorch keeps the number of threads, and a pool of them, for each thread that calls it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := &run{library: l, device: o.Device, failure: newFailure(), results: make([]int64, resultWords)}
	r.onLost = r.lost.add
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if err := r.failure.setThreads(threads); err != nil {
		return fmt.Errorf("set %d threads: %w", threads, err)
	}
	root := &Scope{run: r, grad: true}
	root.Seed(o.Seed)
	defer root.close()
	err := f(root)
	switch {
	case err == nil:
		return r.err
	case r.err == nil || errors.Is(err, r.err):
		return err
	}
	return fmt.Errorf("%w; then: %w", r.err, err)
}
