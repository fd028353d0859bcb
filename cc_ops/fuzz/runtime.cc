#include "fuzz/runtime.h"

#include <cstring>
#include <string>

#include "keras_bnn/keras_bnn.h"
#include "kernels/kernel_set.h"
#include "support/plain.h"

namespace keras_bnn {

std::vector<int> SupportedKernelSets() {
  std::vector<int> supported;
  for (int i = 0; i < KernelSetCount(); ++i) {
    if (KernelSetSupported(i)) supported.push_back(i);
  }
  return supported;
}

DelegatePointer MakeDelegate(int kernel_set, bool profile) {
  std::string keys[] = {"isa", "profile"};
  std::string values[] = {KernelSetAt(kernel_set).name, profile ? "1" : "0"};
  char* key_pointers[] = {keys[0].data(), keys[1].data()};
  char* value_pointers[] = {values[0].data(), values[1].data()};
  return {tflite_plugin_create_delegate(key_pointers, value_pointers, 2, nullptr), tflite_plugin_destroy_delegate};
}

bool SameData(TfLiteType type, const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  if (a == b || type != kTfLiteFloat32 || a.size() != b.size()) return a == b;
  for (std::size_t i = 0; i < a.size(); i += sizeof(float)) {
    float x, y;
    std::memcpy(&x, a.data() + i, sizeof(float));
    std::memcpy(&y, b.data() + i, sizeof(float));
    if (!SameFloat(x, y)) return false;
  }
  return true;
}

}  // namespace keras_bnn
