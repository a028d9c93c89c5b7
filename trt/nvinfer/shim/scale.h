// Frames to the size of a network's input, as package pixels does it on the CPU: halved by
// averaging two by two pixels as often as that goes, then bilinear or, below half size, averaged
// over areas. The same code runs on the GPU, in scale.cu, and on the CPU, in the test that
// compares both ways.
#pragma once
#include <stdint.h>

#ifdef __CUDACC__
#define NVI_BOTH __host__ __device__ __forceinline__
#else
#define NVI_BOTH inline
#endif

namespace nvi {

// How a frame's pixels lie: packed blue, green, red; pairs of Y U Y V; a plane of Y and one of
// U and V at half the size. YUV is that of BT.601 with Y from 16 to 235, as OpenCV takes it.
enum Format { kBGR = 0, kYUYV = 1, kNV12 = 2 };

struct Scale {
  int width, height;    // of the frame
  int format;           // a Format
  int toWidth, toHeight;
  int halvings;
  int area;             // 1 to average over areas, 0 for bilinear
};

struct Rgb {
  float r, g, b;
};

NVI_BOTH float bounded(float v, float most) { return v < 0 ? 0 : v > most ? most : v; }

// level rounds to a byte's value, halves away from 0, as OpenCV does for averages.
NVI_BOTH float level(float v) { return static_cast<float>(static_cast<int>(bounded(v, 255) + 0.5f)); }

// The bytes of a frame. NV12 needs even sides, YUYV an even width.
NVI_BOTH bool known(const Scale& s) {
  if (s.width < 1 || s.height < 1 || s.toWidth < 1 || s.toHeight < 1) return false;
  return s.format == kBGR || (s.format == kYUYV && s.width % 2 == 0) || (s.format == kNV12 && s.width % 2 == 0 && s.height % 2 == 0);
}

NVI_BOTH long bytesOf(const Scale& s) {
  const long pixels = static_cast<long>(s.width) * s.height;
  return s.format == kBGR ? 3 * pixels : s.format == kYUYV ? 2 * pixels : pixels * 3 / 2;
}

// plan fills in how to scale; false where only the CPU's way will do: an average in one direction
// and an enlargement in the other.
NVI_BOTH bool plan(Scale& s) {
  if (!known(s)) return false;
  int w = s.width, h = s.height;
  s.halvings = 0;
  while (w >= 2 * s.toWidth && h >= 2 * s.toHeight && w % 2 == 0 && h % 2 == 0) w /= 2, h /= 2, s.halvings++;
  s.area = w >= 2 * s.toWidth || h >= 2 * s.toHeight;
  return !s.area || (w >= s.toWidth && h >= s.toHeight);
}

NVI_BOTH Rgb ofYuv(float y, float u, float v) {
  const float l = 1.164f * (y < 16 ? 0 : y - 16);
  return {level(l + 1.596f * (v - 128)), level(l - 0.813f * (v - 128) - 0.391f * (u - 128)), level(l + 2.018f * (u - 128))};
}

// pixel is one of the frame's own.
NVI_BOTH Rgb pixel(const Scale& s, const uint8_t* p, int x, int y) {
  const long at = static_cast<long>(y) * s.width + x;
  if (s.format == kBGR) return {float(p[3 * at + 2]), float(p[3 * at + 1]), float(p[3 * at])};
  if (s.format == kYUYV) {
    const long pair = 2 * (at - x % 2);
    return ofYuv(p[2 * at], p[pair + 1], p[pair + 3]);
  }
  const long uv = static_cast<long>(s.width) * s.height + static_cast<long>(y / 2) * s.width + (x - x % 2);
  return ofYuv(p[at], p[uv], p[uv + 1]);
}

// halved is a pixel of the frame halved so many times, each time rounded to bytes.
template <int N>
struct Halved {
  static NVI_BOTH Rgb at(const Scale& s, const uint8_t* p, int x, int y) {
    Rgb sum = {0, 0, 0};
    for (int i = 0; i < 4; i++) {
      const Rgb c = Halved<N - 1>::at(s, p, 2 * x + i % 2, 2 * y + i / 2);
      sum = {sum.r + c.r, sum.g + c.g, sum.b + c.b};
    }
    return {level(sum.r / 4), level(sum.g / 4), level(sum.b / 4)};
  }
};

template <>
struct Halved<0> {
  static NVI_BOTH Rgb at(const Scale& s, const uint8_t* p, int x, int y) { return pixel(s, p, x, y); }
};

constexpr int kMostHalvings = 4;

NVI_BOTH Rgb halved(const Scale& s, const uint8_t* p, int x, int y) {
  switch (s.halvings) {
    case 0: return Halved<0>::at(s, p, x, y);
    case 1: return Halved<1>::at(s, p, x, y);
    case 2: return Halved<2>::at(s, p, x, y);
    case 3: return Halved<3>::at(s, p, x, y);
    default: return Halved<kMostHalvings>::at(s, p, x, y);
  }
}

// Line is where an output pixel looks along one axis: at first and the ones up to last, the first
// and the last with weights of their own, those between with 1; total is the sum.
struct Line {
  int first, last;
  float firstWeight, lastWeight, total;
};

NVI_BOTH Line bilinear(int at, int from, int to) {
  const float scale = static_cast<float>(from) / to;
  float x = (at + 0.5f) * scale - 0.5f;
  int i = static_cast<int>(x < 0 ? 0 : x);
  float part = x - i;
  if (x < 0) part = 0;
  if (i >= from - 1) i = from - 1, part = 0;
  return {i, i < from - 1 ? i + 1 : i, 1 - part, part, 1};
}

NVI_BOTH Line averaged(int at, int from, int to) {
  const float scale = static_cast<float>(from) / to;
  const float begin = at * scale, end = bounded(begin + scale, static_cast<float>(from));
  const int first = static_cast<int>(begin);
  int last = static_cast<int>(end);
  float lastWeight = end - last;
  if (lastWeight < 1e-3f || last > from - 1) last--, lastWeight = 1;
  const float firstWeight = last == first ? end - begin : first + 1 - begin;
  return {first, last, firstWeight, last == first ? 0 : lastWeight, end - begin};
}

// scaled is a pixel of the network's input.
NVI_BOTH Rgb scaled(const Scale& s, const uint8_t* p, int x, int y) {
  const int width = s.width >> s.halvings, height = s.height >> s.halvings;
  const Line h = s.area ? averaged(x, width, s.toWidth) : bilinear(x, width, s.toWidth);
  const Line v = s.area ? averaged(y, height, s.toHeight) : bilinear(y, height, s.toHeight);
  Rgb sum = {0, 0, 0};
  for (int j = v.first; j <= v.last; j++) {
    const float wy = j == v.first ? v.firstWeight : j == v.last ? v.lastWeight : 1;
    for (int i = h.first; i <= h.last; i++) {
      const float w = wy * (i == h.first ? h.firstWeight : i == h.last ? h.lastWeight : 1);
      if (w == 0) continue;
      const Rgb c = halved(s, p, i, j);
      sum = {sum.r + w * c.r, sum.g + w * c.g, sum.b + w * c.b};
    }
  }
  const float total = h.total * v.total;
  return {level(sum.r / total), level(sum.g / total), level(sum.b / total)};
}

}  // namespace nvi
