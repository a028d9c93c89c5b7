// The C ABI between Go and libtorch. Plain 64-bit integers and pointers only; no state but
// libtorch's own, so that any thread may call any function.
//
// A tensor is a handle: the address of an at::Tensor on the C++ heap, released with
// rt_free. Functions with an `error` buffer return -1 and one line of text there when they
// fail; C++ exceptions never leave the shim.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// RT_ABI changes whenever a signature or an encoding below does.
#define RT_ABI 1

// An argument is a kind and its words:
enum rt_kind {
  RT_NONE = 0,     //
  RT_DEFAULT = 1,  // the operator's own default
  RT_TENSOR = 2,   // handle
  RT_INT = 3,      // value
  RT_FLOAT = 4,    // bits of a double
  RT_BOOL = 5,     // 0 or 1
  RT_STRING = 6,   // length in bytes, then the bytes, padded to words
  RT_DEVICE = 7,   // -1 for the CPU, or the index of a CUDA device
  RT_TENSORS = 8,  // count, then handles; 0 is no tensor
  RT_INTS = 9,     // count, then values
  RT_FLOATS = 10,  // count, then bits
  RT_BOOLS = 11,   // count, then 0 or 1
};

// Results are written to `out`, which has room for `room` words. A result is its handle,
// its c10::ScalarType, its number of dimensions and its dimensions; an undefined tensor is
// three zeros.

int64_t rt_abi(void);
const char* rt_version(void);
int64_t rt_cuda_devices(void);
int64_t rt_live(void);  // handles that were not released

// The number of CPU threads belongs to the calling thread, the seed to the process.
int64_t rt_set_threads(int64_t threads, char* error, int64_t error_size);
int64_t rt_seed(int64_t seed, char* error, int64_t error_size);

// Returns an operator for rt_call, valid for ever; `name` is such as "aten::add",
// `overload` such as "Tensor" or empty.
int64_t rt_operator(const char* name, const char* overload, char* error, int64_t error_size);

// Calls an operator, recorded for autograd if `grad`, with `count` arguments, the rest being
// defaults. Returns the number of results; with no room they are dropped.
int64_t rt_call(int64_t op, int64_t grad, const int64_t* arguments, int64_t count, int64_t* out,
                int64_t room, char* error, int64_t error_size);

// Makes a tensor on a device out of contiguous data in the host's memory.
int64_t rt_from(const void* data, int64_t dtype, const int64_t* shape, int64_t dims,
                int64_t device, int64_t* out, int64_t room, char* error, int64_t error_size);

// Copies out all elements, converted to dtype, in order; `count` must be their number.
int64_t rt_read(int64_t tensor, int64_t dtype, void* data, int64_t count, char* error,
                int64_t error_size);

// Overwrites all elements, converted from dtype, unseen by autograd.
int64_t rt_write(int64_t tensor, int64_t dtype, const void* data, int64_t count, char* error,
                 int64_t error_size);

int64_t rt_require_grad(int64_t tensor, char* error, int64_t error_size);
int64_t rt_backward(int64_t loss, char* error, int64_t error_size);
int64_t rt_grad(int64_t tensor, int64_t* out, int64_t room, char* error, int64_t error_size);
int64_t rt_clear_grads(const int64_t* tensors, int64_t count, char* error, int64_t error_size);

void rt_free(const int64_t* tensors, int64_t count);

// A group of processes exchanges tensors; its members find each other through a store, a
// table of texts that one of them serves. Without c10d in libtorch both fail to open.
// Stores and groups are handles of their own, released with rt_store_close and
// rt_group_close.

// Connects to the store at host and port, serving it first if `serve`. Keys begin with prefix.
int64_t rt_store_open(const char* host, int64_t port, int64_t serve, const char* prefix,
                      int64_t timeout_ms, char* error, int64_t error_size);
int64_t rt_store_set(int64_t store, const char* key, const void* value, int64_t size, char* error,
                     int64_t error_size);

// Returns the size of the value, of which as much is copied as there is room for; 0 while the
// key is not set.
int64_t rt_store_get(int64_t store, const char* key, void* value, int64_t room, char* error,
                     int64_t error_size);
void rt_store_close(int64_t store);

// Returns once all members have connected to each other. `host` is the address of this machine
// at which the others reach it; GPUs find their own way.
int64_t rt_group_join(int64_t store, int64_t rank, int64_t world, int64_t device, const char* host,
                      int64_t timeout_ms, char* error, int64_t error_size);

// Makes collective operations fail from now on, those under way included. Any thread may call
// it until rt_group_close.
void rt_group_abort(int64_t group);
void rt_group_close(int64_t group);

// Collective operations: all members call them in the same order with tensors of the same
// shapes. They fail when a member's connections break. Sum and broadcast overwrite the
// tensors, unseen by autograd.
int64_t rt_group_sum(int64_t group, const int64_t* tensors, int64_t count, char* error,
                     int64_t error_size);
int64_t rt_group_broadcast(int64_t group, int64_t root, const int64_t* tensors, int64_t count,
                           char* error, int64_t error_size);
int64_t rt_group_barrier(int64_t group, char* error, int64_t error_size);

// Returns the sum over all members as a new tensor, recorded for autograd if `grad`: the
// gradient is the sum of the members' gradients.
int64_t rt_group_sum_of(int64_t group, int64_t grad, int64_t tensor, int64_t* out, int64_t room,
                        char* error, int64_t error_size);

#ifdef __cplusplus
}
#endif
