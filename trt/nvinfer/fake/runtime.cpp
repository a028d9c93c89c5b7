// Running: an engine is a session of ONNX Runtime.
#include <chrono>
#include <stdexcept>

#include "tensorrt.h"

namespace fake {
namespace {

nvinfer1::DataType typeOf(int onnx) {
  switch (onnx) {
    case 1: return nvinfer1::DataType::kFLOAT;
    case 2: return nvinfer1::DataType::kUINT8;
    case 3: return nvinfer1::DataType::kINT8;
    case 6: return nvinfer1::DataType::kINT32;
#if NV_TENSORRT_MAJOR >= 10
    case 7: return nvinfer1::DataType::kINT64;
#endif
    case 10: return nvinfer1::DataType::kHALF;
    default: return nvinfer1::DataType::kBOOL;
  }
}

// layersOf names what stands for layers: TensorRT fuses most of a small network into one.
std::vector<std::string> layersOf(const Model& model) {
  std::vector<std::string> in, out;
  std::string first, last;
  for (const auto& t : model.tensors()) {
    auto& names = t.input ? in : out;
    names.push_back("Reformatting CopyNode for " + std::string(t.input ? "Input" : "Output") + " Tensor " + std::to_string(names.size()) + " to " + t.name);
    (t.input && first.empty() ? first : last) = t.name;
  }
  in.push_back("{ForeignNode[" + first + "..." + last + "]}");
  in.insert(in.end(), out.begin(), out.end());
  return in;
}

class Context final : public Object<nvinfer1::IExecutionContext, apiv::StubVExecutionContext> {
 public:
  Context(Children& engine, std::shared_ptr<const Model> model, nvinfer1::ILogger& logger)
      : Object("execution contexts"), child_(engine), model_(std::move(model)), logger_(logger) {}
  ~Context() override { state_->alive = false; }

  bool setTensorAddress(char const* name, void* address) noexcept override {
    for (const auto& t : model_->tensors()) {
      if (t.name != name) continue;
      addresses_[name] = address;
      return true;
    }
    return refuse("setTensorAddress", "there is no tensor " + std::string(name));
  }
  void setProfiler(nvinfer1::IProfiler* profiler) noexcept override {
    profiler_ = profiler;
    profiled_ = nullptr;
  }
  void setEnqueueEmitsProfile(bool emits) noexcept override { emits_ = emits; }
  bool reportToProfiler() const noexcept override {
    if (emits_) return true;
    if (!profiler_ || !profiled_) return refuse("reportToProfiler", "no run has been profiled");
    if (synchronise(profiled_) != 0) return refuse("reportToProfiler", "the run has failed");
    report();
    return true;
  }
  bool enqueueV3(cudaStream_t cuda) noexcept override;

 private:
  // What work in a stream shares with the context.
  struct State {
    bool alive = true;
    float milliseconds = 0;
  };

  bool refuse(const char* method, const std::string& why) const {
    say(logger_, Severity::kERROR, std::string("IExecutionContext::") + method + ": Error Code 3: API Usage Error (" + why + ")");
    return false;
  }
  bool failed(int code, const std::string& why) const {
    setLastError(code);
    return refuse("enqueueV3", why);
  }
  Work work() const;
  void report() const {
    const auto layers = layersOf(*model_);
    for (const auto& layer : layers) profiler_->reportLayerTime(layer.c_str(), state_->milliseconds / static_cast<float>(layers.size()));
  }

