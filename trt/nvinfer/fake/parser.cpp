// libnvonnxparser.so: a model can be read if ONNX Runtime opens it.
#include <tuple>

#include "tensorrt.h"

namespace fake {
namespace {

class ParserError final : public nvonnxparser::StubIParserError {
 public:
  explicit ParserError(const std::string& said) : desc_(said) {
    // How ONNX Runtime names a node in its text, if it does.
    for (const auto& [open, middle, close] : {std::tuple{"Node, (\"", "\", ", ","}, {"Node (", ") Op (", ")"}}) {
      const size_t name = said.find(open), op = said.find(middle, name), end = said.find(close, op + strlen(middle));
      if (name == std::string::npos || op == std::string::npos || end == std::string::npos) continue;
      name_ = said.substr(name + strlen(open), op - name - strlen(open));
      operator_ = said.substr(op + strlen(middle), end - op - strlen(middle));
    }
  }
  nvonnxparser::ErrorCode code() const override { return nvonnxparser::ErrorCode::kINVALID_GRAPH; }
  char const* desc() const override { return desc_.c_str(); }
  // Its number is not known; the first stands for all.
  int node() const override { return name_.empty() && operator_.empty() ? -1 : 0; }
#if NV_TENSORRT_MAJOR >= 10
  char const* nodeName() const override { return name_.c_str(); }
  char const* nodeOperator() const override { return operator_.c_str(); }
#endif

 private:
  std::string desc_, name_, operator_;
};

class Parser final : public nvonnxparser::StubIParser {
 public:
  Parser(Network& network, nvinfer1::ILogger& logger) : network_(network), logger_(logger) { born("parsers"); }
  ~Parser() override { died("parsers"); }

  bool parse(void const* model, size_t size, const char*) noexcept override try {
    if (!network_.complete()) return refuse("the network must have an explicit batch");
    std::string onnx(static_cast<const char*>(model), size);
    const Model opened(onnx);
    for (const auto& t : opened.tensors()) {
      if (t.bytes == 0) return refuse("tensor " + t.name + " has dimensions that are not fixed, for which the fake has no optimization profile");
    }
    network_.onnx = std::move(onnx);
    return true;
  } catch (const std::exception& e) {
    return refuse(e.what());
  }
  int getNbErrors() const noexcept override { return static_cast<int>(errors_.size()); }
  nvonnxparser::IParserError const* getError(int i) const noexcept override { return errors_[i].get(); }

 private:
  bool refuse(const std::string& why) {
    errors_.push_back(std::make_unique<ParserError>(why));
    say(logger_, Severity::kERROR, "parse: " + why);
    return false;
  }

  Network& network_;
  nvinfer1::ILogger& logger_;
  std::vector<std::unique_ptr<ParserError>> errors_;
};

}  // namespace
}  // namespace fake

extern "C" int getNvOnnxParserVersion() noexcept { return NV_ONNX_PARSER_VERSION; }

extern "C" void* createNvOnnxParser_INTERNAL(void* network, void* logger, int number) noexcept {
  using namespace fake;
  auto* ours = dynamic_cast<Network*>(static_cast<nvinfer1::INetworkDefinition*>(network));
  if (!ours) misuse("the parser is given no network");
  auto& log = *static_cast<nvinfer1::ILogger*>(logger);
  if (number != NV_ONNX_PARSER_VERSION) {
    say(log, Severity::kERROR, "createParser: the application was compiled for another version of the parser");
    return nullptr;
  }
  return static_cast<nvonnxparser::IParser*>(new Parser(*ours, log));
}
