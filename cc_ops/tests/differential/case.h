// One run of an op as a file has it: options, tensors and their data.
#ifndef KERAS_BNN_TESTS_DIFFERENTIAL_CASE_H_
#define KERAS_BNN_TESTS_DIFFERENTIAL_CASE_H_

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "ops/op.h"

namespace keras_bnn {

struct Tensor {
  ElementType type = ElementType::kFloat32;
  Dims dims;
  float scale = 0.0f;
  std::int32_t zero_point = 0;
  bool constant = false;
  std::vector<unsigned char> bytes;

  int last_dim() const { return dims.back(); }

  std::int64_t elements() const {
    std::int64_t count = 1;
    for (const int dim : dims) count *= dim;
    return count;
  }

  template <typename T>
  std::vector<T> As() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  template <typename T>
  void Set(const std::vector<T>& values) {
    bytes.resize(values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  }
};

struct Case {
  std::string op;
  std::map<std::string, std::int64_t> options;  // beside the version
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;  // their dims and data are for RunPlain() to find

  int Option(const char* key, int value_if_absent) const {
    const auto found = options.find(key);
    return found == options.end() ? value_if_absent : static_cast<int>(found->second);
  }
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_DIFFERENTIAL_CASE_H_
