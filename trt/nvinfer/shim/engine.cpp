// Running a plan.
#include "engine.h"

#include <cstring>

namespace nvi {
namespace {

nvi_type typeOf(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return NVI_FLOAT32;
    case nvinfer1::DataType::kHALF: return NVI_FLOAT16;
    case nvinfer1::DataType::kUINT8: return NVI_UINT8;
    case nvinfer1::DataType::kINT8: return NVI_INT8_TYPE;
    case nvinfer1::DataType::kINT32: return NVI_INT32;
    default: return NVI_OTHER;
  }
}

size_t sizeOf(nvi_type type) {
  switch (type) {
    case NVI_FLOAT32: case NVI_INT32: return 4;
    case NVI_FLOAT16: return 2;
    case NVI_UINT8: case NVI_INT8_TYPE: return 1;
    default: return 0;
  }
}

class LayerTimes : public nvinfer1::IProfiler {
 public:
  LayerTimes(void (*each)(void*, int32_t, const char*, float), void* user) : each_(each), user_(user) {}
  void reportLayerTime(const char* layer, float ms) noexcept override { each_(user_, run, layer ? layer : "", ms); }
  int32_t run = 0;

 private:
  void (*each_)(void*, int32_t, const char*, float);
  void* user_;
};

}  // namespace
}  // namespace nvi

nvi_engine::~nvi_engine() {
  const nvi::Cuda& cuda = library->cuda;
  if (stream) cuda.streamSynchronize(stream);
  while (!ways.empty()) drop(ways.size() - 1);
  context.reset();
  if (stream) cuda.streamDestroy(stream);
  for (const auto& t : tensors) {
    if (t.data) cuda.hostFree(t.data);
  }
  if (module) cuda.moduleUnload(module);
}

nvi_status nvi_engine::open(const void* plan, size_t size, nvi_error error) {
  runtime.reset(library->runtime());
  if (!runtime) return nvi::failTensorRT(library, error, NVI_DEVICE, "start TensorRT");
  engine.reset(runtime->deserializeCudaEngine(plan, size));
  if (!engine) return nvi::failTensorRT(library, error, NVI_PLAN, "read the plan");
  context.reset(engine->createExecutionContext());
  if (!context) return nvi::failTensorRT(library, error, NVI_MEMORY, "make room for running the engine");
  if (int code = library->cuda.streamCreate(&stream, nvi::kNonBlocking)) {
    return nvi::failCuda(library, error, NVI_DEVICE, "make a stream", code);
  }
  if (nvi_status status = allocate(error)) return status;
  if (nvi_status status = bind(*context, error)) return status;
  // The first run initialises what a capture could not.
  if (nvi_status status = enqueue(*context, error)) return status;
  if (nvi_status status = finish(error)) return status;
  capture();
  return way->graph ? run(error) : NVI_OK;
}

// allocate makes the inputs and outputs in pinned memory that the GPU sees, too: on a Jetson it
// is the same memory, and nothing is copied.
nvi_status nvi_engine::allocate(nvi_error error) {
  const int32_t count = engine->getNbIOTensors();
  tensors.reserve(count);
  for (int32_t i = 0; i < count; i++) {
    nvi_tensor t{};
    t.name = engine->getIOTensorName(i);
    t.type = nvi::typeOf(engine->getTensorDataType(t.name));
    t.input = engine->getTensorIOMode(t.name) == nvinfer1::TensorIOMode::kINPUT;
    const nvinfer1::Dims dims = engine->getTensorShape(t.name);
    if (dims.nbDims < 0 || dims.nbDims > 8) return nvi::fail(library, error, NVI_PLAN, std::string("tensor ") + t.name + " has no shape");
    t.dims = dims.nbDims;
    t.size = nvi::sizeOf(t.type);
    for (int32_t d = 0; d < dims.nbDims; d++) {
      t.shape[d] = dims.d[d];
      if (dims.d[d] < 1) return nvi::fail(library, error, NVI_PLAN, std::string("tensor ") + t.name + " has no fixed shape");
      t.size *= static_cast<size_t>(dims.d[d]);
    }
    if (t.size == 0) return nvi::fail(library, error, NVI_PLAN, std::string("tensor ") + t.name + " is of a type that is not known");
    if (int code = library->cuda.hostAlloc(&t.data, t.size, nvi::kMapped)) {
      return nvi::failCuda(library, error, NVI_MEMORY, "allocate " + std::to_string(t.size) + " bytes for tensor " + t.name, code);
    }
    memset(t.data, 0, t.size);
    tensors.push_back(t);
  }
  return NVI_OK;
}

nvi_status nvi_engine::bind(nvinfer1::IExecutionContext& c, nvi_error error) {
  for (const auto& t : tensors) {
    void* address = nullptr;
    if (int code = library->cuda.hostDevicePointer(&address, t.data, 0)) {
      return nvi::failCuda(library, error, NVI_MEMORY, std::string("share tensor ") + t.name + " with the GPU", code);
    }
    if (!c.setTensorAddress(t.name, address)) return nvi::fail(library, error, NVI_PLAN, std::string("bind tensor ") + t.name);
  }
  return NVI_OK;
}

