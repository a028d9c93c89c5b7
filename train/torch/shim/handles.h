// What the parts of the shim share: handles, devices, errors.
#pragma once
#include "shim.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

extern std::atomic<int64_t> live_handles;

inline at::Tensor& tensor_of(int64_t handle) { return *reinterpret_cast<at::Tensor*>(handle); }

inline c10::Device device_of(int64_t index) {
  if (index < 0) return c10::Device(c10::kCPU);
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// fail keeps the first line of a message.
inline int64_t fail(char* error, int64_t size, const char* message) {
  if (size > 0) {
    size_t length = std::min(std::strcspn(message, "\n"), static_cast<size_t>(size - 1));
    std::memcpy(error, message, length);
    error[length] = 0;
  }
  return -1;
}

template <class Body>
int64_t guarded(char* error, int64_t size, Body body) noexcept {
  try {
    return body();
  } catch (const c10::Error& e) {
    return fail(error, size, e.what_without_backtrace());
  } catch (const std::exception& e) {
    return fail(error, size, e.what());
  } catch (...) {
    return fail(error, size, "unknown C++ exception");
  }
}

// Results are all written or, where the room does not suffice, none.
inline int64_t write_results(const std::vector<at::Tensor>& results, int64_t* out, int64_t room) {
  int64_t words = 0;
  for (const at::Tensor& t : results) words += 3 + (t.defined() ? t.dim() : 0);
  if (words > room) {
    throw std::length_error("too many results at once: " + std::to_string(results.size()) +
                            " tensors");
  }
  for (const at::Tensor& t : results) {
    if (!t.defined()) {
      out = std::fill_n(out, 3, 0);
      continue;
    }
    *out++ = reinterpret_cast<int64_t>(new at::Tensor(t));
    *out++ = static_cast<int64_t>(t.scalar_type());
    *out++ = t.dim();
    out = std::copy(t.sizes().begin(), t.sizes().end(), out);
    live_handles++;
  }
  return static_cast<int64_t>(results.size());
}
