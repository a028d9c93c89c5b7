// An ONNX model in ONNX Runtime, which computes what the fake engines compute.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fake {

struct Tensor {
  std::string name;
  int type;  // ONNX's number
  std::vector<int64_t> shape;
  bool input;
  size_t bytes;  // 0 where the shape is not fixed or the type not known
};

class Model {
 public:
  // Throws std::runtime_error with what ONNX Runtime says.
  explicit Model(const std::string& onnx);
  ~Model();
  Model(const Model&) = delete;

  // Inputs first.
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // Computes the outputs from the inputs, whose memory is given by their names.
  void run(const std::map<std::string, void*>& addresses) const;

 private:
  struct Session;
  std::unique_ptr<Session> session_;
  std::vector<Tensor> tensors_;
};

}  // namespace fake
