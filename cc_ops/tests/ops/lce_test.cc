// The ops of Larq Compute Engine's files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kChannels = 40, kOutputs = 6, kPixels = 3;

const OptionMap kOptions = {
    {"channels_in", kChannels},   {"stride_height", 1}, {"stride_width", 1}, {"dilation_height_factor", 1},
    {"dilation_width_factor", 1}, {"padding", 1},       {"pad_values", 0},   {"fused_activation_function", 0}};

// A 1x1 convolution of 3 pixels of 40 channels to 6. Larq counts the inputs that differ from their weights.
class LceBConv2DTest : public testing::Test {
 protected:
  LceBConv2DTest() {
    for (int i = 0; i < kPixels * kOutputs; ++i) {
      int differing = 0;
      for (int c = 0; c < kChannels; ++c) {
        differing += x_[i / kOutputs * kChannels + c] != signs_[i % kOutputs * kChannels + c];
      }
      differing_.push_back(differing);
    }
  }

  std::vector<TensorInfo> Inputs() const {
    return {Variable(ElementType::kInt32, {1, 1, kPixels, 2}), Constant(ElementType::kInt32, {6, 1, 1, 2}, weights_),
            Constant(ElementType::kFloat32, {6}, multiplier_), Constant(ElementType::kFloat32, {6}, bias_),
            Constant(ElementType::kInt32, {6}, thresholds_)};
  }

  // The inputs, one of which is another one.
  std::vector<TensorInfo> InputsWith(std::size_t place, const TensorInfo& other) const {
    std::vector<TensorInfo> inputs = Inputs();
    inputs[place] = other;
    return inputs;
  }

  static TensorInfo Absent() {
    TensorInfo info;
    info.absent = true;
    return info;
  }

  template <typename Y>
  std::vector<Y> Run(const OptionMap& options, const TensorInfo& output, int values) {
    op_ = MakeOpWith("LceBconv2d", options);
    EXPECT_EQ(harness_.Prepare(op_.get(), Inputs(), std::vector<TensorInfo>{output}).at(0)[2], kPixels);
    return harness_.Run<Y>(op_.get(), PackSigns(x_, kChannels), values);
  }

  void ExpectRefusal(const std::vector<TensorInfo>& inputs, ElementType output, const char* text) {
    op_ = MakeOpWith("LceBconv2d", kOptions);
    EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, output), text);
  }

  Random random_ = Random(1);
  std::vector<int> x_ = random_.Signs(kPixels * kChannels), signs_ = random_.Signs(kOutputs * kChannels);
  std::vector<Word> weights_ = PackSigns(signs_, kChannels);
  std::vector<float> multiplier_ = random_.Floats(kOutputs), bias_ = random_.Floats(kOutputs);
  std::vector<std::int32_t> thresholds_ = {
      20, std::numeric_limits<std::int32_t>::max(), 18, std::numeric_limits<std::int32_t>::min(), 22, 19};
  std::vector<int> differing_;
  OpHarness harness_;
  std::unique_ptr<Op> op_;
};

TEST_F(LceBConv2DTest, FloatOutput) {
  const struct {
    int activation;
    int low, high;  // of the sum of +-1
  } kCases[] = {{0, -kChannels, kChannels}, {1, 0, kChannels}, {2, -1, 1}, {3, 0, 6}};
  for (const auto& [activation, low, high] : kCases) {
    const auto y = Run<float>(With(kOptions, {{"fused_activation_function", activation}}),
                              Variable(ElementType::kFloat32, {}), kPixels * kOutputs);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const int sum = std::clamp(kChannels - 2 * differing_[i], low, high);
      const std::size_t o = i % kOutputs;
      const auto bias = static_cast<float>(bias_[o] + kChannels * static_cast<double>(multiplier_[o]));
      const float product = static_cast<float>(sum - kChannels) * multiplier_[o];
      EXPECT_TRUE(SameFloat(y[i], product + bias)) << y[i] << " and not " << product + bias;
    }
  }
}

TEST_F(LceBConv2DTest, PackedOutput) {
  const auto words = Run<Word>(kOptions, Variable(ElementType::kInt32, {}), kPixels);
  const std::vector<int> bits = UnpackSigns(words, kOutputs);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    EXPECT_EQ(bits[i], differing_[i] > thresholds_[i % kOutputs] ? -1 : 1) << i;
  }
}

// Scale 0.5 and zero point -3: halves away from 0, and saturation.
TEST_F(LceBConv2DTest, Int8Output) {
  multiplier_ = {0.125f, -0.125f, 0.25f, 4.0f, -4.0f, 1.0f};
  bias_ = {0.0f, 0.125f, -0.125f, 1.0f, 2.0f, 0.5f};
  const auto y = Run<std::int8_t>(kOptions, Variable(ElementType::kInt8, {}, -3), kPixels * kOutputs);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t o = i % kOutputs;
    const double exact = (multiplier_[o] * (kChannels - 2 * differing_[i]) + bias_[o]) / 0.5 - 3;
    EXPECT_EQ(int{y[i]}, static_cast<int>(std::clamp(std::round(exact), -128.0, 127.0))) << exact;
  }
}

