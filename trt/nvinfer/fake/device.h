// A pretended GPU: memory, streams, graphs, and the faults that are asked for. It lives in the
// fake driver, libcuda.so.1, which the fake runtime and the fake TensorRT call.
//
// Work that is put into a stream is done when the stream is synchronised, so that whoever reads
// a result too early reads what was there before.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fake {

// The numbers are CUDA's, the same for the runtime and for the driver.
constexpr int kInvalidValue = 1, kNoMemory = 2, kNoDevice = 100, kInvalidDevice = 101, kInvalidImage = 200, kInvalidContext = 201,
              kNotFound = 500, kIllegalAddress = 700, kOutOfResources = 701, kLaunchFailure = 719, kDriverMismatch = 803,
              kCaptureUnsupported = 900, kCaptureInvalidated = 901;

// Prints what the caller did wrong, and aborts.
[[noreturn]] void misuse(const std::string& what);

std::string variable(const char* name, const char* otherwise);

// fault tells whether FAKE_CUDA_FAULT, a list with commas, has the name.
bool fault(const char* name);

// missing is the error while there is no GPU or no driver, unusable also that of a broken device.
int missing();
int unusable();

// The driver's functions need a context, which the runtime's give to the thread that calls them.
void attach();
bool attached();

// The error that cudaGetLastError takes away.
int lastError();
void setLastError(int code);

// Things that have to be given back; those that are not are printed at exit if FAKE_CUDA_CHECK
// is 1.
void born(const char* kind);
void died(const char* kind);

int allocate(void** memory, size_t size, bool mapped);
void release(void* memory);  // aborts if it is not allocated
bool mapped(const void* memory);
// inMemory tells whether the GPU may touch these bytes.
bool inMemory(const void* memory, size_t size);

struct Work {
  // Returns an error of CUDA. One that CUDA does not recover from breaks the device.
  std::function<int()> run;
  // Where not null, what it points to becomes true with the first replay, which is not counted
  // as a run, as it belongs to loading.
  std::shared_ptr<bool> replayed;
};

struct Stream;
struct Graph;
struct Replay;  // an instantiated graph

Stream* makeStream();
void destroy(Stream*);
void add(Stream*, Work);
int synchronise(Stream*);

bool capturing(Stream*);
// capturingHere tells whether this thread captures any stream.
bool capturingHere();
int beginCapture(Stream*);
void invalidateCapture(Stream*);
int endCapture(Stream*, Graph**);

Replay* instantiate(Graph*);
void destroy(Graph*);
void destroy(Replay*);
int launch(Replay*, Stream*);

// What FAKE_CUDA_FAULT has in store for the next run: enqueue:N and sticky:N count those since
// the variable was changed, without those of loading.
enum class Fate { kGood, kRefused, kFatal };
Fate nextRun();

// The work of a run that breaks the device.
Work fatal();

}  // namespace fake
