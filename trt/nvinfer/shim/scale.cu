// Frames to the size of a network's input, on the GPU.
#include "scale.h"

// One thread makes one pixel: red, green, blue.
extern "C" __global__ void nvi_scale(nvi::Scale s, const uint8_t* frame, uint8_t* image) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= s.toWidth || y >= s.toHeight) return;
  const nvi::Rgb c = nvi::scaled(s, frame, x, y);
  uint8_t* to = image + 3 * (static_cast<long>(y) * s.toWidth + x);
  to[0] = static_cast<uint8_t>(c.r);
  to[1] = static_cast<uint8_t>(c.g);
  to[2] = static_cast<uint8_t>(c.b);
}