  Child child_;
  std::shared_ptr<const Model> model_;
  nvinfer1::ILogger& logger_;
  std::map<std::string, void*> addresses_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::shared_ptr<bool> replayed_ = std::make_shared<bool>(false);
  bool initialised_ = false;
  bool emits_ = true;
  nvinfer1::IProfiler* profiler_ = nullptr;
  Stream* profiled_ = nullptr;  // stream of the last run that was profiled
};

bool Context::enqueueV3(cudaStream_t cuda) noexcept {
  attach();
  auto* stream = reinterpret_cast<Stream*>(cuda);
  if (!stream) return refuse("enqueueV3", "the fake has no default stream");
  if (int code = unusable()) return failed(code, "CUDA error " + std::to_string(code));
  // Kernels are launched with a check that finds errors of earlier calls, too.
  if (int code = lastError()) return refuse("enqueueV3", "CUDA error " + std::to_string(code) + " of an earlier call");
  for (const auto& t : model_->tensors()) {
    if (addresses_.count(t.name) == 0) return refuse("enqueueV3", "tensor " + t.name + " has no address");
  }
  if (capturing(stream)) {
    if (!initialised_) misuse("a run is captured before any was made");
    if (fault("capture")) {
      invalidateCapture(stream);
      return failed(kCaptureInvalidated, "a layer synchronises with the host, which a capture does not permit");
    }
    add(stream, work());
    return true;
  }
  const Fate fate = initialised_ ? nextRun() : Fate::kGood;
  if (fate == Fate::kRefused) return failed(kOutOfResources, "CUDA error " + std::to_string(kOutOfResources));
  initialised_ = true;
  add(stream, fate == Fate::kFatal ? fatal() : work());
  if (profiler_) profiled_ = stream;
  if (profiler_ && emits_) {
    if (synchronise(stream) != 0) return false;
    report();
  }
  return true;
}

// work is a run with the addresses as they are now.
Work Context::work() const {
  auto run = [model = model_, addresses = addresses_, state = state_, log = &logger_]() -> int {
    if (!state->alive) misuse("an execution context is deleted before its runs are done");
    for (const auto& t : model->tensors()) {
      if (!inMemory(addresses.at(t.name), t.bytes)) return kIllegalAddress;
    }
    const auto start = std::chrono::steady_clock::now();
    try {
      model->run(addresses);
    } catch (const std::exception& e) {
      say(*log, Severity::kERROR, e.what());
      return kLaunchFailure;
    }
    state->milliseconds = std::chrono::duration<float, std::milli>(std::chrono::steady_clock::now() - start).count();
    return 0;
  };
  return {run, replayed_};
}

// formatOf words a tensor's type and layout as the version does: in one text, or in two from 11 on.
std::string formatOf(int onnx) {
  struct Words {
    int onnx;
    const char *layout, *type;
  };
  Words found = {0, "Unknown format", "None"};
  for (const Words& w : {Words{1, "Row major linear FP32", "Float"}, {2, "Row major linear UInt8 format", "UInt8"}, {3, "Row major Int8 format", "Int8"},
                         {6, "Row major linear Int32", "Int32"}, {10, "Row major linear FP16 format", "Half"}}) {
    if (w.onnx == onnx) found = w;
  }
#if NV_TENSORRT_MAJOR >= 11
  return std::string("\"Format\": \"") + found.layout + "\", \"Datatype\": \"" + found.type + "\"";
#else
  return std::string("\"Format/Datatype\": \"") + found.layout + "\"";
#endif
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

// join adds an element to a JSON list.
void join(std::string& list, const std::string& element) { list += (list.empty() ? "" : ", ") + element; }

std::string described(const Tensor& t) {
  std::string shape;
  for (int64_t d : t.shape) join(shape, std::to_string(d));
  return "{\"Name\": " + quoted(t.name) + ", \"Location\": \"Device\", \"Dimensions\": [" + shape + "], " + formatOf(t.type) + "}";
}

class Inspector final : public Object<nvinfer1::IEngineInspector, apiv::StubVEngineInspector> {
 public:
  Inspector(Children& engine, const Model& model, bool detailed) : Object("engine inspectors"), child_(engine) {
    std::string layers, tensors, in, out;
    for (const auto& t : model.tensors()) {
      join(t.input ? in : out, described(t));
      join(tensors, NV_TENSORRT_MAJOR >= 11 ? described(t) : quoted(t.name));
    }
    const auto names = layersOf(model);
    for (size_t i = 0; i < names.size(); i++) {
      if (!detailed) {
        join(layers, quoted(names[i]));
        continue;
      }
      // One copies each tensor; the one between them is all of the network.
      const bool network = names[i][0] == '{';
      const std::string copied = network ? "" : described(model.tensors()[passed_++]);
      join(layers, "{\"Name\": " + quoted(names[i]) + ", \"LayerType\": " + (network ? "\"Myelin\"" : "\"Reformat\"") + ", \"Inputs\": [" +
                       (network ? in : copied) + "], \"Outputs\": [" + (network ? out : copied) + "], \"TacticName\": " +
                       (network ? "\"onnxruntime\"" : "\"\"") + ", \"StreamId\": 0}");
    }
    json_ = "{\"Layers\": [" + layers + "], \"" + (NV_TENSORRT_MAJOR >= 11 ? "I/O Tensors" : "Bindings") + "\": [" + tensors + "]}";
  }
  char const* getEngineInformation(nvinfer1::LayerInformationFormat format) const noexcept override {
    return format == nvinfer1::LayerInformationFormat::kJSON ? json_.c_str() : "";
  }

 private:
  Child child_;
  size_t passed_ = 0;  // tensors that a layer copies, inputs first
  std::string json_;
};

class Engine final : public Object<nvinfer1::ICudaEngine, apiv::StubVCudaEngine> {
 public:
  Engine(Children& runtime, Plan plan, nvinfer1::ILogger& logger)
      : Object("engines"), child_(runtime), children_("an engine"), model_(std::make_shared<Model>(plan.onnx)), detailed_(plan.detailed), logger_(logger) {}

  int32_t getNbIOTensors() const noexcept override { return static_cast<int32_t>(model_->tensors().size()); }
  char const* getIOTensorName(int32_t i) const noexcept override {
    return i < 0 || i >= getNbIOTensors() ? nullptr : model_->tensors()[i].name.c_str();
  }
  nvinfer1::DataType getTensorDataType(char const* name) const noexcept override { return typeOf(find(name).type); }
  nvinfer1::TensorIOMode getTensorIOMode(char const* name) const noexcept override {
    return find(name).input ? nvinfer1::TensorIOMode::kINPUT : nvinfer1::TensorIOMode::kOUTPUT;
  }
  nvinfer1::Dims getTensorShape(char const* name) const noexcept override {
    const auto& shape = find(name).shape;
    nvinfer1::Dims dims{};
    dims.nbDims = shape.size() > nvinfer1::Dims::MAX_DIMS ? -1 : static_cast<int32_t>(shape.size());
    for (int32_t i = 0; i < dims.nbDims; i++) dims.d[i] = static_cast<std::decay_t<decltype(dims.d[0])>>(shape[i]);
    return dims;
  }
#if NV_TENSORRT_MAJOR >= 10
  nvinfer1::IExecutionContext* createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy) noexcept override { return context(); }
#else
  nvinfer1::IExecutionContext* createExecutionContext() noexcept override { return context(); }
#endif
  nvinfer1::IEngineInspector* createEngineInspector() const noexcept override { return new Inspector(children_, *model_, detailed_); }

 private:
  const Tensor& find(const char* name) const {
    for (const auto& t : model_->tensors()) {
      if (t.name == name) return t;
    }
    misuse("the engine has no tensor " + std::string(name));
  }
  nvinfer1::IExecutionContext* context() {
    if (unusable() != 0) return nullptr;
    if (fault("memory-context")) {
      say(logger_, Severity::kERROR, "ICudaEngine::createExecutionContext: Error Code 1: Cuda Runtime (out of memory)");
      return nullptr;
    }
    return new Context(children_, model_, logger_);
  }

  Child child_;
  mutable Children children_;
  std::shared_ptr<const Model> model_;
  bool detailed_;
  nvinfer1::ILogger& logger_;
};

class Runtime final : public Object<nvinfer1::IRuntime, apiv::StubVRuntime> {
 public:
  explicit Runtime(nvinfer1::ILogger& logger) : Object("runtimes"), children_("a runtime"), logger_(logger) {}

#if NV_TENSORRT_MAJOR >= 10
  nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override { return engine(blob, size); }
#else
  nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size, nvinfer1::IPluginFactory*) noexcept override {
    return engine(blob, size);
  }
#endif

