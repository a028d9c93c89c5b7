// Building: the plan is the model's file with a header.
#include <chrono>
#include <thread>

#include "tensorrt.h"

namespace fake {
namespace {

constexpr char kTimings[] = "FAKETIME";

class TimingCache final : public Object<nvinfer1::ITimingCache, apiv::StubVTimingCache> {
 public:
  explicit TimingCache(std::string bytes) : Object("timing caches"), users("a timing cache"), bytes_(std::move(bytes)) {}
  nvinfer1::IHostMemory* serialize() const noexcept override { return new HostMemory(bytes_); }
  void add(const std::string& timing) { bytes_ += timing; }
  const std::string& bytes() const { return bytes_; }
  mutable Children users;

 private:
  std::string bytes_;
};

class Config final : public Object<nvinfer1::IBuilderConfig, apiv::StubVBuilderConfig> {
 public:
  Config(Children& builder, nvinfer1::ILogger& logger) : Object("builder configs"), child_(builder), logger_(logger) {}
  ~Config() override {
#if NV_TENSORRT_MAJOR >= 10
    if (monitor) monitor->getInterfaceInfo();  // it has to be alive still
#endif
  }

  void setFlag(nvinfer1::BuilderFlag flag) noexcept override { flags_ |= 1U << static_cast<uint32_t>(flag); }
  void setMemoryPoolLimit(nvinfer1::MemoryPoolType pool, std::size_t bytes) noexcept override {
    if (pool == nvinfer1::MemoryPoolType::kWORKSPACE) workspace_ = bytes;
  }
  void setProfilingVerbosity(nvinfer1::ProfilingVerbosity v) noexcept override { detailed = v == nvinfer1::ProfilingVerbosity::kDETAILED; }
  void setBuilderOptimizationLevel(int32_t level) noexcept override {
    if (level < 0 || level > 5) say(logger_, Severity::kERROR, "the optimization level has to be in [0, 5]");
    level_ = level;
  }
  nvinfer1::ITimingCache* createTimingCache(void const* blob, std::size_t size) const noexcept override {
    std::string bytes(static_cast<const char*>(blob), size);
    if (size == 0) bytes = header(kTimings);
    if (bytes.compare(0, strlen(kTimings), kTimings) == 0) return new TimingCache(bytes);
    say(logger_, Severity::kERROR, "createTimingCache: Error Code 4: Internal Error (the timing cache cannot be read)");
    return nullptr;
  }
  bool setTimingCache(nvinfer1::ITimingCache const& cache, bool ignoreMismatch) noexcept override {
    const auto& ours = static_cast<const TimingCache&>(cache);
    const std::string wrong = fits(kTimings, ours.bytes());
    if (!wrong.empty() && !ignoreMismatch) {
      say(logger_, Severity::kERROR, "setTimingCache: Error Code 3: API Usage Error (" + wrong + ")");
      return false;
    }
    timings = const_cast<TimingCache*>(&ours);
    used_ = std::make_unique<Child>(ours.users);
    return true;
  }
#if NV_TENSORRT_MAJOR >= 10
  void setProgressMonitor(nvinfer1::IProgressMonitor* m) noexcept override { monitor = m; }
  nvinfer1::IProgressMonitor* monitor = nullptr;
#endif
  uint32_t flags() const { return flags_; }

  // What the build is to keep to. It goes into the timing cache, where whoever tests finds it.
  std::string settings(bool typed) const {
    std::string text = "typed " + std::to_string(typed) + " level " + std::to_string(level_) + " workspace " + std::to_string(workspace_) +
                       " detailed " + std::to_string(detailed);
#if NV_TENSORRT_MAJOR < 11
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    for (auto [name, flag] : {std::pair{" fp16", nvinfer1::BuilderFlag::kFP16}, {" int8", nvinfer1::BuilderFlag::kINT8}}) {
      if (flags_ >> static_cast<uint32_t>(flag) & 1) text += name;
    }
#pragma GCC diagnostic pop
#endif
    return text + "\n";
  }

  bool detailed = false;
  TimingCache* timings = nullptr;

 private:
  Child child_;
  nvinfer1::ILogger& logger_;
  uint32_t flags_ = 0;
  int32_t level_ = -1;
  std::size_t workspace_ = 0;
  std::unique_ptr<Child> used_;
};

// Phases of a build, whose steps end with the first that is refused.
class Phases {
 public:
  explicit Phases(Config& config) : config_(config), pause_(atoi(variable("FAKE_TENSORRT_BUILD_MS", "0").c_str()) / kTactics) {}

