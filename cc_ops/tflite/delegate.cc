// The external delegate: claims the custom ops of the file format and hands runs of them to Partition.
//
// Rules that hold on all stock runtimes: TfLiteRegistration is passed by value and must be at least as large as the
// runtime's, and of its very size on 32-bit ARM; flags must be kAllowDynamicTensors; the execution plan must be copied
// before nodes are replaced; original nodes can be read in init only. No exception leaves this file.
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "core/refusal.h"
#include "keras_bnn/keras_bnn.h"
#include "tflite/abi.h"
#include "tflite/partition.h"

namespace keras_bnn {
namespace {

constexpr char kIsaVariable[] = "KERAS_BNN_ISA";

class Delegate {
 public:
  explicit Delegate(const KernelSet& kernels) : kernels_(&kernels) {
    base_.data_ = this;
    base_.Prepare = Prepare;
    base_.flags = kAllowDynamicTensors;
  }

  TfLiteDelegate* base() { return &base_; }
  static Delegate* From(TfLiteDelegate* base) { return static_cast<Delegate*>(base->data_); }

 private:
  static TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* base);
  static TfLiteStatus ReplaceOps(TfLiteContext* context, TfLiteDelegate* base);
  static void* InitPartition(TfLiteContext* context, const char* buffer, std::size_t length);
  static void FreePartition(TfLiteContext* context, void* buffer);
  static TfLiteStatus PreparePartition(TfLiteContext* context, TfLiteNode* node);
  static TfLiteStatus RunPartition(TfLiteContext* context, TfLiteNode* node);

  TfLiteDelegate base_ = {};
  const KernelSet* kernels_;
  ThreadPool pool_;
};

// Calls function() and turns what it throws into a reported error. The line ends here because Python's interpreter
// joins the reports of a failure to one text.
template <typename Function>
TfLiteStatus Guarded(TfLiteContext* context, const Function& function) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    context->ReportError(context, "keras-bnn: out of memory\n");
  } catch (const std::exception& error) {
    context->ReportError(context, "keras-bnn: %s\n", error.what());
  } catch (...) {
    context->ReportError(context, "keras-bnn: unknown failure\n");
  }
  return kTfLiteError;
}

// On 32-bit ARM the arguments after a registration follow it on the stack. Runtimes keep their nodes in a table of
// pairs of node and registration; of a table with one node the size cannot be read.
void CheckRegistrationSize(TfLiteContext* context, int nodes) {
  if (sizeof(void*) != 4 || nodes < 2) return;
  TfLiteNode* node[2] = {};
  TfLiteRegistration* registration[2] = {};
  for (int i = 0; i < 2; ++i) {
    if (context->GetNodeAndRegistration(context, i, &node[i], &registration[i]) != kTfLiteOk) return;
  }
  const auto bytes = reinterpret_cast<std::uintptr_t>(node[1]) - reinterpret_cast<std::uintptr_t>(registration[0]);
  if (bytes != sizeof(TfLiteRegistration)) {
    Refuse("the runtime keeps %zu bytes for an op's registration; expected %zu, as in TFLite 2.14 and newer",
           static_cast<std::size_t>(bytes), sizeof(TfLiteRegistration));
  }
}

TfLiteStatus Delegate::Prepare(TfLiteContext* context, TfLiteDelegate* base) {
  return Guarded(context, [&] { return ReplaceOps(context, base); });
}

TfLiteStatus Delegate::ReplaceOps(TfLiteContext* context, TfLiteDelegate* base) {
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
  CheckRegistrationSize(context, plan->size);

  TfLiteRegistration registration = {};
  registration.init = InitPartition;
  registration.free = FreePartition;
  registration.prepare = PreparePartition;
  registration.invoke = RunPartition;
  registration.custom_name = "KerasBnnDelegate";
  registration.version = 1;
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, registration,
                                                        reinterpret_cast<const TfLiteIntArray*>(ours.data()), base);
}

void* Delegate::InitPartition(TfLiteContext* context, const char* buffer, std::size_t) {
  const auto& params = *reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  Delegate* delegate = From(params.delegate);
  std::unique_ptr<Partition> partition;
  Guarded(context, [&] {
    partition = std::make_unique<Partition>(context, params, *delegate->kernels_, &delegate->pool_);
    return kTfLiteOk;
  });
  return partition.release();  // null makes PreparePartition fail; the reason is reported already
}

void Delegate::FreePartition(TfLiteContext*, void* buffer) { delete static_cast<Partition*>(buffer); }

TfLiteStatus Delegate::PreparePartition(TfLiteContext* context, TfLiteNode* node) {
  auto* partition = static_cast<Partition*>(node->user_data);
  if (partition == nullptr) return kTfLiteError;
  return Guarded(context, [&] {
    partition->Prepare(context);
    return kTfLiteOk;
  });
}

TfLiteStatus Delegate::RunPartition(TfLiteContext* context, TfLiteNode* node) {
  return Guarded(context, [&] {
    static_cast<Partition*>(node->user_data)->Run(context);
    return kTfLiteOk;
  });
}

// The kernel set that the options or, without one, the environment ask for; else the best one.
const KernelSet& WantedKernelSet(char** keys, char** values, std::size_t count) {
  const char* isa = nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::strcmp(keys[i], "isa") != 0) Refuse("the delegate has no option \"%.40s\"; expected isa", keys[i]);
    isa = values[i];
  }
  if (isa != nullptr) return ChooseKernelSet(isa);
  try {
    return ChooseKernelSet(std::getenv(kIsaVariable));
  } catch (const Refusal& refusal) {
    Refuse("%s (the name comes from the environment variable %s)", refusal.what(), kIsaVariable);
  }
}

}  // namespace
}  // namespace keras_bnn

TfLiteDelegate* tflite_plugin_create_delegate(char** options_keys, char** options_values, size_t num_options,
                                              void (*report_error)(const char*)) {
  try {
    const keras_bnn::KernelSet& kernels = keras_bnn::WantedKernelSet(options_keys, options_values, num_options);
    return (new keras_bnn::Delegate(kernels))->base();
  } catch (const keras_bnn::Refusal& refusal) {
    if (report_error != nullptr) report_error((std::string("keras-bnn: ") + refusal.what()).c_str());
  } catch (...) {
    if (report_error != nullptr) report_error("keras-bnn: out of memory");
  }
  return nullptr;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate != nullptr) delete keras_bnn::Delegate::From(delegate);
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
    return keras_bnn::ChooseKernelSet(std::getenv(keras_bnn::kIsaVariable)).name;
  } catch (const std::exception&) {
    return nullptr;
  }
}
