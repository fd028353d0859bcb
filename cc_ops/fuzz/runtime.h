// What the fuzz targets need of a runtime besides its host.
#ifndef KERAS_BNN_FUZZ_RUNTIME_H_
#define KERAS_BNN_FUZZ_RUNTIME_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "tflite/abi.h"

namespace keras_bnn {

// The kernel sets that this CPU can run; the last one is the scalar one.
std::vector<int> SupportedKernelSets();

using DelegatePointer = std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)>;

DelegatePointer MakeDelegate(int kernel_set, bool profile);

// Whether two tensors hold the same, all NaN being one.
bool SameData(TfLiteType type, const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b);

}  // namespace keras_bnn

#endif  // KERAS_BNN_FUZZ_RUNTIME_H_
