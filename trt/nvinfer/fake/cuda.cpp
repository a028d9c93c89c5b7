// libcuda.so.1: the functions of CUDA's driver that the shim calls.
#include <cstdio>
#include <cstring>

#include "../shim/scale.h"
#include "device.h"

using namespace fake;

namespace {

// A kernel's file has to begin with this text; its one function is nvi_scale.
constexpr char kImage[] = "FAKE KERNEL";
constexpr char kFunction[] = "nvi_scale";

struct Module {};

int scale(nvi::Scale s, const uint8_t* frame, uint8_t* image) {
  const long pixels = static_cast<long>(s.toWidth) * s.toHeight;
  if (!inMemory(frame, nvi::bytesOf(s)) || !inMemory(image, 3 * pixels)) return kIllegalAddress;
  for (long i = 0; i < pixels; i++) {
    const nvi::Rgb c = nvi::scaled(s, frame, static_cast<int>(i % s.toWidth), static_cast<int>(i / s.toWidth));
    image[3 * i] = static_cast<uint8_t>(c.r);
    image[3 * i + 1] = static_cast<uint8_t>(c.g);
    image[3 * i + 2] = static_cast<uint8_t>(c.b);
  }
  return 0;
}

int refusal() {
  if (int code = unusable()) return code;
  return attached() ? 0 : kInvalidContext;
}

}  // namespace

extern "C" {

int cuInit(unsigned flags) { return flags ? kInvalidValue : missing(); }

int cuDeviceGet(int* device, int ordinal) {
  if (int code = missing()) return code;
  if (ordinal != 0) return kInvalidDevice;
  *device = 0;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  if (int code = missing()) return code;
  if (device != 0) return kInvalidDevice;
  snprintf(name, size, "%s", variable("FAKE_GPU_NAME", "Orin (fake)").c_str());
  return 0;
}

int cuModuleLoadData(void** module, const void* image) {
  if (int code = refusal()) return code;
  if (strncmp(static_cast<const char*>(image), kImage, sizeof kImage - 1) != 0) return kInvalidImage;
  born("modules");
  *module = new Module;
  return 0;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
  if (int code = refusal()) return code;
  if (strcmp(name, kFunction) != 0) return kNotFound;
  *function = module;
  return 0;
}

int cuModuleUnload(void* module) {
  if (!attached()) return kInvalidContext;
  delete static_cast<Module*>(module);
  died("modules");
  return unusable();
}

int cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, unsigned shared,
                   void* stream, void** arguments, void** extra) {
  if (int code = refusal()) return code;
  if (!function || !arguments || extra || shared != 0) return kInvalidValue;
  const nvi::Scale s = *static_cast<nvi::Scale*>(arguments[0]);
  const auto* frame = *static_cast<const uint8_t**>(arguments[1]);
  auto* image = *static_cast<uint8_t**>(arguments[2]);
  // Too few threads would leave pixels out.
  if (gridX * blockX < static_cast<unsigned>(s.toWidth) || gridY * blockY < static_cast<unsigned>(s.toHeight)) misuse("the kernel's grid is too small");
  if (gridZ != 1 || blockZ != 1 || blockX * blockY > 1024) return kInvalidValue;
  add(static_cast<Stream*>(stream), {[=] { return scale(s, frame, image); }, nullptr});
  return 0;
}

}  // extern "C"
