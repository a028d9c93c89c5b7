// Scaling frames on the GPU, ahead of the network and in the same graph.
#include "engine.h"

nvi_status nvi_engine::prepare(const void* code, size_t size, nvi_error error) {
  const nvi::Cuda& cuda = library->cuda;
  if (size == 0) return nvi::fail(library, error, NVI_USE, "the kernel that scales frames is empty");
  cuda.streamSynchronize(stream);  // which makes the runtime's context the driver's, too
  if (module) cuda.moduleUnload(module);
  module = kernel = nullptr;
  int failed = cuda.moduleLoad(&module, code);
  if (!failed) failed = cuda.moduleFunction(&kernel, module, "nvi_scale");
  if (!failed) return NVI_OK;
  if (module) cuda.moduleUnload(module);
  module = kernel = nullptr;
  return nvi::fail(library, error, NVI_MISSING, "load the kernel that scales frames: CUDA driver error " + std::to_string(failed));
}

nvi_status nvi_engine::frame(int32_t width, int32_t height, int32_t format, nvi_error error) {
  const nvi::Cuda& cuda = library->cuda;
  cuda.streamSynchronize(stream);
  if (pixels) cuda.hostFree(pixels);
  pixels = nullptr;
  pixelBytes = 0;
  nvi_status status = NVI_OK;
  if (width > 0) {
    const nvi_tensor* image = nullptr;
    for (const auto& t : tensors) {
      if (t.input && t.type == NVI_UINT8 && t.dims == 4 && t.shape[3] == 3) image = &t;
    }
    scale = {width, height, format, image ? int(image->shape[2]) : 0, image ? int(image->shape[1]) : 0, 0, 0};
    if (!kernel || !image || !nvi::plan(scale) || scale.halvings > nvi::kMostHalvings) {
      status = nvi::fail(library, error, NVI_USE, "frames of this size are scaled by the CPU");
    } else if (int code = cuda.hostAlloc(&pixels, nvi::bytesOf(scale), nvi::kMapped)) {
      pixels = nullptr;
      status = nvi::failCuda(library, error, NVI_MEMORY, "allocate memory for frames", code);
    } else if (cuda.hostDevicePointer(&from, pixels, 0) || cuda.hostDevicePointer(&to, image->data, 0)) {
      cuda.lastError();  // it has been dealt with
      cuda.hostFree(pixels);
      pixels = nullptr;
      status = nvi::fail(library, error, NVI_MEMORY, "share memory for frames with the GPU");
    } else {
      pixelBytes = nvi::bytesOf(scale);
    }
  }
  capture();  // with the kernel, or without it again
  return status;
}

// launch puts the kernel in front of the network; it does nothing where the CPU scales.
int nvi_engine::launch() {
  if (!pixels) return 0;
  constexpr unsigned kSide = 16;
  void* arguments[] = {&scale, &from, &to};
  return library->cuda.launchKernel(kernel, (scale.toWidth + kSide - 1) / kSide, (scale.toHeight + kSide - 1) / kSide, 1, kSide, kSide, 1, 0, stream,
                           arguments, nullptr);
}

nvi_status nvi_scaling(nvi_engine* engine, const void* code, size_t size, nvi_error error) {
  return nvi::guard(engine->library, error, "load the kernel that scales frames", [&] { return engine->prepare(code, size, error); });
}

nvi_status nvi_frame(nvi_engine* engine, int32_t width, int32_t height, int32_t format, void** data, size_t* size, nvi_error error) {
  return nvi::guard(engine->library, error, "make room for frames", [&] {
    const nvi_status status = engine->frame(width, height, format, error);
    *data = engine->pixels;
    *size = engine->pixelBytes;
    return status;
  });
}
