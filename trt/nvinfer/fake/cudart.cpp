// libcudart.so: the functions of CUDA's runtime that the shim calls.
#include <cstdlib>

#include "device.h"

using namespace fake;

#ifndef FAKE_CUDA_VERSION
#define FAKE_CUDA_VERSION 12060
#endif

namespace {

// answer keeps an error as the last one. A broken device's is that of every call.
int answer(int code) {
  attach();
  if (int broken = unusable()) code = broken;
  if (code != 0) setLastError(code);
  return code;
}

// Memory is not to be had in a thread that captures.
int refusal() {
  if (int code = unusable()) return code;
  return capturingHere() ? kCaptureUnsupported : 0;
}

}  // namespace

extern "C" {

int cudaRuntimeGetVersion(int* version) {
  *version = FAKE_CUDA_VERSION;
  return 0;
}

int cudaDeviceGetAttribute(int* value, int attribute, int device) {
  if (device != 0) return answer(kInvalidDevice);
  const int capability = atoi(variable("FAKE_GPU_CAPABILITY", "87").c_str());
  switch (attribute) {
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    case 16: *value = 8; break;  // multiprocessors
    case 18: *value = 1; break;  // integrated
    default: return answer(kInvalidValue);
  }
  return answer(0);
}

int cudaHostAlloc(void** memory, size_t size, unsigned flags) {
  constexpr unsigned kMapped = 2;
  if (int code = refusal()) return answer(code);
  if (fault("memory")) return answer(kNoMemory);
  return answer(allocate(memory, size, flags & kMapped));
}

int cudaHostGetDevicePointer(void** device, void* memory, unsigned flags) {
  if (flags != 0 || !mapped(memory)) return answer(kInvalidValue);
  *device = memory;
  return answer(0);
}

int cudaFreeHost(void* memory) {
  if (memory) release(memory);
  return answer(0);
}

int cudaStreamCreateWithFlags(void** stream, unsigned) {
  if (int code = unusable()) return answer(code);
  *stream = makeStream();
  return 0;
}

int cudaStreamDestroy(void* stream) {
  destroy(static_cast<Stream*>(stream));
  return answer(0);
}

int cudaStreamSynchronize(void* stream) { return answer(stream ? synchronise(static_cast<Stream*>(stream)) : 0); }

int cudaStreamBeginCapture(void* stream, int) {
  if (int code = unusable()) return answer(code);
  if (!stream || fault("capture-begin")) return answer(kCaptureUnsupported);
  return answer(beginCapture(static_cast<Stream*>(stream)));
}

int cudaStreamEndCapture(void* stream, void** graph) {
  Graph* recorded = nullptr;
  const int code = endCapture(static_cast<Stream*>(stream), &recorded);
  *graph = recorded;
  return answer(code);
}

int cudaGraphInstantiateWithFlags(void** replay, void* graph, unsigned long long) {
  if (int code = unusable()) return answer(code);
  *replay = instantiate(static_cast<Graph*>(graph));
  return 0;
}

int cudaGraphLaunch(void* replay, void* stream) {
  if (int code = unusable()) return answer(code);
  return answer(launch(static_cast<Replay*>(replay), static_cast<Stream*>(stream)));
}

int cudaGraphDestroy(void* graph) {
  destroy(static_cast<Graph*>(graph));
  return answer(0);
}

int cudaGraphExecDestroy(void* replay) {
  destroy(static_cast<Replay*>(replay));
  return answer(0);
}

int cudaGetLastError() {
  const int code = lastError();
  setLastError(0);
  const int broken = unusable();
  return broken ? broken : code;
}

const char* cudaGetErrorString(int code) {
  switch (code) {
    case 0: return "no error";
    case kInvalidValue: return "invalid argument";
    case kNoMemory: return "out of memory";
    case kNoDevice: return "no CUDA-capable device is detected";
    case kInvalidDevice: return "invalid device ordinal";
    case kIllegalAddress: return "an illegal memory access was encountered";
    case kOutOfResources: return "too many resources requested for launch";
    case kLaunchFailure: return "unspecified launch failure";
    case kDriverMismatch: return "system has unsupported display driver / cuda driver combination";
    case kCaptureUnsupported: return "operation not permitted when stream is capturing";
    case kCaptureInvalidated: return "operation failed due to a previous error during capture";
  }
  return "unrecognized error code";
}

}  // extern "C"