// Weights of one word for 64 channels: two groups.
TEST_F(LceBConv2DTest, GroupsFollowFromTheWeights) {
  const std::vector<int> x = random_.Signs(64), signs = random_.Signs(kOutputs * 32);
  const std::vector<Word> weights = PackSigns(signs, 32);
  op_ = MakeOpWith("LceBconv2d", With(kOptions, {{"channels_in", 64}}));
  std::vector<TensorInfo> inputs = InputsWith(1, Constant(ElementType::kInt32, {kOutputs, 1, 1, 1}, weights));
  inputs[0] = Variable(ElementType::kInt32, {1, 1, 1, 2});
  EXPECT_EQ(harness_.Prepare(op_.get(), inputs, ElementType::kInt32), (std::vector<int>{1, 1, 1, 1}));
  const std::vector<int> bits = UnpackSigns(harness_.Run<Word>(op_.get(), PackSigns(x, 64), 1), kOutputs);
  for (int o = 0; o < kOutputs; ++o) {
    int differing = 0;
    for (int c = 0; c < 32; ++c) differing += x[o / 3 * 32 + c] != signs[o * 32 + c];
    EXPECT_EQ(bits[o], differing > thresholds_[o] ? -1 : 1) << o;
  }
}

TEST_F(LceBConv2DTest, Refusals) {
  const auto kFloat = ElementType::kFloat32, kBits = ElementType::kInt32;
  ExpectRefusal({Inputs()[0], Inputs()[1]}, kBits, "the op has 2 inputs; expected 5");
  ExpectRefusal(InputsWith(1, Absent()), kBits, "x or the weights are left out; expected both");
  ExpectRefusal(InputsWith(2, Absent()), kFloat, "the multipliers are left out; expected them");
  ExpectRefusal(InputsWith(3, Absent()), kFloat, "the biases are left out; expected them");
  ExpectRefusal(InputsWith(4, Absent()), kBits, "the thresholds are left out; expected them for packed output");
  ExpectRefusal(Inputs(), ElementType::kUInt8, "the output is of uint8; expected float32, int8, or int32 words");
  const std::vector<Word> weights(18), too_few(6);
  ExpectRefusal(InputsWith(1, Constant(ElementType::kInt32, {6, 1, 1, 3}, weights)), kBits,
                "the weights have the shape [6, 1, 1, 3], for channels_in 40; expected 2 words last");
  ExpectRefusal(InputsWith(1, Constant(ElementType::kInt32, {6, 1, 1, 1}, too_few)), kBits,
                "the weights have the shape [6, 1, 1, 1], for channels_in 40");
  EXPECT_REFUSAL(MakeOpWith("LceBconv2d", Without(kOptions, "channels_in")), "channels_in");
}

TEST(LceBMaxPool2DTest, IsTheMaximum) {
  const OptionMap options = {
      {"filter_height", 2}, {"filter_width", 2}, {"stride_height", 2}, {"stride_width", 2}, {"padding", 1}};
  const auto op = MakeOpWith("LceBMaxPool2d", options);
  OpHarness harness;
  EXPECT_EQ(harness.Prepare(op.get(), {Variable(ElementType::kInt32, {1, 2, 2, 1})}, ElementType::kInt32),
            (std::vector<int>{1, 1, 1, 1}));
  const std::vector<Word> x = {0b1011, 0b1110, 0b1010, 0b1111};
  EXPECT_EQ(harness.Run<Word>(op.get(), x, 1), (std::vector<Word>{0b1010}));
}

TEST(LceDequantizeTest, TakesTheChannelsFromTheFile) {
  const auto op = MakeOpWith("LceDequantize", {});
  OpHarness harness;
  const std::vector<TensorInfo> x = {Variable(ElementType::kInt32, {2, 2})};
  EXPECT_REFUSAL(harness.Prepare(op.get(), x, std::vector<TensorInfo>{Variable(ElementType::kFloat32, {2, 0})}),
                 "the output has the shape [2, 0] in the file; expected the number of channels last");
  const auto dims = harness.Prepare(op.get(), x, std::vector<TensorInfo>{Variable(ElementType::kFloat32, {1, 37})});
  EXPECT_EQ(dims, (std::vector<Dims>{{2, 37}}));
  const std::vector<int> signs = Random(2).Signs(2 * 37);
  EXPECT_EQ(harness.Run<float>(op.get(), PackSigns(signs, 37), signs.size()),
            std::vector<float>(signs.begin(), signs.end()));
}

}  // namespace
}  // namespace keras_bnn
