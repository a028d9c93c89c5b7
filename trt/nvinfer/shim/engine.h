// An engine that is loaded.
#pragma once
#include <string>
#include <vector>

#include "library.h"
#include "scale.h"

struct nvi_engine {
  explicit nvi_engine(nvi_library* l) : library(l) {}
  ~nvi_engine();

  nvi_status open(const void* plan, size_t size, nvi_error error);
  nvi_status allocate(nvi_error error);
  nvi_status enqueue(nvinfer1::IExecutionContext& c, nvi_error error);
  nvi_status prepare(const void* code, size_t size, nvi_error error);
  nvi_status frame(int32_t width, int32_t height, int32_t format, nvi_error error);
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
  void* graph = nullptr;
  std::string refused = "no run has been made";  // why there is no graph
  std::vector<nvi_tensor> tensors;

  // What scales frames on the GPU; without a frame's memory, the CPU writes the input.
  void* module = nullptr;
  void* kernel = nullptr;
  nvi::Scale scale{};
  void* pixels = nullptr;  // of a frame, for the CPU
  void* from = nullptr;    // the same for the GPU
  void* to = nullptr;      // the input for the GPU
  size_t pixelBytes = 0;
};
