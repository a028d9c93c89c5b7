// Loading TensorRT and CUDA, and telling what they are.
#include "library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace nvi {
namespace {

constexpr size_t kErrors = 8;

#define NVI_TEXT_(x) #x
#define NVI_TEXT(x) NVI_TEXT_(x)

// dlopen of the first name that there is; where there is none, `said` is what the loader says.
void* load(const std::vector<std::string>& names, std::string& said) {
  for (const auto& name : names) {
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      said.clear();
      return library;
    }
    said += (said.empty() ? "" : "; ") + std::string(dlerror());
  }
  return nullptr;
}

// Finds functions in a library until one is missing.
class Finder {
 public:
  Finder(const std::vector<std::string>& names) : library_(load(names, said_)) {}

  template <typename F>
  Finder& find(const char* name, F& function) {
    if (!library_ || !said_.empty()) return *this;
    function = reinterpret_cast<F>(dlsym(library_, name));
    if (!function) said_ = dlerror();
    return *this;
  }
  bool ok() const { return library_ && said_.empty(); }
  const std::string& said() const { return said_; }

 private:
  // Both are declared in this order: load writes into said_.
  std::string said_;
  void* library_;
};

// As functions that were found are found again, libraries stay loaded for the process's life.

#if NV_TENSORRT_MAJOR >= 10
constexpr int kThousands = 10000;
#else
constexpr int kThousands = 1000;
#endif

void findCuda(Cuda& cuda, std::string& said) {
#if NV_TENSORRT_MAJOR >= 10
  const std::vector<std::string> names = {"libcudart.so.13", "libcudart.so.12"};
#else
  const std::vector<std::string> names = {"libcudart.so.12", "libcudart.so.11.0"};
#endif
  Finder runtime(names);
  runtime.find("cudaRuntimeGetVersion", cuda.runtimeVersion)
      .find("cudaDeviceGetAttribute", cuda.deviceAttribute)
      .find("cudaHostAlloc", cuda.hostAlloc)
      .find("cudaHostGetDevicePointer", cuda.hostDevicePointer)
      .find("cudaFreeHost", cuda.hostFree)
      .find("cudaStreamCreateWithFlags", cuda.streamCreate)
      .find("cudaStreamDestroy", cuda.streamDestroy)
      .find("cudaStreamSynchronize", cuda.streamSynchronize)
      .find("cudaStreamBeginCapture", cuda.beginCapture)
      .find("cudaStreamEndCapture", cuda.endCapture)
      .find("cudaGraphInstantiateWithFlags", cuda.graphInstantiate)
      .find("cudaGraphLaunch", cuda.graphLaunch)
      .find("cudaGraphDestroy", cuda.graphDestroy)
      .find("cudaGraphExecDestroy", cuda.graphExecDestroy)
      .find("cudaGetLastError", cuda.lastError)
      .find("cudaGetErrorString", cuda.errorString);
  Finder driver({"libcuda.so.1"});
  driver.find("cuInit", cuda.driverInit).find("cuDeviceGet", cuda.driverDevice).find("cuDeviceGetName", cuda.driverName)
      .find("cuModuleLoadData", cuda.moduleLoad)
      .find("cuModuleGetFunction", cuda.moduleFunction)
      .find("cuModuleUnload", cuda.moduleUnload)
      .find("cuLaunchKernel", cuda.launchKernel);
  if (!runtime.ok()) said = runtime.said();
  if (!driver.ok()) said = driver.said();
}

}  // namespace

void Log::log(Severity severity, const char* text) noexcept try {
  if (severity > Severity::kERROR || !text) return;
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::lock_guard<std::mutex> lock(mutex_);
  errors_.push_back(std::move(line));
  if (errors_.size() > kErrors) errors_.pop_front();
} catch (...) {  // without memory there is nothing to be kept
}

void Log::clear() {
  std::lock_guard<std::mutex> lock(mutex_);
  errors_.clear();
}

std::string Log::take() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string all;
  for (const auto& line : errors_) all += (all.empty() ? "" : "; ") + line;
  errors_.clear();
  return all;
}

nvi_status fail(nvi_library* library, nvi_error error, nvi_status status, const std::string& what) {
  std::string text = what, logged = library ? library->log.take() : "";
  if (!logged.empty()) text += ": " + logged;
  if (error.size > 0) snprintf(error.text, error.size, "%s", text.c_str());
  return status;
}

nvi_status failCuda(nvi_library* library, nvi_error error, nvi_status status, const std::string& what, int code) {
  const char* said = library->cuda.errorString(code);
  if (broken(code)) status = NVI_BROKEN;
  if (code == kOutOfMemory) status = NVI_MEMORY;
  library->cuda.lastError();  // or a later call would be blamed for it
  return fail(library, error, status, what + ": CUDA error " + std::to_string(code) + ", " + (said ? said : "unknown"));
}