 private:
  nvinfer1::ICudaEngine* engine(void const* blob, std::size_t size) noexcept try {
    if (fault("memory-plan")) {
      say(logger_, Severity::kERROR, "IRuntime::deserializeCudaEngine: Error Code 2: OutOfMemory (Requested size was 853061 bytes.)");
      return nullptr;
    }
    Plan plan;
    const std::string wrong = plan.read(std::string(static_cast<const char*>(blob), size));
    if (wrong.empty()) return new Engine(children_, std::move(plan), logger_);
    say(logger_, Severity::kERROR, "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (the engine plan file: " + wrong + ")");
    return nullptr;
  } catch (const std::exception& e) {
    say(logger_, Severity::kERROR, std::string("IRuntime::deserializeCudaEngine: Error Code 1: Internal Error (") + e.what() + ")");
    return nullptr;
  }

  Children children_;
  nvinfer1::ILogger& logger_;
};

}  // namespace
}  // namespace fake

extern "C" void* createInferRuntime_INTERNAL(void* logger, int32_t number) noexcept {
  using namespace fake;
  auto& log = *static_cast<nvinfer1::ILogger*>(logger);
  if (majorOf(number) != version().major) {
    say(log, Severity::kERROR, "createInferRuntime: Error Code 3: API Usage Error (the application was compiled for another major version)");
    return nullptr;
  }
  if (int code = unusable()) {
    say(log, Severity::kERROR, "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: " + std::to_string(code) + ")");
    return nullptr;
  }
  return static_cast<nvinfer1::IRuntime*>(new Runtime(log));
}
