// Scales one frame on the CPU with the code of the GPU's kernel: width, height, format, and the
// size wanted are the arguments, frame and image standard input and output.
#include "../../shim/scale.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int, char** arguments) {
  nvi::Scale s{};
  s.width = atoi(arguments[1]), s.height = atoi(arguments[2]), s.format = atoi(arguments[3]);
  s.toWidth = atoi(arguments[4]), s.toHeight = atoi(arguments[5]);
  if (!nvi::plan(s) || s.halvings > nvi::kMostHalvings) return 3;
  std::vector<uint8_t> frame(nvi::bytesOf(s)), image;
  if (fread(frame.data(), 1, frame.size(), stdin) != frame.size()) return 1;
  for (int y = 0; y < s.toHeight; y++) {
    for (int x = 0; x < s.toWidth; x++) {
      const nvi::Rgb c = nvi::scaled(s, frame.data(), x, y);
      for (float v : {c.r, c.g, c.b}) image.push_back(static_cast<uint8_t>(v));
    }
  }
  return fwrite(image.data(), 1, image.size(), stdout) == image.size() ? 0 : 1;
}