namespace {

// lacksMemory knows how TensorRT words it: "Error Code 2: OutOfMemory (…)", "Cuda Runtime (out of
// memory)". It has no code for the caller.
bool lacksMemory(std::string said) {
  std::transform(said.begin(), said.end(), said.begin(), [](unsigned char c) { return std::tolower(c); });
  return said.find("outofmemory") != std::string::npos || said.find("out of memory") != std::string::npos;
}

}  // namespace

nvi_status failTensorRT(nvi_library* library, nvi_error error, nvi_status status, const std::string& what) {
  if (int code = library->cuda.lastError()) return failCuda(library, error, status, what, code);
  const std::string logged = library->log.take();
  if (lacksMemory(logged)) status = NVI_MEMORY;
  return fail(nullptr, error, status, logged.empty() ? what : what + ": " + logged);
}

bool copy(const void* data, size_t size, nvi_bytes* to) {
  to->size = 0;
  to->data = malloc(std::max<size_t>(size, 1));
  if (!to->data) return false;
  if (size > 0) memcpy(to->data, data, size);
  to->size = size;
  return true;
}

}  // namespace nvi

using nvi::fail;

int32_t nvi_abi(void) { return NVI_ABI; }
int32_t nvi_major(void) { return NV_TENSORRT_MAJOR; }
void nvi_free(nvi_bytes bytes) { free(bytes.data); }

nvi_status nvi_open(nvi_library** out, nvi_error error) try {
  *out = nullptr;
  auto library = std::make_unique<nvi_library>();
  const std::string major = NVI_TEXT(NV_TENSORRT_MAJOR);
  std::string said;
  int32_t (*version)() = nullptr;
  nvi::Finder tensorrt({"libnvinfer.so." + major});
  tensorrt.find("getInferLibVersion", version)
      .find("createInferBuilder_INTERNAL", library->createBuilder)
      .find("createInferRuntime_INTERNAL", library->createRuntime);
  nvi::Finder parser({"libnvonnxparser.so." + major});
  parser.find("createNvOnnxParser_INTERNAL", library->createParser);
  nvi::findCuda(library->cuda, said);
  if (!parser.ok()) said = parser.said();
  if (!tensorrt.ok()) said = tensorrt.said();  // of several, what is missed most is told
  if (!said.empty()) return fail(nullptr, error, NVI_MISSING, said);
  const int32_t number = version();
  library->version[0] = number / nvi::kThousands;
  library->version[1] = number % nvi::kThousands / 100;
  library->version[2] = number % 100;
  if (library->version[0] != NV_TENSORRT_MAJOR) {
    return fail(nullptr, error, NVI_VERSION, "libnvinfer.so." + major + " says that it is version " + std::to_string(number));
  }
  *out = library.release();
  return NVI_OK;
} catch (const std::exception& e) {
  return fail(nullptr, error, NVI_MEMORY, e.what());
}

void nvi_close(nvi_library* library) { delete library; }

nvi_status nvi_describe(nvi_library* library, nvi_device* device, nvi_error error) {
  return nvi::guard(library, error, "look at the GPU", [&] {
    memset(device, 0, sizeof *device);
    const nvi::Cuda& cuda = library->cuda;
    int handle = 0, major = 0, minor = 0, processors = 0, integrated = 0;
    if (int code = cuda.driverInit(0)) {
      if (code == nvi::kNoDevice) return fail(library, error, NVI_DEVICE, "there is no GPU");
      return fail(library, error, NVI_DEVICE, "the GPU's driver does not answer: CUDA driver error " + std::to_string(code));
    }
    if (cuda.driverDevice(&handle, 0) || cuda.driverName(device->name, sizeof device->name - 1, handle)) {
      return fail(library, error, NVI_DEVICE, "there is no GPU");
    }
    for (auto [value, attribute] : {std::pair{&major, nvi::kMajor}, {&minor, nvi::kMinor}, {&processors, nvi::kProcessors}, {&integrated, nvi::kIntegrated}}) {
      if (int code = cuda.deviceAttribute(value, attribute, 0)) return nvi::failCuda(library, error, NVI_DEVICE, "look at the GPU", code);
    }
    int runtime = 0;
    if (int code = cuda.runtimeVersion(&runtime)) return nvi::failCuda(library, error, NVI_DEVICE, "ask CUDA's version", code);
    std::copy(library->version, library->version + 3, device->tensorrt);
    device->cuda = runtime;
    device->capability = 10 * major + minor;
    device->processors = processors;
    device->integrated = integrated;
    return NVI_OK;
  });
}