nvi_status nvi_engine::enqueue(nvinfer1::IExecutionContext& c, nvi_error error) {
  if (way->pixels) library->cuda.streamSynchronize(stream);  // which makes the runtime's context that of this thread
  // The driver's numbers are the runtime's.
  if (int code = launch()) return nvi::failCuda(library, error, NVI_RUN, "scale the frame", code);
  if (c.enqueueV3(stream)) return NVI_OK;
  return nvi::failTensorRT(library, error, NVI_RUN, "run the engine");
}

nvi_status nvi_engine::finish(nvi_error error) {
  if (int code = library->cuda.streamSynchronize(stream)) return nvi::failCuda(library, error, NVI_RUN, "run the engine", code);
  return NVI_OK;
}

// capture records a run in the way of the next one as a graph, which launches with one call; if it
// is refused, runs go on without.
void nvi_engine::capture() {
  const nvi::Cuda& cuda = library->cuda;
  void* recorded = nullptr;
  if (int code = cuda.beginCapture(stream, nvi::kThreadLocal)) {
    way->refused = "begin to capture: " + std::string(cuda.errorString(code));
    cuda.lastError();  // it has been dealt with
    return;
  }
  const bool enqueued = launch() == 0 && context->enqueueV3(stream);
  int code = cuda.endCapture(stream, &recorded);
  if (enqueued && code == 0) code = cuda.graphInstantiate(&way->graph, recorded, 0);
  if (recorded) cuda.graphDestroy(recorded);
  if (enqueued && code == 0 && way->graph) {
    way->refused.clear();
    return;
  }
  way->graph = nullptr;
  const std::string logged = library->log.take();
  way->refused = "capture a run: " + std::string(code ? cuda.errorString(code) : "TensorRT refused") + (logged.empty() ? "" : ": " + logged);
  cuda.lastError();  // it has been dealt with
}

nvi_status nvi_engine::run(nvi_error error) {
  if (!way->graph) {
    if (nvi_status status = enqueue(*context, error)) return status;
  } else if (int code = library->cuda.graphLaunch(way->graph, stream)) {
    return nvi::failCuda(library, error, NVI_RUN, "run the engine", code);
  }
  return finish(error);
}

nvi_status nvi_load(nvi_library* library, const void* plan, size_t size, nvi_engine** out, nvi_error error) {
  *out = nullptr;
  return nvi::guard(library, error, "load the engine", [&] {
    auto engine = std::make_unique<nvi_engine>(library);
    const nvi_status status = engine->open(plan, size, error);
    if (status == NVI_OK) *out = engine.release();
    return status;
  });
}

void nvi_unload(nvi_engine* engine) { delete engine; }

int32_t nvi_tensors(nvi_engine* engine) { return static_cast<int32_t>(engine->tensors.size()); }
nvi_tensor nvi_tensor_at(nvi_engine* engine, int32_t i) { return engine->tensors[i]; }

int32_t nvi_captured(nvi_engine* engine, nvi_error reason) {
  if (reason.size > 0) snprintf(reason.text, reason.size, "%s", engine->way->refused.c_str());
  return engine->way->graph != nullptr;
}

nvi_status nvi_run(nvi_engine* engine, nvi_error error) {
  return nvi::guard(engine->library, error, "run the engine", [&] { return engine->run(error); });
}

nvi_status nvi_profile(nvi_engine* engine, int32_t runs, void (*each)(void*, int32_t, const char*, float), void* user, nvi_error error) {
  return nvi::guard(engine->library, error, "profile the engine", [&] {
    // A graph cannot be profiled, nor a context for both.
    nvi::LayerTimes times(each, user);
    nvi::Own<nvinfer1::IExecutionContext> context(engine->engine->createExecutionContext());
    if (!context) return nvi::failTensorRT(engine->library, error, NVI_MEMORY, "make room for profiling the engine");
    if (nvi_status status = engine->bind(*context, error)) return status;
    for (int32_t i = -1; i < runs; i++) {  // the first run initialises
      if (i == 0) {
        context->setProfiler(&times);
        context->setEnqueueEmitsProfile(false);
      }
      times.run = i;
      if (nvi_status status = engine->enqueue(*context, error)) return status;
      if (nvi_status status = engine->finish(error)) return status;
      if (i >= 0 && !context->reportToProfiler()) return nvi::failTensorRT(engine->library, error, NVI_RUN, "profile the engine");
    }
    return NVI_OK;
  });
}

nvi_status nvi_inspect(nvi_engine* engine, nvi_bytes* json, nvi_error error) {
  *json = {};
  return nvi::guard(engine->library, error, "inspect the engine", [&] {
    nvi::Own<nvinfer1::IEngineInspector> inspector(engine->engine->createEngineInspector());
    if (!inspector) return nvi::failTensorRT(engine->library, error, NVI_MEMORY, "inspect the engine");
    const char* text = inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON);
    if (!text) return nvi::failTensorRT(engine->library, error, NVI_RUN, "inspect the engine");
    if (!nvi::copy(text, strlen(text), json)) throw std::bad_alloc();
    return NVI_OK;
  });
}
