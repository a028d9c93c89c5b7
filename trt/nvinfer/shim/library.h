// What the parts of the shim share: the loaded libraries, and errors.
#pragma once
#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "shim.h"

namespace nvi {

// What the shim calls of CUDA's runtime and driver, by name, so that nothing is linked.
struct Cuda {
  int (*runtimeVersion)(int*);
  int (*deviceAttribute)(int*, int, int);
  int (*hostAlloc)(void**, size_t, unsigned);
  int (*hostDevicePointer)(void**, void*, unsigned);
  int (*hostFree)(void*);
  int (*streamCreate)(cudaStream_t*, unsigned);
  int (*streamDestroy)(cudaStream_t);
  int (*streamSynchronize)(cudaStream_t);
  int (*beginCapture)(cudaStream_t, int);
  int (*endCapture)(cudaStream_t, void**);
  int (*graphInstantiate)(void**, void*, unsigned long long);
  int (*graphLaunch)(void*, cudaStream_t);
  int (*graphDestroy)(void*);
  int (*graphExecDestroy)(void*);
  int (*lastError)();
  const char* (*errorString)(int);
  int (*driverInit)(unsigned);
  int (*driverDevice)(int*, int);
  int (*driverName)(char*, int, int);
  int (*moduleLoad)(void**, const void*);
  int (*moduleFunction)(void**, void*, const char*);
  int (*moduleUnload)(void*);
  int (*launchKernel)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, cudaStream_t, void**, void**);
};

// The numbers are those of CUDA's documentation, the same in every version.
constexpr int kOutOfMemory = 2, kNoDevice = 100;
constexpr int kMajor = 75, kMinor = 76, kProcessors = 16, kIntegrated = 18;  // device attributes
constexpr unsigned kMapped = 2, kNonBlocking = 1;
constexpr int kThreadLocal = 1;  // capture mode

// After these, every call fails until the process ends.
constexpr bool broken(int error) {
  switch (error) {
    case 214:  // ECC error
    case 700:  // illegal address
    case 702:  // launch timeout
    case 709:  // context destroyed
    case 710:  // assertion in a kernel
    case 714:  // hardware stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case 719:  // launch failure
      return true;
  }
  return false;
}

// Log keeps the last errors of TensorRT until they are asked for.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override;
  void clear();
  std::string take();  // joins the errors with "; "

 private:
  std::mutex mutex_;
  std::deque<std::string> errors_;
};

// Deleter for objects of TensorRT, which are deleted in every version from 8 on.
template <typename T>
using Own = std::unique_ptr<T>;

}  // namespace nvi

struct nvi_library {
  nvi::Log log;
  nvi::Cuda cuda{};
  int version[3] = {0, 0, 0};
  void* (*createBuilder)(void*, int32_t) = nullptr;
  void* (*createRuntime)(void*, int32_t) = nullptr;
  void* (*createParser)(void*, void*, int32_t) = nullptr;

  nvinfer1::IBuilder* builder() { return static_cast<nvinfer1::IBuilder*>(createBuilder(&log, NV_TENSORRT_VERSION)); }
  nvinfer1::IRuntime* runtime() { return static_cast<nvinfer1::IRuntime*>(createRuntime(&log, NV_TENSORRT_VERSION)); }
};

namespace nvi {

// Writes what failed, with what TensorRT logged, and returns the status.
nvi_status fail(nvi_library* library, nvi_error error, nvi_status status, const std::string& what);

// Writes what failed with CUDA's word for its error, and returns the status that fits it.
nvi_status failCuda(nvi_library* library, nvi_error error, nvi_status status, const std::string& what, int code);

// Writes what failed where TensorRT gave nothing back. The status is another if CUDA broke, or if
// CUDA or TensorRT said that there was no memory.
nvi_status failTensorRT(nvi_library* library, nvi_error error, nvi_status status, const std::string& what);

// Copies into memory that nvi_free releases; empty if there is none.
bool copy(const void* data, size_t size, nvi_bytes* to);

// Runs f, whose exceptions become errors.
template <typename F>
nvi_status guard(nvi_library* library, nvi_error error, const char* what, F f) {
  try {
    library->log.clear();
    return f();
  } catch (const std::bad_alloc&) {
    return fail(library, error, NVI_MEMORY, std::string(what) + ": out of memory");
  } catch (const std::exception& e) {
    return fail(library, error, NVI_USE, std::string(what) + ": " + e.what());
  }
}

}  // namespace nvi
