// The external delegate: claims the custom ops of the file format and hands runs of them to Partition.
//
// Rules that hold on all stock runtimes: flags must be kAllowDynamicTensors; the execution plan must be copied before
// nodes are replaced; original nodes can be read in init only. No exception leaves this file.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/refusal.h"
#include "core/shared_array.h"
#include "keras_bnn/keras_bnn.h"
#include "kernels/peak.h"
#include "tflite/abi.h"
#include "tflite/guarded.h"
#include "tflite/partition.h"
#include "tflite/replace_nodes.h"
#include "tflite/wanted_kernel_set.h"

namespace keras_bnn {
namespace {

struct DelegateOptions {
  const KernelSet* kernels = nullptr;
  bool profile = false;
  std::string refusal;  // what is wrong with them, if anything is
};

// Structs without a delegate; each one's data_ is the next.
struct UnusedBases {
  ~UnusedBases() {
    while (first != nullptr) delete std::exchange(first, static_cast<TfLiteDelegate*>(first->data_));
  }

  TfLiteDelegate* first = nullptr;
};

// The struct that runtimes know a delegate by. When an input is resized, some apply a delegate again, also one that was
// destroyed: so the struct stays as long as the library is loaded, and refuses until another delegate takes it.
class Base {
 public:
  Base() {
    const std::lock_guard<std::mutex> lock(mutex_);
    base_ = unused_.first == nullptr ? new TfLiteDelegate() : unused_.first;
    unused_.first = static_cast<TfLiteDelegate*>(base_->data_);
  }

  ~Base() {
    const std::lock_guard<std::mutex> lock(mutex_);
    base_->Prepare = [](TfLiteContext* context, TfLiteDelegate*) {
      context->ReportError(context, "keras-bnn: the delegate is destroyed; expected it to outlive its interpreters\n");
      return kTfLiteError;
    };
    base_->data_ = unused_.first;
    unused_.first = base_;
  }

  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;

  TfLiteDelegate* get() const { return base_; }

 private:
  static inline std::mutex mutex_;
  static inline UnusedBases unused_;

  TfLiteDelegate* base_;
};

// Lives until its owner and the runtime's last node of it are gone, in whatever order.
class Delegate {
 public:
  explicit Delegate(const DelegateOptions& options) : options_(options) {
    base()->data_ = this;
    base()->Prepare = Prepare;
    base()->flags = kAllowDynamicTensors;
  }

  TfLiteDelegate* base() { return base_.get(); }
  static Delegate* From(TfLiteDelegate* base) { return static_cast<Delegate*>(base->data_); }

  void Drop() {
    if (--users_ == 0) delete this;
  }

  // Writes the ops of all partitions, at most `capacity`, and returns how many there are.
  int Profile(KerasBnnOpProfile* ops, int capacity);

  // The same for the memory of the partitions.
  int Memory(KerasBnnMemory* partitions, int capacity);

 private:
  // What the runtime keeps for a node of ours.
  struct Node {
    Delegate* delegate;
    const TfLiteContext* context;
    Arena* arena;  // of all nodes with this context, the last of which frees it
    Partition partition;
  };

  static TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* base);
  static TfLiteStatus ReplaceOps(TfLiteContext* context, TfLiteDelegate* base);
  static void* InitPartition(TfLiteContext* context, const char* buffer, std::size_t length);
  static void FreePartition(TfLiteContext* context, void* buffer);
  static TfLiteStatus PreparePartition(TfLiteContext* context, TfLiteNode* node);
  static TfLiteStatus RunPartition(TfLiteContext* context, TfLiteNode* node);
  static const char* SummarizePartition(const TfLiteContext* context, const TfLiteNode* node);

  ~Delegate() = default;

