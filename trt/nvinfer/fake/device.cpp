#include "device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace fake {

struct Stream {
  std::deque<Work> pending;
  Graph* recording = nullptr;
  bool invalid = false;
  std::thread::id recorder;
};

struct Graph {
  std::vector<Work> works;
};

struct Replay {
  std::vector<Work> works;
};

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kGuard = 0;  // which tells more
#else
constexpr size_t kGuard = 64;
#endif
constexpr unsigned char kFresh = 0xA5, kGuarded = 0x5A;

struct Block {
  size_t size;
  bool mapped;
};

struct Device {
  std::mutex mutex;
  std::map<const char*, Block> blocks;
  std::set<const void*> handles;  // streams, graphs and replays
  std::map<std::string, int> alive;
  std::string faults;  // as they were when last looked at
  int runs = 0;        // since then
  int broken = 0;      // the error that every call gives
};

void report();

// Never destroyed, as others are used until the process ends.
Device& device() {
  static Device* d = [] {
    atexit(report);
    return new Device;
  }();
  return *d;
}

void report() {
  if (variable("FAKE_CUDA_CHECK", "") != "1") return;
  std::string leaked;
  for (const auto& [kind, count] : device().alive) {
    if (count != 0) leaked += (leaked.empty() ? "" : ", ") + std::to_string(count) + " of " + kind;
  }
  fprintf(stderr, "fake CUDA: %s\n", leaked.empty() ? "nothing leaked" : ("leaked: " + leaked).c_str());
}

// look reads the faults anew; the mutex is held. With other faults, a broken device is whole again.
void look(Device& d) {
  std::string now = variable("FAKE_CUDA_FAULT", "");
  if (now == d.faults) return;
  d.faults = std::move(now);
  d.runs = d.broken = 0;
}

// numberOf is N of the fault "name:N", or 0; the mutex is held.
int numberOf(Device& d, const std::string& name) {
  const std::string all = "," + d.faults;
  const size_t at = all.find("," + name + ":");
  return at == std::string::npos ? 0 : atoi(all.c_str() + at + name.size() + 2);
}

template <typename T>
T* keep(T* handle, const char* kind) {
  std::lock_guard<std::mutex> lock(device().mutex);
  device().handles.insert(handle);
  device().alive[kind]++;
  return handle;
}

void forget(const void* handle, const char* kind) {
  std::lock_guard<std::mutex> lock(device().mutex);
  if (device().handles.erase(handle) == 0) misuse(std::string("what is destroyed is no ") + kind);
  device().alive[kind]--;
}

void check(const void* handle, const char* kind) {
  std::lock_guard<std::mutex> lock(device().mutex);
  if (device().handles.count(handle) == 0) misuse(std::string("what is used is no ") + kind);
}

thread_local int last = 0;      // error of this thread
thread_local int captures = 0;  // under way in this thread
thread_local bool current = false;  // this thread has a context

bool unrecoverable(int code) { return code == kIllegalAddress || code == kLaunchFailure; }

}  // namespace

void misuse(const std::string& what) {
  fprintf(stderr, "fake CUDA: %s\n", what.c_str());
  abort();
}

std::string variable(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value && *value ? value : otherwise;
}

bool fault(const char* name) { return ("," + variable("FAKE_CUDA_FAULT", "") + ",").find("," + std::string(name) + ",") != std::string::npos; }

int missing() { return fault("no-gpu") ? kNoDevice : fault("driver") ? kDriverMismatch : 0; }

int unusable() {
  if (int code = missing()) return code;
  std::lock_guard<std::mutex> lock(device().mutex);
  look(device());
  return device().broken;
}

void attach() { current = true; }
bool attached() { return current; }

int lastError() {
  // What made everything fail has gone with the fault that was asked for.
  const bool lasting = unrecoverable(last) || last == kNoDevice || last == kDriverMismatch;
  return lasting ? unusable() : last;
}
void setLastError(int code) { last = code; }

void born(const char* kind) {
  std::lock_guard<std::mutex> lock(device().mutex);
  device().alive[kind]++;
}

void died(const char* kind) {
  std::lock_guard<std::mutex> lock(device().mutex);
  device().alive[kind]--;
}

int allocate(void** memory, size_t size, bool isMapped) {
  *memory = nullptr;
  if (size == 0) return kInvalidValue;
  if (posix_memalign(memory, 256, size + kGuard) != 0) return kNoMemory;
  memset(*memory, kFresh, size);
  memset(static_cast<char*>(*memory) + size, kGuarded, kGuard);
  std::lock_guard<std::mutex> lock(device().mutex);
  device().blocks[static_cast<char*>(*memory)] = {size, isMapped};
  device().alive["memory"]++;
  return 0;
}

