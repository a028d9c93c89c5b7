package torch

/*
#cgo LDFLAGS: -ldl
#cgo noescape shim_call
#cgo nocallback shim_call
#cgo noescape shim_free
#cgo nocallback shim_free
#include <dlfcn.h>
#include <malloc.h>
#include <stddef.h>
#include "shim/shim.h"

// The library's functions; set once, before any call.
#define FUNCTIONS(X) \
	X(abi) X(version) X(cuda_devices) X(live) X(set_threads) X(seed) X(operator) X(call) \
	X(from) X(read) X(write) X(require_grad) X(backward) X(grad) X(clear_grads) X(free) \
	X(store_open) X(store_set) X(store_get) X(store_close) X(group_join) X(group_abort) \
	X(group_close) X(group_sum) X(group_broadcast) X(group_barrier) X(group_sum_of)
#define DECLARE(f) static __typeof__(rt_##f) *p_##f;
FUNCTIONS(DECLARE)

// Every training step allocates the same tensors again. Memory that goes back to the system
// in between has to be mapped and cleared anew. Only large tensors go back, for the sake of
// the peak.
static void keep_freed_memory(void) {
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 12 << 20);
	mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
}

// Returns what is wrong, or NULL.
static const char *shim_load(const char *path) {
	keep_freed_memory();
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) return dlerror();
#define FIND(f) if (!(p_##f = (__typeof__(rt_##f) *)dlsym(library, "rt_" #f))) return dlerror();
	FUNCTIONS(FIND)
	return p_abi() == RT_ABI ? NULL : "it belongs to another version of this program";
}

static const char *shim_version(void) { return p_version(); }
static int64_t shim_cuda_devices(void) { return p_cuda_devices(); }
static int64_t shim_live(void) { return p_live(); }
static int64_t shim_set_threads(int64_t n, char *e, int64_t size) { return p_set_threads(n, e, size); }
static int64_t shim_seed(int64_t seed, char *e, int64_t size) { return p_seed(seed, e, size); }
static int64_t shim_operator(const char *name, const char *overload, char *e, int64_t size) {
	return p_operator(name, overload, e, size);
}
static int64_t shim_call(int64_t op, int64_t grad, const int64_t *args, int64_t n, int64_t *out, int64_t room, char *e, int64_t size) {
	return p_call(op, grad, args, n, out, room, e, size);
}
static int64_t shim_from(const void *data, int64_t dtype, const int64_t *shape, int64_t dims, int64_t device, int64_t *out, int64_t room, char *e, int64_t size) {
	return p_from(data, dtype, shape, dims, device, out, room, e, size);
}
static int64_t shim_read(int64_t t, int64_t dtype, void *data, int64_t n, char *e, int64_t size) {
	return p_read(t, dtype, data, n, e, size);
}
static int64_t shim_write(int64_t t, int64_t dtype, const void *data, int64_t n, char *e, int64_t size) {
	return p_write(t, dtype, data, n, e, size);
}
static int64_t shim_require_grad(int64_t t, char *e, int64_t size) { return p_require_grad(t, e, size); }
static int64_t shim_backward(int64_t t, char *e, int64_t size) { return p_backward(t, e, size); }
static int64_t shim_grad(int64_t t, int64_t *out, int64_t room, char *e, int64_t size) {
	return p_grad(t, out, room, e, size);
}
static int64_t shim_clear_grads(const int64_t *ts, int64_t n, char *e, int64_t size) {
	return p_clear_grads(ts, n, e, size);
}
static void shim_free(const int64_t *ts, int64_t n) { p_free(ts, n); }

static int64_t shim_store_open(const char *host, int64_t port, int64_t serve, const char *prefix, int64_t ms, char *e, int64_t size) {
	return p_store_open(host, port, serve, prefix, ms, e, size);
}
static int64_t shim_store_set(int64_t store, const char *key, const void *value, int64_t n, char *e, int64_t size) {
	return p_store_set(store, key, value, n, e, size);
}
static int64_t shim_store_get(int64_t store, const char *key, void *value, int64_t room, char *e, int64_t size) {
	return p_store_get(store, key, value, room, e, size);
}
static void shim_store_close(int64_t store) { p_store_close(store); }
static int64_t shim_group_join(int64_t store, int64_t rank, int64_t world, int64_t device, const char *host, int64_t ms, char *e, int64_t size) {
	return p_group_join(store, rank, world, device, host, ms, e, size);
}
static void shim_group_abort(int64_t g) { p_group_abort(g); }
static void shim_group_close(int64_t g) { p_group_close(g); }
static int64_t shim_group_sum(int64_t g, const int64_t *ts, int64_t n, char *e, int64_t size) {
	return p_group_sum(g, ts, n, e, size);
}
static int64_t shim_group_broadcast(int64_t g, int64_t root, const int64_t *ts, int64_t n, char *e, int64_t size) {
	return p_group_broadcast(g, root, ts, n, e, size);
}
static int64_t shim_group_barrier(int64_t g, char *e, int64_t size) { return p_group_barrier(g, e, size); }
static int64_t shim_group_sum_of(int64_t g, int64_t grad, int64_t t, int64_t *out, int64_t room, char *e, int64_t size) {
	return p_group_sum_of(g, grad, t, out, room, e, size);
}
*/
import "C"

import (
	"bytes"
	"errors"
	"unsafe"
)

// The kinds of arguments, as the shim encodes them.
const (
	kindNone    = C.RT_NONE
	kindTensor  = C.RT_TENSOR
	kindInt     = C.RT_INT
	kindFloat   = C.RT_FLOAT
	kindBool    = C.RT_BOOL
	kindString  = C.RT_STRING
	kindDevice  = C.RT_DEVICE
	kindTensors = C.RT_TENSORS
	kindInts    = C.RT_INTS
	kindFloats  = C.RT_FLOATS
	kindBools   = C.RT_BOOLS
)

