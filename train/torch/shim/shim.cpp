// Operators are looked up by schema name in libtorch's dispatcher and called with boxed
// arguments, so every operator is within reach without a C++ function for each. Compiles with
// libtorch 1.13 (C++17) and 2.x (C++20), for the CPU and CUDA.
#include "handles.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <dlfcn.h>
#include <utility>

using at::Tensor;
using c10::IValue;
using c10::TypeKind;

std::atomic<int64_t> live_handles{0};

namespace {

double double_of(int64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// An argument as it came, before the schema says what it is to become.
struct Value {
  int64_t kind;
  int64_t size;          // of a list or a string
  const int64_t* words;  // the value, or the list's

  std::string text() const { return {reinterpret_cast<const char*>(words), size_t(size)}; }
};

// next reads one argument and moves the cursor behind it.
Value next(const int64_t*& cursor) {
  Value v{*cursor++, 0, nullptr};
  if (v.kind == RT_STRING || v.kind >= RT_TENSORS) v.size = *cursor++;
  v.words = cursor;
  if (v.kind == RT_STRING) {
    cursor += (v.size + 7) / 8;
  } else if (v.kind >= RT_TENSORS) {
    cursor += v.size;
  } else if (v.kind >= RT_TENSOR) {
    cursor++;
  }
  return v;
}

const char* name_of(int64_t kind) {
  static const char* const names[] = {"none",   "default", "a tensor",         "an integer",
                                      "a float", "a bool",  "a string",         "a device",
                                      "tensors", "integers", "floats", "bools"};
  return names[kind];
}

[[noreturn]] void mismatch(const Value& v, const c10::Argument& argument) {
  throw std::invalid_argument("argument " + argument.name() + " is " + name_of(v.kind) +
                              "; it must be " + argument.type()->str());
}

IValue box_tensors(const Value& v, const c10::TypePtr& element) {
  if (element->kind() == TypeKind::TensorType) {
    c10::List<Tensor> list;
    list.reserve(v.size);
    for (int64_t i = 0; i < v.size; i++) {
      if (v.words[i] == 0) throw std::invalid_argument("a list of tensors holds none");
      list.push_back(tensor_of(v.words[i]));
    }
    return list;
  }
  c10::impl::GenericList list(c10::OptionalType::ofTensor());
  for (int64_t i = 0; i < v.size; i++) {
    list.push_back(v.words[i] == 0 ? IValue() : IValue(tensor_of(v.words[i])));
  }
  return list;
}

IValue box_list(const Value& v, const c10::TypePtr& element, const c10::Argument& argument) {
  TypeKind kind = element->kind();
  if (v.kind == RT_TENSORS && (kind == TypeKind::TensorType || kind == TypeKind::OptionalType)) {
    return box_tensors(v, element);
  }
  if (v.kind == RT_INTS && (kind == TypeKind::IntType || kind == TypeKind::SymIntType)) {
    return std::vector<int64_t>(v.words, v.words + v.size);
  }
  if (v.kind == RT_FLOATS && kind == TypeKind::FloatType) {
    std::vector<double> list(v.size);
    std::transform(v.words, v.words + v.size, list.begin(), double_of);
    return list;
  }
  if (v.kind == RT_BOOLS && kind == TypeKind::BoolType) {
    c10::List<bool> list;
    for (int64_t i = 0; i < v.size; i++) list.push_back(v.words[i] != 0);
    return list;
  }
  mismatch(v, argument);
}

// box turns an argument into what the schema asks for. The dispatcher itself does not check:
// a wrong kind would be an internal assertion deep inside the operator.
IValue box(const Value& v, const c10::Argument& argument) {
  if (v.kind == RT_DEFAULT) {
    if (argument.default_value()) return *argument.default_value();
    throw std::invalid_argument("argument " + argument.name() + " has no default");
  }
  c10::TypePtr type = argument.type();
  if (type->kind() == TypeKind::OptionalType) {
    if (v.kind == RT_NONE) return {};
    type = type->containedType(0);
  }
  bool is_number = v.kind == RT_INT || v.kind == RT_FLOAT;
  switch (type->kind()) {
    case TypeKind::TensorType:
      if (v.kind == RT_TENSOR) return tensor_of(*v.words);
      break;
    case TypeKind::NumberType:
      if (v.kind == RT_INT) return *v.words;
      if (v.kind == RT_FLOAT) return double_of(*v.words);
      if (v.kind == RT_BOOL) return *v.words != 0;
      break;
    case TypeKind::FloatType:
      if (is_number) return v.kind == RT_INT ? double(*v.words) : double_of(*v.words);
      break;
    case TypeKind::IntType:
    case TypeKind::SymIntType:
    case TypeKind::ScalarTypeType:
    case TypeKind::LayoutType:
    case TypeKind::MemoryFormatType:
      if (v.kind == RT_INT) return *v.words;
      break;
    case TypeKind::BoolType:
      if (v.kind == RT_BOOL) return *v.words != 0;
      break;
    case TypeKind::StringType:
      if (v.kind == RT_STRING) return v.text();
      break;
    case TypeKind::DeviceObjType:
      if (v.kind == RT_DEVICE) return device_of(*v.words);
      break;
    case TypeKind::ListType:
      return box_list(v, type->containedType(0), argument);
    default:
      break;
  }
  mismatch(v, argument);
}

std::vector<IValue> box_all(const c10::FunctionSchema& schema, const int64_t* cursor,
                            int64_t count) {
  const auto& wanted = schema.arguments();
  if (count > int64_t(wanted.size())) {
    throw std::invalid_argument("at most " + std::to_string(wanted.size()) + " arguments, not " +
                                std::to_string(count));
  }
  std::vector<IValue> stack;
  stack.reserve(wanted.size());
  static const int64_t left_off = RT_DEFAULT;
  for (size_t i = 0; i < wanted.size(); i++) {
    const int64_t* rest = &left_off;
    stack.push_back(box(next(int64_t(i) < count ? cursor : rest), wanted[i]));
  }
  return stack;
}

// tensors_of flattens what an operator returned; numbers become tensors without dimensions.
std::vector<Tensor> tensors_of(const std::vector<IValue>& stack) {
  std::vector<Tensor> results;
  for (const IValue& v : stack) {
    if (v.isTensorList()) {
      for (Tensor& t : v.toTensorVector()) results.push_back(std::move(t));
    } else if (v.isTensor()) {
      results.push_back(v.toTensor());
    } else if (v.isScalar()) {
      results.push_back(c10::scalar_to_tensor(v.toScalar()));
    } else {
      throw std::invalid_argument("the operator returns " + v.tagKind() + ", not tensors");
    }
  }
  return results;
}

Tensor borrow(const void* data, at::IntArrayRef shape, int64_t dtype) {
  auto options = at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype));
  return at::from_blob(const_cast<void*>(data), shape, options);
}

