// What the parts of the fake TensorRT share. Its objects are TensorRT's own interfaces, which
// hand every call on to a class of virtual methods: the fake derives from both.
#pragma once
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "device.h"
#include "model.h"
#include "stubs.h"

namespace fake {

namespace apiv = nvinfer1::apiv;
using Severity = nvinfer1::ILogger::Severity;

// Version is that of the headers, unless FAKE_TENSORRT_VERSION is another.
struct Version {
  int major, minor, patch;
  int number() const;  // as getInferLibVersion gives it
  std::string text() const;
};
Version version();
int majorOf(int number);  // of a number as NV_TENSORRT_VERSION is

// capability is that of the GPU, 10 * major + minor.
int capability();

void say(nvinfer1::ILogger& logger, Severity severity, const std::string& text);

// Object is a thing that TensorRT makes and the caller deletes.
template <typename Interface, typename Stub>
class Object : public Interface, public Stub {
 public:
  explicit Object(const char* kind) : kind_(kind) {
    this->mImpl = static_cast<Stub*>(this);
    born(kind_);
  }
  ~Object() override { died(kind_); }

 private:
  const char* kind_;
};

// Children are the objects that must be deleted before another one.
class Children {
 public:
  explicit Children(const char* of) : of_(of) {}
  ~Children() {
    if (count_ != 0) misuse(std::string(of_) + " is deleted before what depends on it");
  }
  void add() { count_++; }
  void remove() { count_--; }

 private:
  const char* of_;
  int count_ = 0;
};

class Child {
 public:
  explicit Child(Children& parent) : parent_(parent) { parent_.add(); }
  ~Child() { parent_.remove(); }
  Child(const Child&) = delete;

 private:
  Children& parent_;
};

class HostMemory final : public Object<nvinfer1::IHostMemory, apiv::StubVHostMemory> {
 public:
  explicit HostMemory(std::string bytes) : Object("host memories"), bytes_(std::move(bytes)) {}
  void* data() const noexcept override { return const_cast<char*>(bytes_.data()); }
  std::size_t size() const noexcept override { return bytes_.size(); }

 private:
  std::string bytes_;
};

// Network is but the model's file, which the parser gives it.
class Network final : public Object<nvinfer1::INetworkDefinition, apiv::StubVNetworkDefinition> {
 public:
  Network(Children& builder, uint32_t flags);
  bool typed() const;    // its types decide the precision
  bool complete() const; // it may be parsed into
  std::string onnx;

 private:
  Child child_;
  uint32_t flags_;
};

// Plan is what an engine is stored as.
struct Plan {
  bool detailed = false;
  std::string onnx;

  std::string bytes() const;
  // Returns what is wrong, or nothing.
  std::string read(const std::string& bytes);
};

// header begins what belongs to one version of TensorRT and one GPU; fits tells of bytes what is
// wrong with theirs, or nothing.
std::string header(const char* magic);
std::string fits(const char* magic, const std::string& bytes);

}  // namespace fake