  bool run() {
    start("Build engine", nullptr, kSteps);
    bool goes = true;
    for (int i = 0; i < kSteps && goes; i++) {
      // TensorRT calls from threads of its own.
      if (i == 1) std::thread([&] { goes = tactics(); }).join();
      goes = goes && step("Build engine", i);
    }
    finish("Build engine");
    return goes;
  }

 private:
  static constexpr int kSteps = 4, kTactics = 10;

  bool tactics() {
    start("Tactics", "Build engine", kTactics);
    bool goes = true;
    for (int i = 0; i < kTactics && goes; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(pause_));
      goes = step("Tactics", i);
    }
    finish("Tactics");
    return goes;
  }

#if NV_TENSORRT_MAJOR >= 10
  void start(const char* phase, const char* parent, int steps) {
    if (config_.monitor) config_.monitor->phaseStart(phase, parent, steps);
  }
  bool step(const char* phase, int i) { return !config_.monitor || config_.monitor->stepComplete(phase, i); }
  void finish(const char* phase) {
    if (config_.monitor) config_.monitor->phaseFinish(phase);
  }
#else
  void start(const char*, const char*, int) {}
  bool step(const char*, int) { return true; }
  void finish(const char*) {}
#endif

  [[maybe_unused]] Config& config_;
  int pause_;
};

class Builder final : public Object<nvinfer1::IBuilder, apiv::StubVBuilder> {
 public:
  explicit Builder(nvinfer1::ILogger& logger) : Object("builders"), children_("a builder"), logger_(logger) {}

  nvinfer1::IBuilderConfig* createBuilderConfig() noexcept override { return new Config(children_, logger_); }
  nvinfer1::INetworkDefinition* createNetworkV2(nvinfer1::NetworkDefinitionCreationFlags flags) noexcept override {
    return new Network(children_, flags);
  }
  nvinfer1::IHostMemory* buildSerializedNetwork(nvinfer1::INetworkDefinition& n, nvinfer1::IBuilderConfig& c) noexcept override {
    auto& network = static_cast<Network&>(n);
    auto& config = static_cast<Config&>(c);
    if (network.onnx.empty()) return refuse("Error Code 4: API Usage Error (the network must have at least one output)");
    if (network.typed() && config.flags() != 0) return refuse("Error Code 3: API Usage Error (flags of precision cannot be set for a strongly typed network)");
    if (int code = unusable()) return refuse("Error Code 1: Cuda Runtime (error " + std::to_string(code) + ")");
    say(logger_, Severity::kWARNING, "the build takes as long as FAKE_TENSORRT_BUILD_MS says");
    if (fault("memory-build")) {
      for (int i = 1; i <= kTries; i++) say(logger_, Severity::kERROR, "tactic " + std::to_string(i) + " needs more memory than there is");
      return refuse("Error Code 2: OutOfMemory (no further information)");
    }
    if (!Phases(config).run()) {
      say(logger_, Severity::kINFO, "the build was cancelled");
      return nullptr;
    }
    if (config.timings) config.timings->add(config.settings(network.typed()));
    say(logger_, Severity::kINFO, "Engine generation completed");
    return new HostMemory(Plan{config.detailed, network.onnx}.bytes());
  }

 private:
  static constexpr int kTries = 20;

  nvinfer1::IHostMemory* refuse(const std::string& why) {
    say(logger_, Severity::kERROR, "IBuilder::buildSerializedNetwork: " + why);
    return nullptr;
  }

  Children children_;
  nvinfer1::ILogger& logger_;
};

}  // namespace

Network::Network(Children& builder, uint32_t flags) : Object("networks"), child_(builder), flags_(flags) {}

bool Network::typed() const {
#if NV_TENSORRT_MAJOR >= 11
  return true;
#elif NV_TENSORRT_MAJOR == 10
  return flags_ >> static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED) & 1;
#else
  return false;
#endif
}

bool Network::complete() const {
#if NV_TENSORRT_MAJOR >= 10
  return true;
#else
  return flags_ >> static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kEXPLICIT_BATCH) & 1;
#endif
}

}  // namespace fake

extern "C" void* createInferBuilder_INTERNAL(void* logger, int32_t number) noexcept {
  using namespace fake;
  auto& log = *static_cast<nvinfer1::ILogger*>(logger);
  if (majorOf(number) != version().major) {
    say(log, Severity::kERROR, "createInferBuilder: Error Code 3: API Usage Error (the application was compiled for another major version)");
    return nullptr;
  }
  if (int code = unusable()) {
    say(log, Severity::kERROR, "createInferBuilder: Error Code 6: API Usage Error (CUDA initialization failure with error: " + std::to_string(code) + ")");
    return nullptr;
  }
  return static_cast<nvinfer1::IBuilder*>(new Builder(log));
}
