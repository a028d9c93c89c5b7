#include "model.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <stdexcept>

#include "device.h"

namespace fake {
namespace {

const OrtApi* load() {
  const std::string path = variable("ROBUSTNET_MODEL_LIBRARY", "libonnxruntime.so.1");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error("the fake TensorRT computes with ONNX Runtime: " + std::string(dlerror()) + "; set ROBUSTNET_MODEL_LIBRARY");
  auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  const OrtApi* api = base ? base()->GetApi(ORT_API_VERSION) : nullptr;
  if (!api) throw std::runtime_error(path + " is too old for the fake TensorRT");
  return api;
}

const OrtApi& api() {
  static const OrtApi* loaded = load();
  return *loaded;
}

void check(OrtStatus* status) {
  if (!status) return;
  const std::string said = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error(said);
}

// What ONNX Runtime makes is released by a function of its own for each type.
template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

OrtEnv* environment() {
  static const Owned<OrtEnv> made = [] {
    OrtEnv* env = nullptr;
    check(api().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "fake TensorRT", &env));
    return Owned<OrtEnv>(env, api().ReleaseEnv);
  }();
  return made.get();
}

size_t sizeOf(int type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return 4;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return 8;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: return 2;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return 1;
    default: return 0;
  }
}

}  // namespace

struct Model::Session {
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  ~Session() {
    if (session) api().ReleaseSession(session);
    if (memory) api().ReleaseMemoryInfo(memory);
  }
  Tensor describe(size_t i, bool input) const;
};

Model::Model(const std::string& onnx) : session_(std::make_unique<Session>()) {
  OrtSessionOptions* made = nullptr;
  check(api().CreateSessionOptions(&made));
  const Owned<OrtSessionOptions> options(made, api().ReleaseSessionOptions);
  check(api().SetIntraOpNumThreads(made, 1));
  check(api().SetInterOpNumThreads(made, 1));
  check(api().AddSessionConfigEntry(made, "session.disable_quant_qdq", "1"));
  check(api().AddSessionConfigEntry(made, "session.intra_op.allow_spinning", "0"));
  check(api().CreateSessionFromArray(environment(), onnx.data(), onnx.size(), made, &session_->session));
  check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &session_->memory));
  size_t inputs = 0, outputs = 0;
  check(api().SessionGetInputCount(session_->session, &inputs));
  check(api().SessionGetOutputCount(session_->session, &outputs));
  for (size_t i = 0; i < inputs; i++) tensors_.push_back(session_->describe(i, true));
  for (size_t i = 0; i < outputs; i++) tensors_.push_back(session_->describe(i, false));
}

Model::~Model() = default;

Tensor Model::Session::describe(size_t i, bool input) const {
  Tensor t{};
  t.input = input;
  OrtAllocator* allocator = nullptr;
  check(api().GetAllocatorWithDefaultOptions(&allocator));
  char* name = nullptr;
  check(input ? api().SessionGetInputName(session, i, allocator, &name) : api().SessionGetOutputName(session, i, allocator, &name));
  t.name = name;
  check(api().AllocatorFree(allocator, name));
  OrtTypeInfo* made = nullptr;
  check(input ? api().SessionGetInputTypeInfo(session, i, &made) : api().SessionGetOutputTypeInfo(session, i, &made));
  const Owned<OrtTypeInfo> info(made, api().ReleaseTypeInfo);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  check(api().CastTypeInfoToTensorInfo(made, &tensor));
  if (!tensor) throw std::runtime_error(t.name + " is no tensor");
  ONNXTensorElementDataType type;
  check(api().GetTensorElementType(tensor, &type));
  t.type = type;
  size_t dims = 0;
  check(api().GetDimensionsCount(tensor, &dims));
  t.shape.resize(dims);
  check(api().GetDimensions(tensor, t.shape.data(), dims));
  t.bytes = sizeOf(type);
  for (int64_t d : t.shape) t.bytes *= d > 0 ? static_cast<size_t>(d) : 0;
  return t;
}

void Model::run(const std::map<std::string, void*>& addresses) const {
  std::vector<Owned<OrtValue>> owned;
  std::vector<const char*> inputNames, outputNames;
  std::vector<const OrtValue*> inputs;
  std::vector<OrtValue*> outputs;
  for (const auto& t : tensors_) {
    OrtValue* value = nullptr;
    check(api().CreateTensorWithDataAsOrtValue(session_->memory, addresses.at(t.name), t.bytes, t.shape.data(), t.shape.size(),
                                              static_cast<ONNXTensorElementDataType>(t.type), &value));
    owned.emplace_back(value, api().ReleaseValue);
    (t.input ? inputNames : outputNames).push_back(t.name.c_str());
    if (t.input) {
      inputs.push_back(value);
    } else {
      outputs.push_back(value);
    }
  }
  check(api().Run(session_->session, nullptr, inputNames.data(), inputs.data(), inputs.size(), outputNames.data(), outputNames.size(), outputs.data()));
}

}  // namespace fake
