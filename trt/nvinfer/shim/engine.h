// An engine that is loaded.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "library.h"
#include "scale.h"

namespace nvi {

// Way is how the network's input is filled: by the CPU, or by the GPU from frames of one size and
// format, for which there is memory then. Each has a graph of its own, since a graph keeps sizes and
// addresses: cameras that take turns would have it captured anew with each frame.
struct Way {
  Scale scale{};
  void* pixels = nullptr;  // of a frame, for the CPU; null where it fills the input itself
  void* from = nullptr;    // the same for the GPU
  size_t bytes = 0;
  void* graph = nullptr;
  std::string refused = "no run has been made";  // why there is no graph
};

// More sizes than this at a time have their graphs captured again.
constexpr size_t kMostWays = 9;

}  // namespace nvi

struct nvi_engine {
  explicit nvi_engine(nvi_library* l) : library(l) {
    ways.push_back(std::make_unique<nvi::Way>());
    way = ways[0].get();
  }
  ~nvi_engine();

  nvi_status open(const void* plan, size_t size, nvi_error error);
  nvi_status allocate(nvi_error error);
  nvi_status enqueue(nvinfer1::IExecutionContext& c, nvi_error error);
  nvi_status prepare(const void* code, size_t size, nvi_error error);
  nvi_status frame(int32_t width, int32_t height, int32_t format, nvi_error error);
  nvi_status add(const nvi::Scale& scale, nvi_error error);
  void drop(size_t at);
  int launch();
  nvi_status finish(nvi_error error);
  nvi_status run(nvi_error error);
  void capture();
  nvi_status bind(nvinfer1::IExecutionContext& c, nvi_error error);

  nvi_library* library;
  // Destroyed from the last to the first.
  nvi::Own<nvinfer1::IRuntime> runtime;
  nvi::Own<nvinfer1::ICudaEngine> engine;
  nvi::Own<nvinfer1::IExecutionContext> context;
  cudaStream_t stream = nullptr;
  std::vector<nvi_tensor> tensors;

  // What scales frames on the GPU.
  void* module = nullptr;
  void* kernel = nullptr;
  void* to = nullptr;                       // the input for the GPU
  std::vector<std::unique_ptr<nvi::Way>> ways;  // the CPU's, then those of frames, the oldest first
  nvi::Way* way;                            // of the next run
};
