// Groups of processes: c10d's store, and its collective operations over Gloo (CPU) or NCCL
// (CUDA). The build defines USE_C10D_GLOO and USE_C10D_NCCL where libtorch and the headers
// have them. The NCCL part has never run.
#include "handles.h"

#ifdef USE_C10D_GLOO

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/version.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

using at::Tensor;
using std::chrono::milliseconds;

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Work = c10::intrusive_ptr<c10d::Work>;

// libtorch 2 split the class.
#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif

// Group is a member's end of the group. Recorded operations keep it alive, closed or not.
class Group : public torch::CustomClassHolder {
 public:
  Group(c10::intrusive_ptr<Backend> backend, bool cuda)
      : backend_(std::move(backend)), cuda_(cuda) {}

  void abort() {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->aborted = true;
    state_->change.notify_all();
  }

  // An aborted group stays in memory: its destructor would wait for the broken operation.
  void close() {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->aborted) backend_.release();
    backend_.reset();
  }

  void sum(Tensor& t) {
    std::vector<Tensor> ts{t};
    finish(backend().allreduce(ts, c10d::AllreduceOptions()));
  }

  void broadcast(Tensor& t, int64_t root) {
    std::vector<Tensor> ts{t};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    finish(backend().broadcast(ts, options));
  }

  void barrier() { finish(backend().barrier(c10d::BarrierOptions())); }

 private:
  // What operations that nobody waits for any more may still touch.
  struct State {
    std::mutex mutex;
    std::condition_variable change;
    bool aborted = false;
  };

  Backend& backend() {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (!backend_) throw std::runtime_error("the group was closed");
    if (state_->aborted) throw std::runtime_error("the group was aborted");
    return *backend_;
  }

  // finish waits for the end of an operation or of the group. Work::wait alone knows no abort.
  void finish(const Work& work) {
    bool over = cuda_ ? polled(work) : awaited(work);
    if (!over) throw std::runtime_error("the group was aborted");
    work->wait();
  }

  bool awaited(const Work& work) {
    auto over = std::make_shared<bool>(false);
    work->getFuture()->addCallback([state = state_, over](c10::ivalue::Future&) {
      std::lock_guard<std::mutex> lock(state->mutex);
      *over = true;
      state->change.notify_all();
    });
    std::unique_lock<std::mutex> lock(state_->mutex);
    state_->change.wait(lock, [&] { return *over || state_->aborted; });
    return *over;
  }

  // NCCL's futures complete when the operation is queued.
  bool polled(const Work& work) {
    while (!work->isCompleted()) {
      {
        std::lock_guard<std::mutex> lock(state_->mutex);
        if (state_->aborted) return false;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

  c10::intrusive_ptr<Backend> backend_;
  const bool cuda_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

using GroupPtr = c10::intrusive_ptr<Group>;

Store& store_of(int64_t handle) { return *reinterpret_cast<Store*>(handle); }
GroupPtr& group_of(int64_t handle) { return *reinterpret_cast<GroupPtr*>(handle); }

c10::intrusive_ptr<Backend> connect(const Store& store, int rank, int world, bool cuda,
                                    const std::string& host, milliseconds timeout) {
  if (!cuda) {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(host));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, world, options);
  }
#ifdef USE_C10D_NCCL
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, world, options);
#else
  throw std::runtime_error("this libtorch has no NCCL, or its headers were not there when " +
                           std::string("librobustnet-torch.so was built"));
#endif
}

// Sum is the differentiable sum over the members.
struct Sum : torch::autograd::Function<Sum> {
  static Tensor of(const Tensor& x, const GroupPtr& group) {
    Tensor result = x.detach().clone(at::MemoryFormat::Contiguous);
    group->sum(result);
    return result;
  }

  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                        const GroupPtr& group) {
    context->saved_data["group"] =
        c10::IValue::make_capsule(c10::intrusive_ptr<torch::CustomClassHolder>(group));
    return of(x, group);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    auto group = c10::static_intrusive_pointer_cast<Group>(
        context->saved_data["group"].toCapsule());
    return {of(gradients[0], group), Tensor()};
  }
};

// coalesced does an operation on tensors through flat copies, so that a network's hundreds of
// small tensors take few operations.
template <class Operation>
void coalesced(const int64_t* handles, int64_t count, Operation operation) {
  constexpr int64_t bucket = 32 << 20;  // bytes, which bounds the copies
  c10::AutoGradMode mode(false);
  for (int64_t i = 0; i < count;) {
    std::vector<Tensor> parts;
    std::vector<Tensor> flat;
    int64_t bytes = 0;
    for (; i < count; i++) {
      Tensor t = tensor_of(handles[i]).detach();
      if (!parts.empty() && (t.scalar_type() != parts[0].scalar_type() ||
                             t.device() != parts[0].device() || bytes >= bucket)) {
        break;
      }
      bytes += t.numel() * t.element_size();
      flat.push_back(t.reshape({-1}));
      parts.push_back(std::move(t));
    }
    Tensor joined = at::cat(flat);
    operation(joined);
    int64_t offset = 0;
    for (Tensor& t : parts) {
      t.copy_(joined.narrow(0, offset, t.numel()).view(t.sizes()));
      offset += t.numel();
    }
  }
}

}  // namespace