func shimLoad(path string) error {
	if e := C.shim_load(chars(append([]byte(path), 0))); e != nil {
		return errors.New(C.GoString(e))
	}
	return nil
}

func shimVersion() string  { return C.GoString(C.shim_version()) }
func shimCUDADevices() int { return int(C.shim_cuda_devices()) }
func shimLive() int        { return int(C.shim_live()) }
func shimFree(ts []int64)  { C.shim_free(words(ts), size(ts)) }

// failure is the buffer for the shim's messages.
type failure []byte

func newFailure() failure { return make(failure, 4096) }

// err returns the message if a call returned -1.
func (f failure) err(result C.int64_t) error {
	if result >= 0 {
		return nil
	}
	text, _, _ := bytes.Cut(f, []byte{0})
	return errors.New(string(text))
}

func (f failure) setThreads(n int) error {
	return f.err(C.shim_set_threads(C.int64_t(n), chars(f), size(f)))
}

func (f failure) seed(seed int64) error {
	return f.err(C.shim_seed(C.int64_t(seed), chars(f), size(f)))
}

func (f failure) operator(name, overload string) (int64, error) {
	n, o := append([]byte(name), 0), append([]byte(overload), 0)
	op := C.shim_operator(chars(n), chars(o), chars(f), size(f))
	return int64(op), f.err(op)
}

func (f failure) call(op int64, grad bool, args []int64, count int, out []int64) (int, error) {
	n := C.shim_call(C.int64_t(op), C.int64_t(bit(grad)), words(args), C.int64_t(count), words(out), size(out), chars(f), size(f))
	return int(n), f.err(n)
}

func (f failure) from(data unsafe.Pointer, d DType, shape []int64, dev Device, out []int64) (int, error) {
	n := C.shim_from(data, C.int64_t(d), words(shape), size(shape), C.int64_t(dev.index()), words(out), size(out), chars(f), size(f))
	return int(n), f.err(n)
}

func (f failure) read(t int64, d DType, data unsafe.Pointer, n int) error {
	return f.err(C.shim_read(C.int64_t(t), C.int64_t(d), data, C.int64_t(n), chars(f), size(f)))
}

func (f failure) write(t int64, d DType, data unsafe.Pointer, n int) error {
	return f.err(C.shim_write(C.int64_t(t), C.int64_t(d), data, C.int64_t(n), chars(f), size(f)))
}

func (f failure) requireGrad(t int64) error {
	return f.err(C.shim_require_grad(C.int64_t(t), chars(f), size(f)))
}

func (f failure) backward(t int64) error {
	return f.err(C.shim_backward(C.int64_t(t), chars(f), size(f)))
}

func (f failure) grad(t int64, out []int64) (int, error) {
	n := C.shim_grad(C.int64_t(t), words(out), size(out), chars(f), size(f))
	return int(n), f.err(n)
}

func (f failure) clearGrads(ts []int64) error {
	return f.err(C.shim_clear_grads(words(ts), size(ts), chars(f), size(f)))
}

func (f failure) storeOpen(host string, port int, serve bool, prefix string, ms int64) (int64, error) {
	h, p := append([]byte(host), 0), append([]byte(prefix), 0)
	n := C.shim_store_open(chars(h), C.int64_t(port), C.int64_t(bit(serve)), chars(p), C.int64_t(ms), chars(f), size(f))
	return int64(n), f.err(n)
}

func (f failure) storeSet(store int64, key string, value []byte) error {
	k := append([]byte(key), 0)
	return f.err(C.shim_store_set(C.int64_t(store), chars(k), unsafe.Pointer(unsafe.SliceData(value)), size(value), chars(f), size(f)))
}

func (f failure) storeGet(store int64, key string, value []byte) (int, error) {
	k := append([]byte(key), 0)
	n := C.shim_store_get(C.int64_t(store), chars(k), unsafe.Pointer(unsafe.SliceData(value)), size(value), chars(f), size(f))
	return int(n), f.err(n)
}

func (f failure) groupJoin(store int64, rank, world int, d Device, host string, ms int64) (int64, error) {
	h := append([]byte(host), 0)
	n := C.shim_group_join(C.int64_t(store), C.int64_t(rank), C.int64_t(world), C.int64_t(d.index()), chars(h), C.int64_t(ms), chars(f), size(f))
	return int64(n), f.err(n)
}

func (f failure) groupSum(group int64, ts []int64) error {
	return f.err(C.shim_group_sum(C.int64_t(group), words(ts), size(ts), chars(f), size(f)))
}

func (f failure) groupBroadcast(group int64, root int, ts []int64) error {
	return f.err(C.shim_group_broadcast(C.int64_t(group), C.int64_t(root), words(ts), size(ts), chars(f), size(f)))
}

func (f failure) groupBarrier(group int64) error {
	return f.err(C.shim_group_barrier(C.int64_t(group), chars(f), size(f)))
}

func (f failure) groupSumOf(group int64, grad bool, t int64, out []int64) (int, error) {
	n := C.shim_group_sum_of(C.int64_t(group), C.int64_t(bit(grad)), C.int64_t(t), words(out), size(out), chars(f), size(f))
	return int(n), f.err(n)
}

func shimStoreClose(store int64) { C.shim_store_close(C.int64_t(store)) }
func shimGroupAbort(group int64) { C.shim_group_abort(C.int64_t(group)) }
func shimGroupClose(group int64) { C.shim_group_close(C.int64_t(group)) }

func chars[S ~[]byte](b S) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }
func words(w []int64) *C.int64_t   { return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(w))) }
func size[S ~[]E, E any](s S) C.int64_t {
	return C.int64_t(len(s))
}
