// Layers whose outputs are their sums, for tests of kernels that share an epilogue: it has its own tests.
#ifndef KERAS_BNN_TESTS_SUPPORT_SUMS_H_
#define KERAS_BNN_TESTS_SUPPORT_SUMS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/conv_layer.h"
#include "support/guarded_array.h"
#include "support/plain.h"

namespace keras_bnn {

// A layer of binary x whose y is the accumulator, as float32, and whose second output are its signs.
class SumsLayer {
 public:
  // `weights` must outlive the layer.
  SumsLayer(const KernelShape& kernel, const std::vector<Word>& weights, int pad_value)
      : ones_(kernel.channels_out, 1.0f), zeros_(kernel.channels_out, 0.0f) {
    layer_.input = ConvInput::kBits;
    layer_.kernel = kernel;
    layer_.pad_value = pad_value;
    layer_.weights = weights.data();
    layer_.epilogue.y = OutputType::kFloat32;
    layer_.epilogue.bits = true;
    layer_.epilogue.pre_activation = layer_.epilogue.activation = kNoActivation;
    layer_.epilogue.multiplier = ones_.data();
    layer_.epilogue.bias = zeros_.data();
  }
  SumsLayer(const SumsLayer&) = delete;
  SumsLayer& operator=(const SumsLayer&) = delete;

  const ConvLayer& layer() const { return layer_; }

 private:
  std::vector<float> ones_, zeros_;
  ConvLayer layer_ = {};
};

// Runs a kernel, made from a SumsLayer and sized for its image, and compares both outputs.
template <typename Kernel>
void ExpectSums(Kernel* kernel, const std::vector<Word>& x, const std::vector<int>& sums, int channels_out,
                ThreadPool* pool, Edge edge) {
  const GuardedArray<Word> image(x, edge);
  GuardedArray<float> y(sums.size(), edge);
  const std::vector<Word> expected_bits = PackSigns(sums, channels_out);
  GuardedArray<Word> bits(expected_bits.size(), edge);
  std::fill(y.begin(), y.end(), 0.5f);
  std::fill(bits.begin(), bits.end(), 0xa5a5a5a5u);
  void* const outputs[] = {y.data(), bits.data()};
  kernel->Run(image.data(), {nullptr, outputs}, *pool);
  EXPECT_EQ(std::vector<int>(y.begin(), y.end()), sums);
  EXPECT_EQ(std::vector<Word>(bits.begin(), bits.end()), expected_bits);
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_SUMS_H_
