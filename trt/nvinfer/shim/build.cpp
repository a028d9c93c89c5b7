// From an ONNX file to a plan.
#include <atomic>
#include <map>

#include "library.h"

namespace nvi {
namespace {

#if NV_TENSORRT_MAJOR >= 10
// Progress passes TensorRT's on, from whichever of its threads.
class Progress : public nvinfer1::IProgressMonitor {
 public:
  explicit Progress(const nvi_build& build) : build_(build) {}

  void phaseStart(const char* phase, const char* parent, int32_t steps) noexcept override {
    tell(phase, parent ? parent : "", 0, steps, true);
  }
  bool stepComplete(const char* phase, int32_t step) noexcept override {
    tell(phase, nullptr, step + 1, 0, false);
    return !cancelled_;
  }
  void phaseFinish(const char* phase) noexcept override { tell(phase, nullptr, -1, 0, false); }
  bool cancelled() const { return cancelled_; }

 private:
  struct Phase {
    std::string parent;
    int32_t steps = 0;
  };

  void tell(const char* phase, const char* parent, int32_t done, int32_t steps, bool starts) noexcept try {
    // One at a time, so that the receiver need not care about threads.
    std::lock_guard<std::mutex> lock(mutex_);
    Phase& known = phases_[phase];
    if (starts) known = {parent, steps};
    if (done < 0) done = known.steps;
    if (!build_.progress(build_.user, phase, known.parent.c_str(), done, known.steps)) cancelled_ = true;
  } catch (...) {  // progress is not worth a build
  }

  const nvi_build& build_;
  std::mutex mutex_;
  std::map<std::string, Phase> phases_;
  std::atomic<bool> cancelled_{false};
};
#endif

// All that the parser has to say, with the nodes that it is about.
std::string errorsOf(const nvonnxparser::IParser& parser) {
  std::string all;
  for (int i = 0; i < parser.getNbErrors(); i++) {
    const nvonnxparser::IParserError* e = parser.getError(i);
    std::string line;
#if NV_TENSORRT_MAJOR >= 10
    const char* op = e->nodeOperator();
    if (e->nodeName() && *e->nodeName()) line = "node " + std::string(e->nodeName()) + (op && *op ? " (" + std::string(op) + ")" : "") + ": ";
#else
    if (e->node() >= 0) line = "node " + std::to_string(e->node()) + ": ";
#endif
    all += (all.empty() ? "" : "; ") + line + (e->desc() ? e->desc() : "");
  }
  return all;
}

uint32_t networkFlags(int32_t precision) {
#if NV_TENSORRT_MAJOR >= 11
  (void)precision;
  return 0;
#elif NV_TENSORRT_MAJOR == 10
  return precision == NVI_TYPED ? 1U << static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED) : 0;
#else
  (void)precision;
  return 1U << static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kEXPLICIT_BATCH);
#endif
}

void configure(nvinfer1::IBuilderConfig& config, const nvi_build& build) {
#if NV_TENSORRT_MAJOR < 11
  int32_t precision = build.precision;
#if NV_TENSORRT_MAJOR < 10
  // Before typed networks, flags allowed what the types in the file ask for.
  if (precision == NVI_TYPED) precision = build.holds;
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (precision & NVI_FP16) config.setFlag(nvinfer1::BuilderFlag::kFP16);
  if (precision & NVI_INT8) config.setFlag(nvinfer1::BuilderFlag::kINT8);
#pragma GCC diagnostic pop
#endif
  if (build.workspace > 0) config.setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, build.workspace);
  config.setBuilderOptimizationLevel(build.optimisation_level);
  if (build.detailed) config.setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
}

// timingsFor gives a config the timing cache of an earlier build, or an empty one; null where
// it does not take it.
Own<nvinfer1::ITimingCache> timingsFor(nvinfer1::IBuilderConfig& config, const void* data, size_t size) {
  Own<nvinfer1::ITimingCache> cache(config.createTimingCache(data, size));
  if (cache && !config.setTimingCache(*cache, false)) cache.reset();
  return cache;
}

nvi_status make(nvi_library* library, const nvi_build& build, nvi_bytes* plan, nvi_bytes* timingCache, nvi_error error) {
#if NV_TENSORRT_MAJOR >= 11
  if (build.precision != NVI_TYPED) {
    return fail(library, error, NVI_USE, "TensorRT 11 knows typed models alone; make one with robustnet-quantize run");
  }
#endif
  // What the builder uses has to live longer than it.
  Own<nvinfer1::ITimingCache> cache;
#if NV_TENSORRT_MAJOR >= 10
  Progress progress(build);
#endif
  Own<nvinfer1::IBuilder> builder(library->builder());
  if (!builder) return failTensorRT(library, error, NVI_DEVICE, "start TensorRT's builder");
  Own<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(networkFlags(build.precision)));
  Own<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  if (!network || !config) return failTensorRT(library, error, NVI_MEMORY, "make a network");
  Own<nvonnxparser::IParser> parser(static_cast<nvonnxparser::IParser*>(library->createParser(network.get(), &library->log, NV_ONNX_PARSER_VERSION)));
  if (!parser) return failTensorRT(library, error, NVI_MEMORY, "start TensorRT's ONNX parser");
  if (!parser->parse(build.model, build.model_size)) {
    const std::string all = errorsOf(*parser);
    library->log.clear();  // which has the same errors
    return fail(library, error, NVI_MODEL, "read the model: " + (all.empty() ? "TensorRT does not say why" : all));
  }
  configure(*config, build);
  cache = timingsFor(*config, build.timing_cache, build.timing_cache_size);
  if (!cache) cache = timingsFor(*config, nullptr, 0);  // that of another version or GPU is left alone
  bool cancelled = false;
#if NV_TENSORRT_MAJOR >= 10
  if (build.progress) config->setProgressMonitor(&progress);
#endif
  library->log.clear();
  Own<nvinfer1::IHostMemory> memory(builder->buildSerializedNetwork(*network, *config));
#if NV_TENSORRT_MAJOR >= 10
  cancelled = progress.cancelled();
#endif
  if (cancelled) return fail(library, error, NVI_CANCELLED, "the build was cancelled");
  if (!memory) return failTensorRT(library, error, NVI_MODEL, "build the engine");
  if (!copy(memory->data(), memory->size(), plan)) throw std::bad_alloc();
  Own<nvinfer1::IHostMemory> timings(cache ? cache->serialize() : nullptr);
  if (!copy(timings ? timings->data() : nullptr, timings ? timings->size() : 0, timingCache)) {
    nvi_free(*plan);
    *plan = {};
    throw std::bad_alloc();
  }
  return NVI_OK;
}

}  // namespace
}  // namespace nvi

nvi_status nvi_make(nvi_library* library, const nvi_build* build, nvi_bytes* plan, nvi_bytes* timing_cache, nvi_error error) {
  *plan = *timing_cache = {};
  return nvi::guard(library, error, "build the engine", [&] { return nvi::make(library, *build, plan, timing_cache, error); });
}
