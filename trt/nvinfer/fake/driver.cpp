// Walks through all that the shim does, against the fake TensorRT:
//
//	driver SHIM walk FOLDER     everything; the folder has the models and pictures of fake_test.go
//	driver SHIM missing TEXT    TensorRT or CUDA is not there, and the error has the text
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "../shim/shim.h"

namespace {

#define FUNCTIONS(X) \
  X(abi) X(major) X(free) X(open) X(close) X(describe) X(make) X(load) X(unload) X(tensors) X(tensor_at) X(scaling) X(frame) X(captured) X(run) \
      X(profile) X(inspect)

struct Shim {
#define DECLARE(f) decltype(&nvi_##f) f;
  FUNCTIONS(DECLARE)
} shim;

int failures = 0;

#define CHECK(truth, ...)                               \
  do {                                                  \
    if (!(truth)) {                                     \
      failures++;                                       \
      fprintf(stderr, "driver.cpp:%d: ", __LINE__);     \
      fprintf(stderr, __VA_ARGS__);                     \
      fputc('\n', stderr);                              \
    }                                                   \
  } while (0)

char said[4096];

nvi_error error() {
  said[0] = 0;
  return {said, sizeof said};
}

// WANT calls a function that ends in an error's text, of which a part is told.
#define WANT(call, status, part)                                                                                              \
  do {                                                                                                                        \
    const nvi_status got = call;                                                                                              \
    CHECK(got == (status), "%s: status %d, want %s; %s", #call, got, #status, said);                                          \
    CHECK(got == NVI_OK || strstr(said, part), "%s: \"%s\" lacks \"%s\"", #call, said, part);                                 \
    CHECK(!strchr(said, '\n'), "%s: more than one line: %s", #call, said);                                                    \
  } while (0)

void fault(const std::string& name) { setenv("FAKE_CUDA_FAULT", name.c_str(), 1); }

using Bytes = std::vector<char>;

Bytes file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  Bytes bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  CHECK(!bytes.empty(), "%s is missing", path.c_str());
  return bytes;
}

Bytes take(nvi_bytes b) {
  const char* data = static_cast<const char*>(b.data);
  Bytes bytes(data, data + b.size);
  shim.free(b);
  return bytes;
}

// Progress is what a build tells, and when it shall stop.
struct Progress {
  std::vector<std::string> told;
  size_t most = SIZE_MAX;

  static int32_t tell(void* user, const char* phase, const char* parent, int32_t done, int32_t steps) {
    auto& p = *static_cast<Progress*>(user);
    p.told.push_back(std::string(phase) + "<" + parent + " " + std::to_string(done) + "/" + std::to_string(steps));
    return p.told.size() < p.most;
  }
};

struct Made {
  nvi_status status;
  Bytes plan, timings;
};

// holds are the types that the model is said to have.
int32_t holds = 0;

Made make(nvi_library* l, const Bytes& model, const Bytes& timings, int precision, bool detailed, Progress* progress) {
  nvi_build b{};
  b.holds = holds;
  b.model = model.data(), b.model_size = model.size();
  b.timing_cache = timings.data(), b.timing_cache_size = timings.size();
  b.precision = precision, b.optimisation_level = 3, b.detailed = detailed, b.workspace = 1 << 28;
  if (progress) b.progress = Progress::tell, b.user = progress;
  nvi_bytes plan{}, kept{};
  Made m{shim.make(l, &b, &plan, &kept, error()), {}, {}};
  if (m.status == NVI_OK) m.plan = take(plan), m.timings = take(kept);
  CHECK((m.status == NVI_OK) == !m.plan.empty(), "status %d with a plan of %zu bytes", m.status, m.plan.size());
  return m;
}

bool has(const Bytes& text, const std::string& part) { return std::string(text.begin(), text.end()).find(part) != std::string::npos; }

Bytes model, broken, image, mask, twice;
bool tells;  // builds tell how far they are

// settings arrive at TensorRT's builder.
void settings(nvi_library* l) {
  const std::string common = " level 3 workspace 268435456 detailed ";
  const bool typedOnly = shim.major() >= 11, flagged = shim.major() < 10;
  for (const auto& [held, flags] : {std::pair{0, ""}, {NVI_FP16, " fp16"}, {NVI_INT8, " int8"}, {NVI_FP16 | NVI_INT8, " fp16 int8"}}) {
    holds = held;
    const Made typed = make(l, model, {}, NVI_TYPED, held == NVI_FP16, nullptr);
    const std::string want = (flagged ? "typed 0" : "typed 1") + common + (held == NVI_FP16 ? "1" : "0") + (flagged ? flags : "") + "\n";
    CHECK(typed.status == NVI_OK && has(typed.timings, want), "a model with %d was not built with \"%s\"; %s", held, want.c_str(), said);
  }
  holds = 0;
  for (const auto& [weak, flags] : {std::pair{int32_t{NVI_FP16}, " fp16"}, {NVI_FP16 | NVI_INT8, " fp16 int8"}}) {
    const Made made = make(l, model, {}, weak, false, nullptr);
    WANT(made.status, typedOnly ? NVI_USE : NVI_OK, "typed");
    CHECK(typedOnly || has(made.timings, "typed 0" + common + "0" + flags + "\n"), "built weakly without%s", flags);
  }
}

void build(nvi_library* l, Made& good) {
  Progress progress;
  good = make(l, model, {}, NVI_TYPED, true, &progress);
  CHECK(good.status == NVI_OK, "build: %s", said);
  const size_t phases = progress.told.size();
  if (tells) {
    CHECK(phases == 18 && progress.told[0] == "Build engine< 0/4" && progress.told[2] == "Tactics<Build engine 0/10" &&
              progress.told[17] == "Build engine< 4/4",
          "%zu steps of progress from %s to %s", phases, progress.told.front().c_str(), progress.told.back().c_str());
  } else {
    CHECK(phases == 0, "TensorRT 8 tells %zu steps of progress", phases);
  }
  setenv("FAKE_TENSORRT_BUILD_MS", "200", 1);
  const auto start = std::chrono::steady_clock::now();
  CHECK(make(l, model, {}, NVI_TYPED, false, nullptr).status == NVI_OK, "build without progress: %s", said);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(200), "a slow build is quick");
  unsetenv("FAKE_TENSORRT_BUILD_MS");

  // The timing cache grows with every build; one of elsewhere is left alone.
  const size_t once = good.timings.size();
  const Made again = make(l, model, good.timings, NVI_TYPED, false, nullptr);
  CHECK(again.timings.size() > once, "the timing cache has %zu bytes after %zu", again.timings.size(), once);
  CHECK(make(l, model, Bytes(100, 'x'), NVI_TYPED, false, nullptr).timings.size() == once, "a cache of nonsense was used");
  for (const auto& [name, value] : {std::pair{"FAKE_TENSORRT_VERSION", std::to_string(shim.major()) + ".99.1"}, {"FAKE_GPU_CAPABILITY", "72"}}) {
    setenv(name, value.c_str(), 1);
    const Made other = make(l, model, again.timings, NVI_TYPED, false, nullptr);
    CHECK(other.status == NVI_OK && other.timings.size() == once, "with another %s: status %d, %zu bytes, want %zu; %s", name, other.status,
          other.timings.size(), once, said);
    const Made next = make(l, model, other.timings, NVI_TYPED, false, nullptr);
    CHECK(next.timings.size() > once, "with another %s, its own cache is not used", name);
    unsetenv(name);
    nvi_engine* engine = nullptr;
    WANT(shim.load(l, other.plan.data(), other.plan.size(), &engine, error()), NVI_PLAN, "expecting");
    CHECK(!engine, "an engine came with an error");
  }

  if (tells) {
    for (size_t most : {1, 2, 5, 13, 17}) {
      Progress stopped;
      stopped.most = most;
      WANT(make(l, model, {}, NVI_TYPED, false, &stopped).status, NVI_CANCELLED, "cancelled");
      CHECK(stopped.told.size() <= most + 4, "told %zu times after the %zuth was refused", stopped.told.size(), most);
    }
  }
  WANT(make(l, broken, {}, NVI_TYPED, false, nullptr).status, NVI_MODEL, shim.major() >= 10 ? "node nearest (ArgMix)" : "node 0: ");
  WANT(make(l, Bytes(50, 'x'), {}, NVI_TYPED, false, nullptr).status, NVI_MODEL, "read the model: ");
  WANT(make(l, {}, {}, NVI_TYPED, false, nullptr).status, NVI_MODEL, "read the model: ");
  settings(l);
  fault("memory-build");
  WANT(make(l, model, {}, NVI_TYPED, false, nullptr).status, NVI_MEMORY, "build the engine: tactic 14 needs more memory than there is; tactic 15 ");
  CHECK(strstr(said, "tactic 20 ") && strstr(said, "OutOfMemory") && !strstr(said, "tactic 13 "), "not the last eight errors: %s", said);
  fault("");
}

nvi_engine* load(nvi_library* l, const Bytes& plan) {
  nvi_engine* engine = nullptr;
  WANT(shim.load(l, plan.data(), plan.size(), &engine, error()), NVI_OK, "");
  return engine;
}

nvi_tensor tensor(nvi_engine* e, const char* name) {
  for (int i = 0; i < shim.tensors(e); i++) {
    const nvi_tensor t = shim.tensor_at(e, i);
    if (strcmp(t.name, name) == 0) return t;
  }
  CHECK(false, "there is no tensor %s", name);
  return {};
}

// spoil makes sure that what is seen afterwards is of the next run.
void spoil(nvi_engine* e) {
  for (int i = 0; i < shim.tensors(e); i++) {
    const nvi_tensor t = shim.tensor_at(e, i);
    memset(t.data, 0xEE, t.size);
  }
}

void seen(nvi_engine* e, const char* when) {
  const nvi_tensor m = tensor(e, "mask"), style = tensor(e, "style");
  CHECK(m.size == mask.size() && memcmp(m.data, mask.data(), mask.size()) == 0, "%s: the mask is not what was painted", when);
  const float red = *static_cast<float*>(style.data);
  CHECK(red > 0.1f && red < 0.9f, "%s: style %f", when, static_cast<double>(red));
}

void run(nvi_engine* e, const char* when) {
  spoil(e);
  memcpy(tensor(e, "image").data, image.data(), image.size());
  WANT(shim.run(e, error()), NVI_OK, "");
  seen(e, when);
}

struct Layers {
  int count = 0;
  float milliseconds = 0;
  int32_t last = -1;
  bool network = false;
  static void add(void* user, int32_t run, const char* layer, float ms) {
    auto& layers = *static_cast<Layers*>(user);
    layers.count++;
    layers.last = run;
    layers.network = layers.network || layer[0] == '{';
    layers.milliseconds += ms;
  }
};

void use(nvi_library* l, const Bytes& plan) {
  nvi_engine* e = load(l, plan);
  CHECK(shim.tensors(e) == 3, "%d tensors", shim.tensors(e));
  const nvi_tensor in = tensor(e, "image"), out = tensor(e, "mask"), style = tensor(e, "style");
  CHECK(in.input == 1 && in.type == NVI_UINT8 && in.dims == 4 && in.shape[1] == 36 && in.size == image.size(), "the input is another");
  CHECK(out.input == 0 && out.type == NVI_UINT8 && out.dims == 3 && out.shape[2] == 24 && out.size == mask.size(), "the mask is another");
  CHECK(style.type == NVI_FLOAT32 && style.dims == 2 && style.size == 24, "the style is another");
  CHECK(shim.captured(e, error()) == 1 && said[0] == 0, "not captured: %s", said);
  for (int i = 0; i < 3; i++) run(e, "replayed");

  Layers layers;
  WANT(shim.profile(e, 3, Layers::add, &layers, error()), NVI_OK, "");
  CHECK(layers.count == 12 && layers.last == 2 && layers.network && layers.milliseconds > 0, "%d layers in %f ms, run %d the last", layers.count,
        static_cast<double>(layers.milliseconds), layers.last);
  nvi_bytes json{};
  WANT(shim.inspect(e, &json, error()), NVI_OK, "");
  const Bytes text = take(json);
  const std::string layersText(text.begin(), text.end());
  const char* type = shim.major() >= 11 ? "\"Datatype\": \"UInt8\"" : "\"Format/Datatype\": \"Row major linear UInt8 format\"";
  CHECK(layersText.find("\"Layers\": [{\"Name\"") != std::string::npos && layersText.find(type) != std::string::npos, "inspected as %s", layersText.c_str());
  run(e, "after a profile");
  shim.unload(e);
}

// turns gives frames of several sizes, as several cameras do: what was made for one stays.
void turns(nvi_engine* e) {
  void *first = nullptr, *again = nullptr, *other = nullptr;
  size_t size = 0;
  WANT(shim.frame(e, 96, 72, NVI_BGR, &first, &size, error()), NVI_OK, "");
  memcpy(first, twice.data(), size);
  for (int i = 0; i < 3; i++) {
    WANT(shim.frame(e, 96, 72, NVI_YUYV, &other, &size, error()), NVI_OK, "");
    CHECK(other != first && size == 2 * 96 * 72, "one memory for frames of two formats");
    memset(other, 0, size);
    WANT(shim.run(e, error()), NVI_OK, "");
    WANT(shim.frame(e, 96, 72, NVI_BGR, &again, &size, error()), NVI_OK, "");
    CHECK(again == first && size == twice.size(), "other memory for frames of the same kind");
    spoil(e);
    WANT(shim.run(e, error()), NVI_OK, "");
    seen(e, "a frame in its turn");
  }
  for (int i = 0; i < 20; i++) {
    WANT(shim.frame(e, 98 + 2 * i, 72, NVI_BGR, &other, &size, error()), NVI_OK, "");
    WANT(shim.run(e, error()), NVI_OK, "");
  }
  WANT(shim.frame(e, 96, 72, NVI_BGR, &first, &size, error()), NVI_OK, "");
  memcpy(first, twice.data(), size);
  spoil(e);
  WANT(shim.run(e, error()), NVI_OK, "");
  seen(e, "a frame after many others");
  WANT(shim.frame(e, 0, 0, NVI_BGR, &other, &size, error()), NVI_OK, "");
  run(e, "after the frames in turns");
}

// frames are scaled in front of the network, in the graph and without it.
void scale(nvi_library* l, const Bytes& plan) {
  const Bytes kernel = {'F', 'A', 'K', 'E', ' ', 'K', 'E', 'R', 'N', 'E', 'L', '\n'}, other(20, 'x');
  for (bool refused : {false, true}) {
    fault(refused ? "capture" : "");
    nvi_engine* e = load(l, plan);
    void* frame = nullptr;
    size_t size = 0;
    WANT(shim.frame(e, 96, 72, NVI_BGR, &frame, &size, error()), NVI_USE, "by the CPU");
    WANT(shim.scaling(e, other.data(), other.size(), error()), NVI_MISSING, "CUDA driver error 200");
    WANT(shim.scaling(e, kernel.data(), kernel.size(), error()), NVI_OK, "");
    WANT(shim.frame(e, 96, 72, NVI_BGR, &frame, &size, error()), NVI_OK, "");
    CHECK(size == twice.size() && shim.captured(e, error()) == !refused, "%zu bytes; %s", size, said);
    memcpy(frame, twice.data(), size);
    // CUDA keeps much by thread, and Go moves between them.
    std::thread([e] {
      spoil(e);
      WANT(shim.run(e, error()), NVI_OK, "");
      seen(e, "a frame that was scaled");
    }).join();
    WANT(shim.frame(e, 97, 71, NVI_NV12, &frame, &size, error()), NVI_USE, "by the CPU");
    run(e, "after a frame of an impossible size");
    fault("memory");
    WANT(shim.frame(e, 120, 80, NVI_BGR, &frame, &size, error()), NVI_MEMORY, "CUDA error 2, out of memory");
    CHECK(!frame && size == 0, "a frame came with an error");
    fault(refused ? "capture" : "");
    run(e, "after a frame for which there was no memory");
    WANT(shim.frame(e, 48, 36, NVI_YUYV, &frame, &size, error()), NVI_OK, "");
    WANT(shim.run(e, error()), NVI_OK, "");
    WANT(shim.frame(e, 0, 0, NVI_BGR, &frame, &size, error()), NVI_OK, "");
    run(e, "scaled by the CPU again");
    turns(e);
    shim.unload(e);
  }
  fault("");
}

void damaged(nvi_library* l, const Bytes& plan) {
  nvi_engine* e = nullptr;
  for (size_t at : {size_t{0}, size_t{60}, plan.size() / 2, plan.size() - 1}) {
    Bytes bad = plan;
    bad[at] ^= 0x40;
    WANT(shim.load(l, bad.data(), bad.size(), &e, error()), NVI_PLAN, "read the plan: ");
  }
  for (size_t size : {size_t{0}, size_t{1}, size_t{30}, size_t{48}, plan.size() - 1}) {
    const Bytes bad(plan.begin(), plan.begin() + static_cast<std::ptrdiff_t>(size));
    WANT(shim.load(l, bad.data(), bad.size(), &e, error()), NVI_PLAN, "read the plan: ");
  }
  char little[8];
  CHECK(shim.load(l, "x", 1, &e, {little, sizeof little}) == NVI_PLAN && strcmp(little, "read th") == 0, "a short text: %.8s", little);
  CHECK(shim.load(l, "x", 1, &e, {nullptr, 0}) == NVI_PLAN, "no room for a text");
}

void faults(nvi_library* l, const Bytes& plan) {
  nvi_device device;
  nvi_engine* e = nullptr;
  Layers layers;
  for (const auto& [name, part] : {std::pair{"capture", "does not permit"}, {"capture-begin", "begin to capture: "}}) {
    fault(name);
    e = load(l, plan);
    CHECK(shim.captured(e, error()) == 0 && strstr(said, part), "%s: \"%s\"", name, said);
    for (int i = 0; i < 2; i++) run(e, name);
    shim.unload(e);
  }
  fault("memory");
  WANT(shim.load(l, plan.data(), plan.size(), &e, error()), NVI_MEMORY, "tensor image: CUDA error 2, out of memory");
  fault("memory-plan");
  WANT(shim.load(l, plan.data(), plan.size(), &e, error()), NVI_MEMORY, "read the plan: ");
  fault("memory-context");
  WANT(shim.load(l, plan.data(), plan.size(), &e, error()), NVI_MEMORY, "make room for running the engine: ");
  fault("");
  e = load(l, plan);
  fault("memory-context");
  WANT(shim.profile(e, 1, Layers::add, &layers, error()), NVI_MEMORY, "make room for profiling");
  run(e, "after a profile for which there was no memory");
  shim.unload(e);
  for (const char* graph : {"", "capture,"}) {
    fault(graph);
    e = load(l, plan);
    fault(std::string(graph) + "enqueue:2");
    run(e, "before the run that fails");
    WANT(shim.run(e, error()), NVI_RUN, "run the engine: CUDA error 701, too many resources");
    run(e, "after the run that failed");
    fault(std::string(graph) + "enqueue:1");
    WANT(shim.profile(e, 1, Layers::add, &layers, error()), NVI_RUN, "CUDA error 701");
    run(e, "after the profile that failed");
    shim.unload(e);

    // Loading's own runs are not counted.
    fault(std::string(graph) + "sticky:2");
    e = load(l, plan);
    run(e, "before the GPU breaks");
    WANT(shim.run(e, error()), NVI_BROKEN, "CUDA error 719, unspecified launch failure");
    WANT(shim.run(e, error()), NVI_BROKEN, "CUDA error 719");
    WANT(shim.profile(e, 1, Layers::add, &layers, error()), NVI_BROKEN, "make room for profiling the engine: CUDA error 719");
    WANT(shim.describe(l, &device, error()), NVI_BROKEN, "CUDA error 719");
    nvi_engine* none = nullptr;
    WANT(shim.load(l, plan.data(), plan.size(), &none, error()), NVI_BROKEN, "start TensorRT: CUDA error 719");
    WANT(make(l, model, {}, NVI_TYPED, false, nullptr).status, NVI_BROKEN, "start TensorRT's builder: CUDA error 719");
    shim.unload(e);
  }
  for (const auto& [name, part] : {std::pair{"no-gpu", "there is no GPU"}, {"driver", "does not answer: CUDA driver error 803"}}) {
    fault(name);
    WANT(shim.describe(l, &device, error()), NVI_DEVICE, part);
    WANT(shim.load(l, plan.data(), plan.size(), &e, error()), NVI_DEVICE, "CUDA initialization failure");
    WANT(make(l, model, {}, NVI_TYPED, false, nullptr).status, NVI_DEVICE, "CUDA initialization failure");
  }
  fault("");
  setenv("FAKE_TENSORRT_VERSION", "9.9.9", 1);
  WANT(shim.load(l, plan.data(), plan.size(), &e, error()), NVI_DEVICE, "another major version");
  WANT(make(l, model, {}, NVI_TYPED, false, nullptr).status, NVI_DEVICE, "another major version");
  unsetenv("FAKE_TENSORRT_VERSION");
  e = load(l, plan);
  run(e, "after all faults");
  shim.unload(e);
}

void walk(const std::string& folder) {
  model = file(folder + "/model.onnx"), broken = file(folder + "/broken.onnx"), image = file(folder + "/image"), mask = file(folder + "/mask"),
  twice = file(folder + "/twice");
  tells = shim.major() >= 10;
  nvi_library* l = nullptr;
  setenv("FAKE_TENSORRT_VERSION", "9.9.9", 1);
  WANT(shim.open(&l, error()), NVI_VERSION, "says that it is version ");
  unsetenv("FAKE_TENSORRT_VERSION");
  WANT(shim.open(&l, error()), NVI_OK, "");
  if (!l) return;
  nvi_device d;
  WANT(shim.describe(l, &d, error()), NVI_OK, "");
  CHECK(d.tensorrt[0] == shim.major() && strcmp(d.name, "Orin (fake)") == 0 && d.capability == 87 && d.processors == 8 && d.integrated == 1 && d.cuda >= 11000,
        "%s of %d.%d.%d, capability %d, CUDA %d", d.name, d.tensorrt[0], d.tensorrt[1], d.tensorrt[2], d.capability, d.cuda);
  printf("%d.%d.%d\n", d.tensorrt[0], d.tensorrt[1], d.tensorrt[2]);
  Made good;
  build(l, good);
  use(l, good.plan);
  scale(l, good.plan);
  damaged(l, good.plan);
  faults(l, good.plan);
  shim.close(l);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
#define FIND(f) \
  if (!(shim.f = reinterpret_cast<decltype(shim.f)>(dlsym(library, "nvi_" #f)))) return fprintf(stderr, "%s\n", dlerror()), 1;
  FUNCTIONS(FIND)
  CHECK(shim.abi() == NVI_ABI, "the shim has ABI %d", shim.abi());
  if (strcmp(arguments[2], "walk") == 0) {
    walk(arguments[3]);
  } else {
    nvi_library* l = nullptr;
    WANT(shim.open(&l, error()), NVI_MISSING, arguments[3]);
  }
  return failures == 0 ? 0 : 1;
}
