// The C ABI between Go and TensorRT. It has enums of its own: TensorRT numbers its own anew
// with every major version. Shims that are compiled for different majors have the same ABI.
//
// Functions that return a nvi_status write one line of text into `error` when they fail: what
// was tried, and the last errors that TensorRT logged meanwhile. C++ exceptions never leave
// the shim. A library and an engine belong to one thread at a time.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// NVI_ABI changes whenever anything below does.
#define NVI_ABI 3

typedef enum {
  NVI_OK = 0,
  NVI_MISSING = 1,    // a library, or a function in it, is not there
  NVI_VERSION = 2,    // the library is of another major version than the shim
  NVI_DEVICE = 3,     // there is no GPU, or its driver does not answer
  NVI_MODEL = 4,      // the ONNX file cannot be read or built
  NVI_PLAN = 5,       // the plan is damaged, or of another version or GPU
  NVI_MEMORY = 6,     // no memory
  NVI_CANCELLED = 7,  // the progress function said so
  NVI_RUN = 8,        // an inference failed; the next may succeed
  NVI_BROKEN = 9,     // CUDA answers nothing any more until the process starts anew
  NVI_USE = 10,       // an argument makes no sense
} nvi_status;

typedef struct {
  char* text;
  size_t size;
} nvi_error;

// Text or bytes that the shim has allocated; released with nvi_free.
typedef struct {
  void* data;
  size_t size;
} nvi_bytes;

typedef struct nvi_library nvi_library;
typedef struct nvi_engine nvi_engine;

#pragma GCC visibility push(default)  // all else of a shim stays inside

int32_t nvi_abi(void);
int32_t nvi_major(void);  // of the TensorRT that the shim was compiled for
void nvi_free(nvi_bytes bytes);

// Loads TensorRT and CUDA, wherever the dynamic loader finds them.
nvi_status nvi_open(nvi_library** library, nvi_error error);
void nvi_close(nvi_library* library);

typedef struct {
  int32_t tensorrt[3];  // major, minor, patch of the loaded library
  int32_t cuda;         // of the runtime, 1000 * major + 10 * minor
  int32_t capability;   // of the GPU, 10 * major + minor
  int32_t processors;   // streaming multiprocessors
  int32_t integrated;   // 1 where GPU and CPU share the memory
  char name[256];       // of the GPU
} nvi_device;

nvi_status nvi_describe(nvi_library* library, nvi_device* device, nvi_error error);

// What a build's numbers may be where the model does not fix them. Models with FP16 and Q/DQ
// in them are strongly typed, the only kind that TensorRT 11 knows.
enum { NVI_TYPED = 0, NVI_FP16 = 1, NVI_INT8 = 2 };

typedef struct {
  const void* model;
  size_t model_size;
  int32_t precision;           // NVI_TYPED, or other flags combined
  int32_t holds;               // flags of the types in the model, which TensorRT 8 has to be allowed
  int32_t optimisation_level;  // 0 to 5
  int32_t detailed;            // keep what nvi_inspect shows of each layer
  uint64_t workspace;          // bytes of scratch memory; 0 leaves it to TensorRT
  const void* timing_cache;    // of an earlier build; one that does not fit is left alone
  size_t timing_cache_size;
  // Called from any thread with the steps done of a phase; phases may lie in others, and
  // parent is empty for the outermost. `done` equals `steps` when it ends. 0 cancels the
  // build. NULL for none; TensorRT 8 does not call it.
  int32_t (*progress)(void* user, const char* phase, const char* parent, int32_t done, int32_t steps);
  void* user;
} nvi_build;

// Builds a plan for this GPU, and returns the timing cache for the next build.
nvi_status nvi_make(nvi_library* library, const nvi_build* build, nvi_bytes* plan, nvi_bytes* timing_cache, nvi_error error);

// Loads a plan, allocates its inputs and outputs in memory that CPU and GPU share, and runs it
// once. Later runs replay a CUDA graph; where the capture is refused, they do not.
nvi_status nvi_load(nvi_library* library, const void* plan, size_t size, nvi_engine** engine, nvi_error error);
void nvi_unload(nvi_engine* engine);

typedef enum { NVI_FLOAT32 = 1, NVI_FLOAT16 = 2, NVI_UINT8 = 3, NVI_INT8_TYPE = 4, NVI_INT32 = 5, NVI_OTHER = 6 } nvi_type;

typedef struct {
  const char* name;  // lives as long as the engine
  nvi_type type;
  int32_t input;  // 1, or 0 for an output
  int32_t dims;
  int64_t shape[8];
  void* data;  // what the CPU reads and writes between runs
  size_t size;
} nvi_tensor;

int32_t nvi_tensors(nvi_engine* engine);
nvi_tensor nvi_tensor_at(nvi_engine* engine, int32_t i);

// Formats of frames: packed blue, green, red; YUYV; NV12.
enum { NVI_BGR = 0, NVI_YUYV = 1, NVI_NV12 = 2 };

// Takes the kernel that scales frames on the GPU, as nvcc has compiled it.
nvi_status nvi_scaling(nvi_engine* engine, const void* code, size_t size, nvi_error error);

// Makes room for a frame in memory that CPU and GPU share, or takes that of an earlier call for
// frames of the same kind. From then on, runs scale what is there into the engine's input. Room is
// kept for eight kinds, whose memory stays where it is until there are more. NVI_USE where frames of this size have to be scaled by the CPU; then,
// and with a width of 0, the input is what the CPU writes.
nvi_status nvi_frame(nvi_engine* engine, int32_t width, int32_t height, int32_t format, void** data, size_t* size, nvi_error error);

// 1 if runs replay a CUDA graph. Otherwise `reason` is why not.
int32_t nvi_captured(nvi_engine* engine, nvi_error reason);

// Computes the outputs, and returns when they are there.
nvi_status nvi_run(nvi_engine* engine, nvi_error error);

// Runs so many times without the graph, and calls each with the milliseconds of each layer; runs
// count from 0.
nvi_status nvi_profile(nvi_engine* engine, int32_t runs, void (*each)(void* user, int32_t run, const char* layer, float ms), void* user, nvi_error error);

// The engine's layers as JSON.
nvi_status nvi_inspect(nvi_engine* engine, nvi_bytes* json, nvi_error error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
