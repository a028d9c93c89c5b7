package nvinfer

/*
#cgo LDFLAGS: -ldl
#cgo noescape call_run
#cgo nocallback call_run
#cgo noescape call_frame
#cgo nocallback call_frame
#include <dlfcn.h>
#include <stdlib.h>
#include "shim/shim.h"

// What a shim offers. There is one shim for every major version of TensorRT; the first that
// finds its TensorRT is used.
#define FUNCTIONS(X) \
	X(abi) X(major) X(free) X(open) X(close) X(describe) X(make) X(load) X(unload) X(tensors) \
	X(tensor_at) X(scaling) X(frame) X(captured) X(run) X(profile) X(inspect)
#define DECLARE(f) __typeof__(nvi_##f) *f;
typedef struct { FUNCTIONS(DECLARE) } shim;

// Returns what is wrong, or NULL.
static const char *shim_load(shim *s, const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) return dlerror();
#define FIND(f) if (!(s->f = (__typeof__(nvi_##f) *)dlsym(library, "nvi_" #f))) return dlerror();
	FUNCTIONS(FIND)
	return s->abi() == NVI_ABI ? NULL : "it belongs to another version of this program";
}

extern int32_t nvinferProgress(uintptr_t, char *, char *, int32_t, int32_t);
extern void nvinferLayer(uintptr_t, int32_t, char *, float);

static int32_t pass_progress(void *user, const char *phase, const char *parent, int32_t done, int32_t steps) {
	return nvinferProgress((uintptr_t)user, (char *)phase, (char *)parent, done, steps);
}
static void pass_layer(void *user, int32_t run, const char *layer, float ms) {
	nvinferLayer((uintptr_t)user, run, (char *)layer, ms);
}

static void call_free(shim *s, nvi_bytes b) { s->free(b); }
static nvi_status call_open(shim *s, nvi_library **l, nvi_error e) { return s->open(l, e); }
static void call_close(shim *s, nvi_library *l) { s->close(l); }
static nvi_status call_describe(shim *s, nvi_library *l, nvi_device *d, nvi_error e) { return s->describe(l, d, e); }
static nvi_status call_make(shim *s, nvi_library *l, nvi_build b, uintptr_t user, nvi_bytes *plan, nvi_bytes *timings, nvi_error e) {
	b.progress = pass_progress;
	b.user = (void *)user;
	return s->make(l, &b, plan, timings, e);
}
static nvi_status call_load(shim *s, nvi_library *l, const void *plan, size_t size, nvi_engine **g, nvi_error e) {
	return s->load(l, plan, size, g, e);
}
static void call_unload(shim *s, nvi_engine *g) { s->unload(g); }
static int32_t call_tensors(shim *s, nvi_engine *g) { return s->tensors(g); }
static nvi_tensor call_tensor_at(shim *s, nvi_engine *g, int32_t i) { return s->tensor_at(g, i); }
static nvi_status call_scaling(shim *s, nvi_engine *g, const void *code, size_t size, nvi_error e) { return s->scaling(g, code, size, e); }
static nvi_status call_frame(shim *s, nvi_engine *g, int32_t width, int32_t height, int32_t format, void **data, size_t *size, nvi_error e) {
	return s->frame(g, width, height, format, data, size, e);
}
static int32_t call_captured(shim *s, nvi_engine *g, nvi_error reason) { return s->captured(g, reason); }
static nvi_status call_run(shim *s, nvi_engine *g, char *text, size_t size) {
	nvi_error e = {text, size};
	return s->run(g, e);
}
static nvi_status call_profile(shim *s, nvi_engine *g, int32_t runs, uintptr_t user, nvi_error e) {
	return s->profile(g, runs, pass_layer, (void *)user, e);
}
static nvi_status call_inspect(shim *s, nvi_engine *g, nvi_bytes *json, nvi_error e) { return s->inspect(g, json, e); }
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// native is TensorRT behind a shim.
type native struct {
	shim    *C.shim // on the C heap
	library *C.nvi_library
	text    errorText
}

// nativeEngine is an engine of it.
type nativeEngine struct {
	of     *native
	engine *C.nvi_engine
}

// errorText is where the shim writes what went wrong, on the C heap: one call uses it at a time.
type errorText struct{ text *C.char }

const errorBytes = 4096

func newErrorText() errorText { return errorText{(*C.char)(C.calloc(1, errorBytes))} }
func (e errorText) c() C.nvi_error {
	*e.text = 0
	return C.nvi_error{e.text, errorBytes}
}
func (e errorText) free() { C.free(unsafe.Pointer(e.text)) }

// err is the error of a status.
func (e errorText) err(status C.nvi_status) error {
	if status == C.NVI_OK { // first, as runs must not allocate
		return nil
	}
	kind, ok := map[C.nvi_status]error{
		C.NVI_MISSING: ErrMissing, C.NVI_VERSION: ErrMissing, C.NVI_DEVICE: ErrDevice, C.NVI_MODEL: ErrModel, C.NVI_PLAN: ErrPlan,
		C.NVI_MEMORY: ErrMemory, C.NVI_CANCELLED: ErrCancelled, C.NVI_RUN: ErrRun, C.NVI_BROKEN: ErrBroken, C.NVI_USE: errUse,
	}[status]
	said := strings.Join(strings.Fields(C.GoString(e.text)), " ")
	if !ok {
		return errors.New(said)
	}
	return fmt.Errorf("%w: %s", kind, said)
}

// loadShim loads a shim, which stays loaded, and the TensorRT that it is for.
func loadShim(path string) (*native, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	n := &native{shim: (*C.shim)(C.calloc(1, C.sizeof_shim)), text: newErrorText()}
	if said := C.shim_load(n.shim, name); said != nil {
		err := errors.New(C.GoString(said))
		n.close()
		return nil, err
	}
	if err := n.text.err(C.call_open(n.shim, &n.library, n.text.c())); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *native) close() {
	if n.library != nil {
		C.call_close(n.shim, n.library)
		n.library = nil
	}
	C.free(unsafe.Pointer(n.shim))
	n.text.free()
}

func (n *native) describe() (Device, error) {
	var d C.nvi_device
	if err := n.text.err(C.call_describe(n.shim, n.library, &d, n.text.c())); err != nil {
		return Device{}, err
	}
	return Device{
		TensorRT:   fmt.Sprintf("%d.%d.%d", d.tensorrt[0], d.tensorrt[1], d.tensorrt[2]),
		CUDA:       fmt.Sprintf("%d.%d", d.cuda/1000, d.cuda%1000/10),
		GPU:        C.GoString(&d.name[0]),
		Capability: fmt.Sprintf("%d.%d", d.capability/10, d.capability%10),
		Processors: int(d.processors),
		Integrated: d.integrated != 0,
	}, nil
}

// make builds a plan.
func (n *native) make(model []byte, holds int, o BuildOptions, p *progress) (plan, timings []byte, err error) {
	handle := cgo.NewHandle(p)
	defer handle.Delete()
	b := C.nvi_build{model_size: C.size_t(len(model)), precision: C.int32_t(o.precision(holds)), holds: C.int32_t(holds), optimisation_level: C.int32_t(o.Level),
		workspace: C.uint64_t(o.WorkspaceBytes), timing_cache_size: C.size_t(len(o.TimingCache))}
	if o.Detailed {
		b.detailed = 1
	}
	// What C keeps for the time of the call is C's own.
	if b.model = C.CBytes(model); len(o.TimingCache) > 0 {
		b.timing_cache = C.CBytes(o.TimingCache)
	}
	defer C.free(unsafe.Pointer(b.model))
	defer C.free(unsafe.Pointer(b.timing_cache))
	var made, kept C.nvi_bytes
	if err := n.text.err(C.call_make(n.shim, n.library, b, C.uintptr_t(handle), &made, &kept, n.text.c())); err != nil {
		return nil, nil, err
	}
	return n.take(made), n.take(kept), nil
}

// take copies what the shim has allocated, and frees it.
func (n *native) take(b C.nvi_bytes) []byte {
	defer C.call_free(n.shim, b)
	return append([]byte(nil), unsafe.Slice((*byte)(b.data), int(b.size))...)
}

func (n *native) load(plan []byte) (*nativeEngine, error) {
	g := &nativeEngine{of: n}
	status := C.call_load(n.shim, n.library, unsafe.Pointer(unsafe.SliceData(plan)), C.size_t(len(plan)), &g.engine, n.text.c())
	if err := n.text.err(status); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *nativeEngine) close() { C.call_unload(g.of.shim, g.engine) }

// The types of tensors.
const (
	typeFloat32 = C.NVI_FLOAT32
	typeUint8   = C.NVI_UINT8
)

// tensor is an input or output; its memory is the engine's.
type tensor struct {
	name   string
	kind   int
	input  bool
	shape  []int64
	memory unsafe.Pointer
	bytes  int
}

func (g *nativeEngine) tensors() []tensor {
	var all []tensor
	for i := range C.call_tensors(g.of.shim, g.engine) {
		t := C.call_tensor_at(g.of.shim, g.engine, i)
		v := tensor{name: C.GoString(t.name), kind: int(t._type), input: t.input != 0, memory: t.data, bytes: int(t.size)}
		for _, d := range t.shape[:t.dims] {
			v.shape = append(v.shape, int64(d))
		}
		all = append(all, v)
	}
	return all
}

// scaling takes the kernel that scales frames on the GPU.
func (g *nativeEngine) scaling(code []byte) error {
	return g.of.text.err(C.call_scaling(g.of.shim, g.engine, unsafe.Pointer(unsafe.SliceData(code)), C.size_t(len(code)), g.of.text.c()))
}

// The formats of frames.
const (
	formatBGR  = C.NVI_BGR
	formatYUYV = C.NVI_YUYV
	formatNV12 = C.NVI_NV12
)

// frame makes room for frames of a size and format, which runs then scale on the GPU; errUse where
// they have to be scaled by the CPU.
func (g *nativeEngine) frame(width, height, format int) ([]byte, error) {
	var data unsafe.Pointer
	var size C.size_t
	if err := g.of.text.err(C.call_frame(g.of.shim, g.engine, C.int32_t(width), C.int32_t(height), C.int32_t(format), &data, &size, g.of.text.c())); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(data), int(size)), nil
}

// captured tells whether runs replay a CUDA graph, or why not.
func (g *nativeEngine) captured() (ok bool, reason string) {
	ok = C.call_captured(g.of.shim, g.engine, g.of.text.c()) != 0
	return ok, C.GoString(g.of.text.text)
}

func (g *nativeEngine) run() error {
	*g.of.text.text = 0
	if status := C.call_run(g.of.shim, g.engine, g.of.text.text, errorBytes); status != C.NVI_OK {
		return g.of.text.err(status)
	}
	return nil
}

func (g *nativeEngine) profile(runs int, p *profile) error {
	handle := cgo.NewHandle(p)
	defer handle.Delete()
	return g.of.text.err(C.call_profile(g.of.shim, g.engine, C.int32_t(runs), C.uintptr_t(handle), g.of.text.c()))
}

func (g *nativeEngine) inspect() ([]byte, error) {
	var json C.nvi_bytes
	if err := g.of.text.err(C.call_inspect(g.of.shim, g.engine, &json, g.of.text.c())); err != nil {
		return nil, err
	}
	return g.of.take(json), nil
}