  std::atomic<int> users_{1};  // the owner and the nodes
  const DelegateOptions options_;
  const Base base_;
  ThreadPool pool_;
  std::mutex mutex_;                // guards nodes_: interpreters may be made and freed at the same time
  std::vector<const Node*> nodes_;  // of all interpreters, in the order in which they were made
};

TfLiteStatus Delegate::Prepare(TfLiteContext* context, TfLiteDelegate* base) {
  return Guarded(context, [&] { return ReplaceOps(context, base); });
}

TfLiteStatus Delegate::ReplaceOps(TfLiteContext* context, TfLiteDelegate* base) {
  const std::string& refusal = From(base)->options_.refusal;
  if (!refusal.empty()) Refuse("%s", refusal.c_str());
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk)
    Refuse("the runtime does not hand out its execution plan");
  std::vector<int> ours = {0};  // laid out as a TfLiteIntArray: size, then nodes
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) {
      Refuse("the runtime does not hand out node %d of its execution plan", plan->data[i]);
    }
    if (registration->custom_name != nullptr && IsOp(registration->custom_name)) ours.push_back(plan->data[i]);
  }
  ours[0] = static_cast<int>(ours.size()) - 1;
  if (ours[0] == 0) return kTfLiteOk;

  TfLiteRegistration registration = {};
  registration.init = InitPartition;
  registration.free = FreePartition;
  registration.prepare = PreparePartition;
  registration.invoke = RunPartition;
  registration.profiling_string = SummarizePartition;
  registration.custom_name = "KerasBnnDelegate";
  registration.version = 1;
  return ReplaceNodes(context, plan->size, registration, reinterpret_cast<const TfLiteIntArray*>(ours.data()), base);
}

void* Delegate::InitPartition(TfLiteContext* context, const char* buffer, std::size_t) {
  const auto& params = *reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  Delegate* delegate = From(params.delegate);
  std::unique_ptr<Node> node;
  Guarded(context, [&] {
    const DelegateOptions& options = delegate->options_;
    const std::lock_guard<std::mutex> lock(delegate->mutex_);
    auto& nodes = delegate->nodes_;
    nodes.reserve(nodes.size() + 1);  // so that nothing fails once there is a node
    const auto same = [&](const Node* other) { return other->context == context; };
    const auto other = std::find_if(nodes.begin(), nodes.end(), same);
    const bool first = other == nodes.end();
    std::unique_ptr<Arena> own(first ? new Arena : nullptr);
    Arena* arena = first ? own.get() : (*other)->arena;
    node.reset(new Node{
        delegate, context, arena, {context, params, *options.kernels, &delegate->pool_, options.profile, arena}});
    nodes.push_back(node.get());
    ++delegate->users_;
    ++arena->users;
    if (first) node->arena = own.release();
    return kTfLiteOk;
  });
  return node.release();  // null makes PreparePartition fail; the reason is reported already
}

void Delegate::FreePartition(TfLiteContext*, void* buffer) {
  const auto* node = static_cast<Node*>(buffer);
  if (node == nullptr) return;
  Delegate* delegate = node->delegate;
  {
    const std::lock_guard<std::mutex> lock(delegate->mutex_);
    auto& nodes = delegate->nodes_;
    nodes.erase(std::remove(nodes.begin(), nodes.end(), node), nodes.end());
    if (--node->arena->users == 0) delete node->arena;
    delete node;
  }
  delegate->Drop();
}

TfLiteStatus Delegate::PreparePartition(TfLiteContext* context, TfLiteNode* base) {
  auto* node = static_cast<Node*>(base->user_data);
  if (node == nullptr) return kTfLiteError;
  return Guarded(context, [&] {
    node->partition.Prepare(context);
    return kTfLiteOk;
  });
}

TfLiteStatus Delegate::RunPartition(TfLiteContext* context, TfLiteNode* base) {
  return Guarded(context, [&] {
    static_cast<Node*>(base->user_data)->partition.Run(context);
    return kTfLiteOk;
  });
}

// What the runtime's own profiler calls a node of ours.
const char* Delegate::SummarizePartition(const TfLiteContext*, const TfLiteNode* base) {
  const auto* node = static_cast<const Node*>(base->user_data);
  return node == nullptr ? nullptr : node->partition.summary().c_str();
}

int Delegate::Profile(KerasBnnOpProfile* ops, int capacity) {
  const std::lock_guard<std::mutex> lock(mutex_);
  int count = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Partition& partition = nodes_[i]->partition;
    for (int op = 0; op < partition.ops(); ++op, ++count) {
      if (count >= capacity) continue;
      ops[count] = partition.Profile(op);
      ops[count].partition = static_cast<int>(i);
    }
  }
  return count;
}

