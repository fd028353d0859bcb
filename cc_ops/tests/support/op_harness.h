// Makes, prepares and runs one op on plain vectors.
#ifndef KERAS_BNN_TESTS_SUPPORT_OP_HARNESS_H_
#define KERAS_BNN_TESTS_SUPPORT_OP_HARNESS_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel_set.h"
#include "ops/op.h"
#include "support/flexbuffer_map.h"
#include "support/guarded_array.h"

namespace keras_bnn {

using OptionMap = std::map<std::string, std::int64_t>;

// `base` with the entries of `changes` put over it.
inline OptionMap With(OptionMap base, const OptionMap& changes) {
  for (const auto& [key, value] : changes) base[key] = value;
  return base;
}

inline OptionMap Without(OptionMap base, const char* key) {
  base.erase(key);
  return base;
}

// `width` is the size in bytes of the options' numbers.
inline std::unique_ptr<Op> MakeOpWith(const char* name, const OptionMap& options, int width = 4) {
  const Bytes bytes = FlexbufferMap(options, width);
  return MakeOp(name, bytes.data(), bytes.size());
}

// int8 and uint8 tensors have the scale 0.5.
inline TensorInfo Variable(ElementType type, std::vector<int> dims, std::int32_t zero_point = 0) {
  TensorInfo info;
  info.type = type;
  info.dims = std::move(dims);
  info.scale = type == ElementType::kInt8 || type == ElementType::kUInt8 ? 0.5f : 0.0f;
  info.zero_point = zero_point;
  return info;
}

// `values` must outlive the info.
template <typename T>
TensorInfo Constant(ElementType type, std::vector<int> dims, const std::vector<T>& values) {
  TensorInfo info = Variable(type, std::move(dims));
  info.constant = values.data();
  info.constant_bytes = values.size() * sizeof(T);
  return info;
}

class OpHarness {
 public:
  std::vector<Dims> Prepare(Op* op, const std::vector<TensorInfo>& inputs, const std::vector<TensorInfo>& outputs) {
    return op->Prepare(inputs, outputs, resources_);
  }

  // For an op with one output, which needs no quantization.
  std::vector<int> Prepare(Op* op, const std::vector<TensorInfo>& inputs, ElementType output) {
    return Prepare(op, inputs, std::vector<TensorInfo>{Variable(output, {})}).at(0);
  }

  void Run(Op* op, const std::vector<const void*>& inputs, const std::vector<void*>& outputs) {
    op->Run(inputs, outputs, resources_);
  }

  // For an op whose only variable input is the first. Both ends of x and y touch unmapped pages in turn.
  template <typename Y, typename X>
  std::vector<Y> Run(Op* op, const std::vector<X>& x, int outputs) {
    std::vector<Y> results;
    for (const Edge edge : kEdges) {
      const GuardedArray<X> input(x, edge);
      GuardedArray<Y> output(outputs, edge);
      op->Run({input.data(), nullptr, nullptr, nullptr}, {output.data()}, resources_);
      const std::vector<Y> y(output.begin(), output.end());
      // As bytes: NaN is not equal to itself.
      if (!results.empty() && std::memcmp(y.data(), results.data(), y.size() * sizeof(Y)) != 0) std::abort();
      results = y;
    }
    return results;
  }

 private:
  ThreadPool pool_;
  Resources resources_ = {ChooseKernelSet("scalar"), pool_, 1};
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_OP_HARNESS_H_