void check_count(const Tensor& t, int64_t count) {
  if (t.numel() != count) {
    throw std::invalid_argument(std::to_string(count) + " values for a tensor of " +
                                std::to_string(t.numel()));
  }
}

}  // namespace

int64_t rt_abi(void) { return RT_ABI; }

const char* rt_version(void) { return TORCH_VERSION; }

int64_t rt_cuda_devices(void) {
  return guarded(nullptr, 0, [] { return static_cast<int64_t>(torch::cuda::device_count()); });
}

int64_t rt_live(void) { return live_handles; }

int64_t rt_set_threads(int64_t threads, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    at::set_num_threads(static_cast<int>(threads));
    // OpenBLAS has a pool of its own, of which at::set_num_threads does not know.
    if (void* blas = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD)) {
      using SetThreads = void (*)(int);
      if (auto set = reinterpret_cast<SetThreads>(dlsym(blas, "openblas_set_num_threads"))) {
        set(static_cast<int>(threads));
      }
      dlclose(blas);
    }
    return 0;
  });
}

int64_t rt_seed(int64_t seed, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    at::manual_seed(static_cast<uint64_t>(seed));
    return 0;
  });
}

int64_t rt_operator(const char* name, const char* overload, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!found) throw std::invalid_argument("libtorch " TORCH_VERSION " has no such operator");
    return reinterpret_cast<int64_t>(new c10::OperatorHandle(*found));
  });
}

int64_t rt_call(int64_t op, int64_t grad, const int64_t* arguments, int64_t count, int64_t* out,
                int64_t room, char* error, int64_t error_size) {
  return guarded(error, error_size, [&]() -> int64_t {
    const auto& handle = *reinterpret_cast<c10::OperatorHandle*>(op);
    std::vector<IValue> stack = box_all(handle.schema(), arguments, count);
    c10::AutoGradMode mode(grad != 0);
    handle.callBoxed(&stack);
    if (room == 0) return 0;
    return write_results(tensors_of(stack), out, room);
  });
}

int64_t rt_from(const void* data, int64_t dtype, const int64_t* shape, int64_t dims,
                int64_t device, int64_t* out, int64_t room, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    Tensor borrowed = borrow(data, at::IntArrayRef(shape, dims), dtype);
    // copy: on the CPU, to() would keep the caller's memory.
    Tensor own = borrowed.to(device_of(device), borrowed.scalar_type(), false, /*copy=*/true);
    return write_results({own}, out, room);
  });
}

int64_t rt_read(int64_t tensor, int64_t dtype, void* data, int64_t count, char* error,
                int64_t error_size) {
  return guarded(error, error_size, [&] {
    Tensor source = tensor_of(tensor).detach();
    check_count(source, count);
    borrow(data, source.sizes(), dtype).copy_(source);
    return 0;
  });
}

int64_t rt_write(int64_t tensor, int64_t dtype, const void* data, int64_t count, char* error,
                 int64_t error_size) {
  return guarded(error, error_size, [&] {
    Tensor target = tensor_of(tensor).detach();
    check_count(target, count);
    target.copy_(borrow(data, target.sizes(), dtype));
    return 0;
  });
}

int64_t rt_require_grad(int64_t tensor, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    tensor_of(tensor).requires_grad_(true);
    return 0;
  });
}

int64_t rt_backward(int64_t loss, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    c10::AutoGradMode mode(true);
    tensor_of(loss).backward();
    return 0;
  });
}

int64_t rt_grad(int64_t tensor, int64_t* out, int64_t room, char* error, int64_t error_size) {
  return guarded(error, error_size,
                 [&] { return write_results({tensor_of(tensor).grad()}, out, room); });
}

int64_t rt_clear_grads(const int64_t* tensors, int64_t count, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    for (int64_t i = 0; i < count; i++) tensor_of(tensors[i]).mutable_grad() = Tensor();
    return 0;
  });
}

void rt_free(const int64_t* tensors, int64_t count) {
  for (int64_t i = 0; i < count; i++) delete &tensor_of(tensors[i]);
  live_handles -= count;
}
