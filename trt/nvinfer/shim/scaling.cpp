// Scaling frames on the GPU, ahead of the network and in the same graph.
#include "engine.h"

#include <cstddef>

nvi_status nvi_engine::prepare(const void* code, size_t size, nvi_error error) {
  const nvi::Cuda& cuda = library->cuda;
  if (size == 0) return nvi::fail(library, error, NVI_USE, "the kernel that scales frames is empty");
  cuda.streamSynchronize(stream);  // which makes the runtime's context the driver's, too
  way = ways[0].get();
  while (ways.size() > 1) drop(1);  // their graphs have the kernel
  if (module) cuda.moduleUnload(module);
  module = kernel = nullptr;
  int failed = cuda.moduleLoad(&module, code);
  if (!failed) failed = cuda.moduleFunction(&kernel, module, "nvi_scale");
  if (!failed) return NVI_OK;
  if (module) cuda.moduleUnload(module);
  module = kernel = nullptr;
  return nvi::fail(library, error, NVI_MISSING, "load the kernel that scales frames: CUDA driver error " + std::to_string(failed));
}

// drop gives back what a way has; the stream is idle.
void nvi_engine::drop(size_t at) {
  const nvi::Way& gone = *ways[at];
  if (gone.graph) library->cuda.graphExecDestroy(gone.graph);
  if (gone.pixels) library->cuda.hostFree(gone.pixels);
  ways.erase(ways.begin() + static_cast<std::ptrdiff_t>(at));
}

nvi_status nvi_engine::frame(int32_t width, int32_t height, int32_t format, nvi_error error) {
  way = ways[0].get();  // of what fails below, too
  if (width == 0) return NVI_OK;
  for (size_t i = 1; i < ways.size(); i++) {
    const nvi::Scale& s = ways[i]->scale;
    if (s.width == width && s.height == height && s.format == format) {
      way = ways[i].get();
      return NVI_OK;
    }
  }
  const nvi_tensor* image = nullptr;
  for (const auto& t : tensors) {
    if (t.input && t.type == NVI_UINT8 && t.dims == 4 && t.shape[3] == 3) image = &t;
  }
  nvi::Scale scale = {width, height, format, image ? int(image->shape[2]) : 0, image ? int(image->shape[1]) : 0, 0, 0};
  if (!kernel || !image || !nvi::plan(scale) || scale.halvings > nvi::kMostHalvings) {
    return nvi::fail(library, error, NVI_USE, "frames of this size are scaled by the CPU");
  }
  library->cuda.streamSynchronize(stream);
  if (library->cuda.hostDevicePointer(&to, image->data, 0)) {
    library->cuda.lastError();  // it has been dealt with
    return nvi::fail(library, error, NVI_MEMORY, "share the input with the GPU");
  }
  if (ways.size() == nvi::kMostWays) drop(1);
  return add(scale, error);
}

// add makes memory and a graph for frames.
nvi_status nvi_engine::add(const nvi::Scale& scale, nvi_error error) {
  const nvi::Cuda& cuda = library->cuda;
  auto made = std::make_unique<nvi::Way>();
  made->scale = scale;
  made->bytes = nvi::bytesOf(scale);
  ways.reserve(nvi::kMostWays);
  if (int code = cuda.hostAlloc(&made->pixels, made->bytes, nvi::kMapped)) {
    return nvi::failCuda(library, error, NVI_MEMORY, "allocate memory for frames", code);
  }
  if (cuda.hostDevicePointer(&made->from, made->pixels, 0)) {
    cuda.lastError();  // it has been dealt with
    cuda.hostFree(made->pixels);
    return nvi::fail(library, error, NVI_MEMORY, "share memory for frames with the GPU");
  }
  ways.push_back(std::move(made));
  way = ways.back().get();
  capture();
  return NVI_OK;
}

// launch puts the kernel in front of the network; it does nothing where the CPU scales.
int nvi_engine::launch() {
  if (!way->pixels) return 0;
  constexpr unsigned kSide = 16;
  nvi::Scale& s = way->scale;
  void* arguments[] = {&s, &way->from, &to};
  return library->cuda.launchKernel(kernel, (s.toWidth + kSide - 1) / kSide, (s.toHeight + kSide - 1) / kSide, 1, kSide, kSide, 1, 0, stream, arguments,
                                    nullptr);
}

nvi_status nvi_scaling(nvi_engine* engine, const void* code, size_t size, nvi_error error) {
  return nvi::guard(engine->library, error, "load the kernel that scales frames", [&] { return engine->prepare(code, size, error); });
}

nvi_status nvi_frame(nvi_engine* engine, int32_t width, int32_t height, int32_t format, void** data, size_t* size, nvi_error error) {
  return nvi::guard(engine->library, error, "make room for frames", [&] {
    const nvi_status status = engine->frame(width, height, format, error);
    *data = engine->way->pixels;
    *size = engine->way->bytes;
    return status;
  });
}
