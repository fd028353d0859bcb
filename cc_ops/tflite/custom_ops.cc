// The ops as custom ops of a runtime, for programs that register ops and load no delegate. Each node is a partition of
// its own, so that its tensors are the runtime's, and prepared and run as the delegate's are.
#include <array>
#include <list>
#include <mutex>
#include <optional>
#include <utility>

#include "core/thread_pool.h"
#include "keras_bnn/keras_bnn.h"
#include "ops/op.h"
#include "tflite/abi.h"
#include "tflite/guarded.h"
#include "tflite/partition.h"
#include "tflite/wanted_kernel_set.h"

namespace keras_bnn {
namespace {

// The threads of an interpreter, which its nodes share.
struct Workers {
  const TfLiteContext* context = nullptr;
  int users = 0;
  ThreadPool pool;
};

// Those of all interpreters, which may be made and freed at the same time.
class WorkersRegistry {
 public:
  // For good, because interpreters may outlive every other static object.
  static WorkersRegistry& Instance() {
    static auto* const instance = new WorkersRegistry;
    return *instance;
  }

  Workers* Join(const TfLiteContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Workers& workers : all_) {
      if (workers.context != context) continue;
      ++workers.users;
      return &workers;
    }
    Workers& workers = all_.emplace_front();
    workers.context = context;
    workers.users = 1;
    return &workers;
  }

  void Leave(Workers* workers) {
    std::list<Workers> unused;  // ends its threads without the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--workers->users > 0) return;
    for (auto each = all_.begin(); each != all_.end(); ++each) {
      if (&*each == workers) return unused.splice(unused.begin(), all_, each);
    }
  }

 private:
  std::mutex mutex_;
  std::list<Workers> all_;
};

// What the runtime keeps for a node.
struct Node {
  Node(const TfLiteContext* context, const char* op) : name(op), workers(WorkersRegistry::Instance().Join(context)) {}
  ~Node() { WorkersRegistry::Instance().Leave(workers); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const char* const name;
  Workers* const workers;
  Arena arena;                         // which a node alone leaves empty
  std::optional<Partition> partition;  // once the runtime shows the node, in Prepare
};

template <std::size_t op>
void* Init(TfLiteContext* context, const char*, std::size_t) {
  Node* node = nullptr;  // which makes Prepare fail
  Guarded(context, [&] {
    node = new Node(context, OpName(static_cast<int>(op)));
    return kTfLiteOk;
  });
  return node;
}

void Free(TfLiteContext*, void* node) { delete static_cast<Node*>(node); }

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* base) {
  auto* node = static_cast<Node*>(base->user_data);
  if (node == nullptr) return kTfLiteError;
  return Guarded(context, [&] {
    if (!node->partition) {
      node->partition.emplace(context, node->name, *base, WantedKernelSet(nullptr), &node->workers->pool, &node->arena);
    }
    node->partition->Prepare(context);
    return kTfLiteOk;
  });
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* base) {
  return Guarded(context, [&] {
    static_cast<Node*>(base->user_data)->partition->Run(context);
    return kTfLiteOk;
  });
}

// Runtimes copy as many bytes as their own TfLiteRegistration has: newer ones may have members more.
struct PaddedRegistration {
  TfLiteRegistration registration;
  void* members_to_come[16];
};

template <std::size_t... ops>
std::array<PaddedRegistration, sizeof...(ops)> MakeRegistrations(std::index_sequence<ops...>) {
  std::array<PaddedRegistration, sizeof...(ops)> all = {};
  for (PaddedRegistration& each : all) {
    each.registration.free = Free;
    each.registration.prepare = Prepare;
    each.registration.invoke = Invoke;
    each.registration.builtin_code = kTfLiteBuiltinCustom;
    each.registration.version = 1;
  }
  ((all[ops].registration.init = Init<ops>, all[ops].registration.custom_name = OpName(static_cast<int>(ops))), ...);
  return all;
}

}  // namespace
}  // namespace keras_bnn

int KerasBnnOpCount(void) { return keras_bnn::kOpCount; }

const char* KerasBnnOpName(int index) {
  return index >= 0 && index < keras_bnn::kOpCount ? keras_bnn::OpName(index) : nullptr;
}

const TfLiteRegistration* KerasBnnOpRegistration(int index) {
  static const auto registrations = keras_bnn::MakeRegistrations(std::make_index_sequence<keras_bnn::kOpCount>());
  return index >= 0 && index < keras_bnn::kOpCount ? &registrations[index].registration : nullptr;
}