void release(void* memory) {
  {
    std::lock_guard<std::mutex> lock(device().mutex);
    const auto found = device().blocks.find(static_cast<char*>(memory));
    if (found == device().blocks.end()) misuse("memory is freed that is not allocated");
    const char* end = found->first + found->second.size;
    if (!std::all_of(end, end + kGuard, [](char c) { return static_cast<unsigned char>(c) == kGuarded; })) misuse("something was written behind memory");
    device().blocks.erase(found);
    device().alive["memory"]--;
  }
  free(memory);
}

bool mapped(const void* memory) {
  std::lock_guard<std::mutex> lock(device().mutex);
  const auto found = device().blocks.find(static_cast<const char*>(memory));
  return found != device().blocks.end() && found->second.mapped;
}

bool inMemory(const void* memory, size_t size) {
  const char* begin = static_cast<const char*>(memory);
  std::lock_guard<std::mutex> lock(device().mutex);
  auto found = device().blocks.upper_bound(begin);
  if (found == device().blocks.begin()) return false;
  --found;
  const size_t offset = static_cast<size_t>(begin - found->first);
  return found->second.mapped && offset <= found->second.size && size <= found->second.size - offset;
}

Stream* makeStream() { return keep(new Stream, "streams"); }

void destroy(Stream* s) {
  synchronise(s);
  forget(s, "streams");
  if (s->recording) {
    destroy(s->recording);
    captures--;
  }
  delete s;
}

void add(Stream* s, Work work) {
  check(s, "streams");
  if (s->recording) {
    s->recording->works.push_back(std::move(work));
  } else {
    s->pending.push_back(std::move(work));
  }
}

int synchronise(Stream* s) {
  check(s, "streams");
  if (s->recording) {
    s->invalid = true;
    return kCaptureUnsupported;
  }
  int failed = 0;
  while (!s->pending.empty()) {
    const Work work = std::move(s->pending.front());
    s->pending.pop_front();
    if (int broken = unusable()) return s->pending.clear(), broken;
    const int code = work.run();
    if (failed == 0) failed = code;
    if (unrecoverable(code)) {
      std::lock_guard<std::mutex> lock(device().mutex);
      device().broken = code;
    }
  }
  return failed;
}

bool capturing(Stream* s) {
  check(s, "streams");
  return s->recording != nullptr;
}

bool capturingHere() { return captures > 0; }

int beginCapture(Stream* s) {
  check(s, "streams");
  if (s->recording) return kInvalidValue;
  s->recording = keep(new Graph, "graphs");
  s->invalid = false;
  s->recorder = std::this_thread::get_id();
  captures++;
  return 0;
}

void invalidateCapture(Stream* s) { s->invalid = true; }

int endCapture(Stream* s, Graph** graph) {
  check(s, "streams");
  *graph = nullptr;
  if (!s->recording) return kInvalidValue;
  if (s->recorder != std::this_thread::get_id()) misuse("another thread ends a capture than has begun it");
  Graph* recorded = s->recording;
  s->recording = nullptr;
  captures--;
  if (s->invalid) return destroy(recorded), kCaptureInvalidated;
  *graph = recorded;
  return 0;
}

Replay* instantiate(Graph* g) {
  check(g, "graphs");
  return keep(new Replay{g->works}, "replayed graphs");
}

void destroy(Graph* g) {
  forget(g, "graphs");
  delete g;
}

void destroy(Replay* r) {
  forget(r, "replayed graphs");
  delete r;
}

int launch(Replay* r, Stream* s) {
  check(r, "replayed graphs");
  bool counts = false;
  for (const auto& work : r->works) {
    if (!work.replayed) continue;
    counts = counts || *work.replayed;
    *work.replayed = true;
  }
  const Fate fate = counts ? nextRun() : Fate::kGood;
  if (fate == Fate::kRefused) return kOutOfResources;
  if (fate == Fate::kFatal) return add(s, fatal()), 0;
  for (const auto& work : r->works) add(s, work);
  return 0;
}

Fate nextRun() {
  std::lock_guard<std::mutex> lock(device().mutex);
  look(device());
  const int run = ++device().runs;
  if (const int n = numberOf(device(), "sticky"); n > 0 && run >= n) return Fate::kFatal;
  return run == numberOf(device(), "enqueue") ? Fate::kRefused : Fate::kGood;
}

Work fatal() { return {[] { return kLaunchFailure; }, nullptr}; }

}  // namespace fake