int Delegate::Memory(KerasBnnMemory* partitions, int capacity) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto count = static_cast<int>(nodes_.size());
  for (int i = 0; i < std::min(count, capacity); ++i) partitions[i] = nodes_[i]->partition.Memory();
  return count;
}

bool ReadSwitch(const char* key, const char* value) {
  const bool on = std::strcmp(value, "1") == 0;
  if (!on && std::strcmp(value, "0") != 0) Refuse("the option \"%s\" is \"%.40s\"; expected 0 or 1", key, value);
  return on;
}

DelegateOptions ReadOptions(char** keys, char** values, std::size_t count) {
  const char* isa = nullptr;
  bool profile = false;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::strcmp(keys[i], "isa") == 0) {
      isa = values[i];
    } else if (std::strcmp(keys[i], "profile") == 0) {
      profile = ReadSwitch(keys[i], values[i]);
    } else {
      Refuse("the delegate has no option \"%.40s\"; expected isa or profile", keys[i]);
    }
  }
  return {&WantedKernelSet(isa), profile, {}};
}

}  // namespace
}  // namespace keras_bnn

TfLiteDelegate* tflite_plugin_create_delegate(char** options_keys, char** options_values, size_t num_options,
                                              void (*report_error)(const char*)) {
  try {
    keras_bnn::DelegateOptions options;
    try {
      options = keras_bnn::ReadOptions(options_keys, options_values, num_options);
    } catch (const keras_bnn::Refusal& refusal) {
      if (report_error != nullptr) {
        report_error((std::string("keras-bnn: ") + refusal.what()).c_str());
        return nullptr;
      }
      options.refusal = refusal.what();  // TfLiteExternalDelegateCreate has no reporter; the runtime will have one
    }
    return (new keras_bnn::Delegate(options))->base();
  } catch (...) {
    if (report_error != nullptr) report_error("keras-bnn: out of memory");
  }
  return nullptr;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate != nullptr) keras_bnn::Delegate::From(delegate)->Drop();
}

int KerasBnnGetProfile(TfLiteDelegate* delegate, KerasBnnOpProfile* ops, int capacity) {
  return delegate == nullptr ? 0 : keras_bnn::Delegate::From(delegate)->Profile(ops, capacity);
}

int KerasBnnGetMemory(TfLiteDelegate* delegate, KerasBnnMemory* partitions, int capacity) {
  return delegate == nullptr ? 0 : keras_bnn::Delegate::From(delegate)->Memory(partitions, capacity);
}

uint64_t KerasBnnWeightBytes(void) { return keras_bnn::SharedArrayBytes(); }

double KerasBnnMeasurePeak(const char* kernel_set, int x_bits, int threads) {
  using keras_bnn::PeakInput;
  if (threads < 1 || (x_bits != 1 && x_bits != 8 && x_bits != 32)) return 0;
  const PeakInput input = x_bits == 1 ? PeakInput::kBits : x_bits == 8 ? PeakInput::kInt8 : PeakInput::kFloat32;
  try {
    return keras_bnn::MeasurePeak(keras_bnn::ChooseKernelSet(kernel_set), input, threads);
  } catch (const std::exception&) {
    return 0;
  }
}

const char* KerasBnnVersion(void) { return KERAS_BNN_VERSION; }

int KerasBnnKernelSetCount(void) { return keras_bnn::KernelSetCount(); }

const char* KerasBnnKernelSetName(int index) {
  const bool known = index >= 0 && index < keras_bnn::KernelSetCount();
  return known ? keras_bnn::KernelSetAt(index).name : nullptr;
}

int KerasBnnKernelSetSupported(int index) {
  return index >= 0 && index < keras_bnn::KernelSetCount() && keras_bnn::KernelSetSupported(index) ? 1 : 0;
}

const char* KerasBnnChosenKernelSet(void) {
  try {
    return keras_bnn::WantedKernelSet(nullptr).name;
  } catch (const std::exception&) {
    return nullptr;
  }
}
