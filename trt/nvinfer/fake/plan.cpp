// Versions, and what is stored for one version and one GPU.
#include <cstdio>
#include <cstdlib>

#include "tensorrt.h"

namespace fake {
namespace {

constexpr size_t kMagic = 8, kField = 16, kHeader = kMagic + 2 * kField;

// A field of fixed width, filled up with zeros.
std::string field(std::string text, size_t width) {
  text.resize(width);
  return text;
}

std::string fieldAt(const std::string& bytes, size_t at) { return bytes.substr(at, kField).c_str(); }

// FNV-1a.
std::string checksum(const std::string& bytes) {
  uint64_t sum = 14695981039346656037U;
  for (unsigned char c : bytes) sum = (sum ^ c) * 1099511628211U;
  return std::string(reinterpret_cast<const char*>(&sum), sizeof sum);
}

}  // namespace

Version version() {
  Version v{NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, NV_TENSORRT_PATCH};
  if (const char* text = getenv("FAKE_TENSORRT_VERSION")) sscanf(text, "%d.%d.%d", &v.major, &v.minor, &v.patch);
  return v;
}

// Both follow the rule of the library that is faked, even where it lies about its version.
#if NV_TENSORRT_MAJOR >= 10
constexpr int kThousands = 10000;
#else
constexpr int kThousands = 1000;
#endif
int Version::number() const { return major * kThousands + minor * 100 + patch; }
int majorOf(int number) { return number / kThousands; }

std::string Version::text() const { return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch); }

int capability() { return atoi(variable("FAKE_GPU_CAPABILITY", "87").c_str()); }

std::string header(const char* magic) { return field(magic, kMagic) + field(version().text(), kField) + field(std::to_string(capability()), kField); }

std::string fits(const char* magic, const std::string& bytes) {
  if (bytes.size() < kHeader || bytes.compare(0, kMagic, field(magic, kMagic)) != 0) {
    return "Serialization assertion failed: the magic tag does not match";
  }
  const std::string wanted[] = {version().text(), std::to_string(capability())};
  const std::string got[] = {fieldAt(bytes, kMagic), fieldAt(bytes, kMagic + kField)};
  if (got[0] != wanted[0]) return "it is of another version of TensorRT, expecting library version " + wanted[0] + ", got " + got[0];
  if (got[1] != wanted[1]) return "it was made on an incompatible device, expecting compute capability " + wanted[1] + ", got " + got[1];
  return "";
}

std::string Plan::bytes() const {
  const std::string body = std::string(detailed ? "D" : "-") + onnx;
  return header("FAKEPLAN") + checksum(body) + body;
}

std::string Plan::read(const std::string& bytes) {
  std::string wrong = fits("FAKEPLAN", bytes);
  if (!wrong.empty()) return wrong;
  const size_t body = kHeader + checksum("").size();
  if (bytes.size() <= body || checksum(bytes.substr(body)) != bytes.substr(kHeader, body - kHeader)) {
    return "Serialization assertion failed: the checksum does not match";
  }
  detailed = bytes[body] == 'D';
  onnx = bytes.substr(body + 1);
  return "";
}

void say(nvinfer1::ILogger& logger, Severity severity, const std::string& text) { logger.log(severity, text.c_str()); }

}  // namespace fake

extern "C" int32_t getInferLibVersion() noexcept { return fake::version().number(); }
