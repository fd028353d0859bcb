// Registrations are handed over by value, and newer runtimes have larger ones. On 64-bit CPUs one that is too large
// does no harm. On 32-bit ARM the arguments behind it follow it on the stack, and it must be of the very size.
#include "tflite/replace_nodes.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/refusal.h"

namespace keras_bnn {
namespace {

// The first members of a TfLiteRegistration, which all runtimes have.
template <int kWords>
struct OlderRegistration {
  std::uint32_t words[kWords];
};

template <int kWords>
TfLiteStatus ReplaceOnOlderRuntime(TfLiteContext* context, const TfLiteRegistration& registration,
                                   const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
  OlderRegistration<kWords> older;
  std::memcpy(&older, &registration, sizeof(older));
  using AnyFunction = void (*)();
  using Replace = TfLiteStatus (*)(TfLiteContext*, OlderRegistration<kWords>, const TfLiteIntArray*, TfLiteDelegate*);
  const auto any = reinterpret_cast<AnyFunction>(context->ReplaceNodeSubsetsWithDelegateKernels);
  return reinterpret_cast<Replace>(any)(context, older, nodes, delegate);
}

// Runtimes keep their nodes in a table of pairs of node and registration, whose addresses they hand out. Of a table
// with one node nothing can be read: it is taken for one of TFLite 2.14 or newer.
std::size_t RegistrationBytes(TfLiteContext* context, int plan_size) {
  if (sizeof(void*) != 4 || plan_size < 2) return sizeof(TfLiteRegistration);
  TfLiteNode* node[2] = {};
  TfLiteRegistration* registration[2] = {};
  for (int i = 0; i < 2; ++i) {
    if (context->GetNodeAndRegistration(context, i, &node[i], &registration[i]) != kTfLiteOk) {
      Refuse("the runtime does not hand out node %d", i);
    }
  }
  return reinterpret_cast<std::uintptr_t>(node[1]) - reinterpret_cast<std::uintptr_t>(registration[0]);
}

}  // namespace

TfLiteStatus ReplaceNodes(TfLiteContext* context, int plan_size, const TfLiteRegistration& registration,
                          const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
  const std::size_t bytes = RegistrationBytes(context, plan_size);
  switch (bytes) {
    case sizeof(TfLiteRegistration):
      return context->ReplaceNodeSubsetsWithDelegateKernels(context, registration, nodes, delegate);
    case 40:  // TFLite 2.13
      return ReplaceOnOlderRuntime<10>(context, registration, nodes, delegate);
    case 36:  // TFLite 2.9 to 2.12
      return ReplaceOnOlderRuntime<9>(context, registration, nodes, delegate);
    case 32:
      return ReplaceOnOlderRuntime<8>(context, registration, nodes, delegate);
    default:
      Refuse(
          "the runtime keeps %zu bytes for an op's registration; expected 32, 36, 40 or %zu, as in TFLite 2.7 to 2.14",
          bytes, sizeof(TfLiteRegistration));
  }
}

}  // namespace keras_bnn
