#include "tflite/wanted_kernel_set.h"

#include <cstdlib>

#include "core/refusal.h"

namespace keras_bnn {

const KernelSet& WantedKernelSet(const char* isa) {
  if (isa != nullptr) return ChooseKernelSet(isa);
  constexpr char kIsaVariable[] = "KERAS_BNN_ISA";
  try {
    return ChooseKernelSet(std::getenv(kIsaVariable));
  } catch (const Refusal& refusal) {
    Refuse("%s (the name comes from the environment variable %s)", refusal.what(), kIsaVariable);
  }
}

}  // namespace keras_bnn