int64_t rt_store_open(const char* host, int64_t port, int64_t serve, const char* prefix,
                      int64_t timeout_ms, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = serve != 0;
    options.waitWorkers = false;
    options.timeout = milliseconds(timeout_ms);
    Store tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    return reinterpret_cast<int64_t>(
        new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(tcp))));
  });
}

int64_t rt_store_set(int64_t store, const char* key, const void* value, int64_t size, char* error,
                     int64_t error_size) {
  return guarded(error, error_size, [&] {
    auto bytes = static_cast<const uint8_t*>(value);
    store_of(store)->set(key, std::vector<uint8_t>(bytes, bytes + size));
    store_of(store)->check({key});  // set does not wait until the others can see it
    return 0;
  });
}

int64_t rt_store_get(int64_t store, const char* key, void* value, int64_t room, char* error,
                     int64_t error_size) {
  return guarded(error, error_size, [&]() -> int64_t {
    Store& s = store_of(store);
    if (!s->check({key})) return 0;
    std::vector<uint8_t> bytes = s->get(key);
    std::copy_n(bytes.begin(), std::min<int64_t>(bytes.size(), room),
                static_cast<uint8_t*>(value));
    return static_cast<int64_t>(bytes.size());
  });
}

void rt_store_close(int64_t store) { delete &store_of(store); }

int64_t rt_group_join(int64_t store, int64_t rank, int64_t world, int64_t device, const char* host,
                      int64_t timeout_ms, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    bool cuda = device_of(device).is_cuda();
    auto backend = connect(store_of(store), static_cast<int>(rank), static_cast<int>(world), cuda,
                           host, milliseconds(timeout_ms));
    return reinterpret_cast<int64_t>(
        new GroupPtr(c10::make_intrusive<Group>(std::move(backend), cuda)));
  });
}

void rt_group_abort(int64_t group) { group_of(group)->abort(); }

void rt_group_close(int64_t group) {
  group_of(group)->close();
  delete &group_of(group);
}

int64_t rt_group_sum(int64_t group, const int64_t* tensors, int64_t count, char* error,
                     int64_t error_size) {
  return guarded(error, error_size, [&] {
    coalesced(tensors, count, [&](Tensor& t) { group_of(group)->sum(t); });
    return 0;
  });
}

int64_t rt_group_broadcast(int64_t group, int64_t root, const int64_t* tensors, int64_t count,
                           char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    coalesced(tensors, count, [&](Tensor& t) { group_of(group)->broadcast(t, root); });
    return 0;
  });
}

int64_t rt_group_barrier(int64_t group, char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    group_of(group)->barrier();
    return 0;
  });
}

int64_t rt_group_sum_of(int64_t group, int64_t grad, int64_t tensor, int64_t* out, int64_t room,
                        char* error, int64_t error_size) {
  return guarded(error, error_size, [&] {
    c10::AutoGradMode mode(grad != 0);
    return write_results({Sum::apply(tensor_of(tensor), group_of(group))}, out, room);
  });
}

#else  // without c10d

namespace {

int64_t absent(char* error, int64_t size) {
  return fail(error, size,
              "librobustnet-torch.so was built without c10d: build it with a libtorch that has "
              "Gloo, and Gloo's headers (libgloo-dev)");
}

}  // namespace

int64_t rt_store_open(const char*, int64_t, int64_t, const char*, int64_t, char* error,
                      int64_t size) {
  return absent(error, size);
}
int64_t rt_store_set(int64_t, const char*, const void*, int64_t, char* error, int64_t size) {
  return absent(error, size);
}
int64_t rt_store_get(int64_t, const char*, void*, int64_t, char* error, int64_t size) {
  return absent(error, size);
}
void rt_store_close(int64_t) {}
int64_t rt_group_join(int64_t, int64_t, int64_t, int64_t, const char*, int64_t, char* error,
                      int64_t size) {
  return absent(error, size);
}
void rt_group_abort(int64_t) {}
void rt_group_close(int64_t) {}
int64_t rt_group_sum(int64_t, const int64_t*, int64_t, char* error, int64_t size) {
  return absent(error, size);
}
int64_t rt_group_broadcast(int64_t, int64_t, const int64_t*, int64_t, char* error, int64_t size) {
  return absent(error, size);
}
int64_t rt_group_barrier(int64_t, char* error, int64_t size) { return absent(error, size); }
int64_t rt_group_sum_of(int64_t, int64_t, int64_t, int64_t*, int64_t, char* error, int64_t size) {
  return absent(error, size);
}

#endif
