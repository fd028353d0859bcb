#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kChannelsIn = 70;  // 3 words
constexpr int kChannelsOut = 35;
const OptionMap kOptions = {{"version", 1}, {"channels_in", kChannelsIn}};

class FullyConnectedTest : public testing::Test {
 protected:
  // An output for rows of x, by plain sums; `y` is the float32 expression.
  float Plain(const std::vector<int>& x, std::size_t row, std::size_t o) const {
    int acc = 0;
    for (std::size_t c = 0; c < kChannelsIn; ++c) acc += x[row * kChannelsIn + c] * signs_[o * kChannelsIn + c];
    return PlainTransform(acc, multiplier_[o], bias_[o], kNoActivation, kNoActivation);
  }

  std::vector<TensorInfo> FloatInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kFloat32, {kChannelsOut}, multiplier_),
            Constant(ElementType::kFloat32, {kChannelsOut}, bias_)};
  }
  std::vector<TensorInfo> BitInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kInt32, {kChannelsOut}, thresholds_)};
  }

  Random random_ = Random(1);
  std::vector<int> signs_ = random_.Signs(kChannelsOut * kChannelsIn);
  std::vector<Word> weights_ = PackSigns(signs_, kChannelsIn);
  std::vector<float> multiplier_ = random_.Floats(kChannelsOut);
  std::vector<float> bias_ = random_.Floats(kChannelsOut);
  std::vector<std::int32_t> thresholds_ = random_.Ints(kChannelsOut, -5, 5);
  TensorInfo weights_info_ = Constant(ElementType::kInt32, {kChannelsOut, 3}, weights_);
  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnFullyConnected", kOptions);
};

TEST_F(FullyConnectedTest, FloatOutput) {
  const std::vector<int> x = random_.Signs(4 * kChannelsIn);
  const TensorInfo info = Variable(ElementType::kInt32, {4, 3});
  EXPECT_EQ(harness_.Prepare(op_.get(), FloatInputs(info), ElementType::kFloat32), (std::vector<int>{4, kChannelsOut}));
  const auto y = harness_.Run<float>(op_.get(), PackSigns(x, kChannelsIn), 4 * kChannelsOut);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_TRUE(SameFloat(y[i], Plain(x, i / kChannelsOut, i % kChannelsOut)));
}

TEST_F(FullyConnectedTest, PackedOutput) {
  const std::vector<int> x = random_.Signs(4 * kChannelsIn);
  const TensorInfo info = Variable(ElementType::kInt32, {4, 3});
  EXPECT_EQ(harness_.Prepare(op_.get(), BitInputs(info), ElementType::kInt32), (std::vector<int>{4, 2}));
  std::vector<int> expected;
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t o = 0; o < kChannelsOut; ++o) {
      int acc = 0;
      for (std::size_t c = 0; c < kChannelsIn; ++c) acc += x[row * kChannelsIn + c] * signs_[o * kChannelsIn + c];
      expected.push_back(acc < thresholds_[o] ? -1 : 1);
    }
  }
  EXPECT_EQ(harness_.Run<Word>(op_.get(), PackSigns(x, kChannelsIn), 8), PackSigns(expected, kChannelsOut));
}

TEST_F(FullyConnectedTest, LeadingDimensionsAreKeptOrFlattened) {
  const auto dims = [&](std::vector<int> x) {
    return harness_.Prepare(op_.get(), FloatInputs(Variable(ElementType::kInt32, std::move(x))), ElementType::kFloat32);
  };
  EXPECT_EQ(dims({2, 5, 3}), (std::vector<int>{2, 5, kChannelsOut}));  // the last dimension is a row
  EXPECT_EQ(dims({3}), (std::vector<int>{kChannelsOut}));
  EXPECT_EQ(dims({2, 3, 1}), (std::vector<int>{2, kChannelsOut}));  // a flatten
  EXPECT_EQ(dims({2, 1, 3, 1, 1}), (std::vector<int>{2, kChannelsOut}));
  EXPECT_EQ(dims({0, 3}), (std::vector<int>{0, kChannelsOut}));
}

// Two pixels of 35 channels each: the row has unused bits inside, where the weights have 0 too.
TEST_F(FullyConnectedTest, FlattenOfChannelsThatFillNoWord) {
  weights_ = PackSigns(signs_, 35);  // rows of [2 pixels][35 channels]
  weights_info_ = Constant(ElementType::kInt32, {kChannelsOut, 4}, weights_);
  const std::vector<int> x = random_.Signs(3 * kChannelsIn);
  const TensorInfo info = Variable(ElementType::kInt32, {3, 1, 2, 2});
  EXPECT_EQ(harness_.Prepare(op_.get(), FloatInputs(info), ElementType::kFloat32), (std::vector<int>{3, kChannelsOut}));
  const auto y = harness_.Run<float>(op_.get(), PackSigns(x, 35), 3 * kChannelsOut);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_TRUE(SameFloat(y[i], Plain(x, i / kChannelsOut, i % kChannelsOut)));
}

TEST_F(FullyConnectedTest, RealInputs) {
  std::vector<std::int8_t> x(2 * kChannelsIn);
  for (std::int8_t& q : x) q = static_cast<std::int8_t>(random_.Int(-128, 127));
  const TensorInfo info = Variable(ElementType::kInt8, {2, kChannelsIn}, 5);
  EXPECT_EQ(harness_.Prepare(op_.get(), FloatInputs(info), ElementType::kFloat32), (std::vector<int>{2, kChannelsOut}));
  const auto y = harness_.Run<float>(op_.get(), x, 2 * kChannelsOut);
  for (std::size_t i = 0; i < y.size(); ++i) {
    int acc = 0;
    for (std::size_t c = 0; c < kChannelsIn; ++c) {
      acc += (x[i / kChannelsOut * kChannelsIn + c] - 5) * signs_[i % kChannelsOut * kChannelsIn + c];
    }
    const float expected =
        PlainTransform(acc, multiplier_[i % kChannelsOut], bias_[i % kChannelsOut], kNoActivation, kNoActivation);
    EXPECT_TRUE(SameFloat(y[i], expected));
  }
}

TEST_F(FullyConnectedTest, Refusals) {
  const TensorInfo x = Variable(ElementType::kInt32, {4, 3});
  const auto prepare = [&](const std::vector<TensorInfo>& inputs, ElementType output) {
    harness_.Prepare(op_.get(), inputs, output);
  };
  EXPECT_REFUSAL(prepare({x, weights_info_}, ElementType::kFloat32), "the op has 2 inputs; expected 3 or 4");
  EXPECT_REFUSAL(prepare(BitInputs(x), ElementType::kFloat32),
                 "the op has 3 inputs; expected x, weights, multiplier and bias");
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kUInt8),
                 "the output is of uint8; expected float32, int8, or int32 words");
  EXPECT_REFUSAL(prepare(FloatInputs(Variable(ElementType::kOther, {4, kChannelsIn})), ElementType::kFloat32),
                 "the input is of another type; expected int32 words, float32, int8 or uint8");
  EXPECT_REFUSAL(
      prepare(FloatInputs(Variable(ElementType::kInt32, {4, 2})), ElementType::kFloat32),
      "the input has the shape [4, 2]; expected last dimensions of 3 elements together, a row of the weights");
  EXPECT_REFUSAL(prepare(FloatInputs(Variable(ElementType::kInt32, {4, 2, 2})), ElementType::kFloat32),
                 "the input has the shape [4, 2, 2]");
  EXPECT_REFUSAL(prepare(FloatInputs(Variable(ElementType::kFloat32, {4, 3})), ElementType::kFloat32),
                 "expected last dimensions of 70 elements together");
  EXPECT_REFUSAL(prepare(FloatInputs(Variable(ElementType::kInt32, {-1, 3})), ElementType::kFloat32),
                 "expected no negative dimension");

  weights_info_.dims = {kChannelsOut, 2};
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kFloat32),
                 "the weights hold 420 bytes; expected 280 for the shape [35, 2]");
  weights_info_.constant_bytes = 280;
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kFloat32),
                 "the weights have the shape [35, 2]; expected 3 words last, for channels_in 70");
  weights_info_.constant = nullptr;
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kFloat32),
                 "the weights are not constant; expected them in the file");
  weights_info_.dims = {kChannelsOut};
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kFloat32),
                 "the weights are int32 [35]; expected int32 [-1, -1] (-1: any)");
  weights_info_ = Constant(ElementType::kFloat32, {kChannelsOut, 3}, weights_);
  EXPECT_REFUSAL(prepare(FloatInputs(x), ElementType::kFloat32),
                 "the weights are float32 [35, 3]; expected int32 [-1, -1]");
}

TEST_F(FullyConnectedTest, RefusalsOfTheChannelParameters) {
  const TensorInfo x = Variable(ElementType::kInt32, {4, 3});
  std::vector<TensorInfo> inputs = FloatInputs(x);
  inputs[2].dims = {34};
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, ElementType::kFloat32),
                 "the multipliers are float32 [34]; expected float32 [35]");
  inputs = FloatInputs(x);
  inputs[3].constant_bytes = 139;
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, ElementType::kFloat32), "the biases hold 139 bytes; expected 140");
  inputs = BitInputs(x);
  inputs[2].type = ElementType::kFloat32;
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, ElementType::kInt32),
                 "the thresholds are float32 [35]; expected int32 [35]");
  op_ = MakeOpWith("BnnFullyConnected", With(kOptions, {{"activation", 1}}));
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), BitInputs(x), ElementType::kInt32),
                 "an activation comes with thresholds; expected none, the thresholds contain it");
}

TEST_F(FullyConnectedTest, RefusesRealRowsWithUnusedWords) {
  weights_ = PackSigns(signs_, 35);
  weights_info_ = Constant(ElementType::kInt32, {kChannelsOut, 4}, weights_);
  const TensorInfo x = Variable(ElementType::kFloat32, {4, kChannelsIn});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), FloatInputs(x), ElementType::kFloat32),
                 "the weights have the shape [35, 4]; expected 3 words last");
}

TEST_F(FullyConnectedTest, RefusesZeroPointsOutsideTheType) {
  const auto prepare = [&](ElementType type, int zero_point) {
    const TensorInfo x = Variable(type, {4, kChannelsIn}, zero_point);
    harness_.Prepare(op_.get(), FloatInputs(x), ElementType::kFloat32);
  };
  EXPECT_REFUSAL(prepare(ElementType::kInt8, 128), "the input is int8 with the zero point 128; expected -128 to 127");
  EXPECT_REFUSAL(prepare(ElementType::kUInt8, -1), "the input is uint8 with the zero point -1; expected 0 to 255");
  EXPECT_REFUSAL(prepare(ElementType::kUInt8, 256), "the input is uint8 with the zero point 256; expected 0 to 255");
  EXPECT_NO_THROW(prepare(ElementType::kInt8, -128));
  EXPECT_NO_THROW(prepare(ElementType::kUInt8, 255));
}

// The popcount is doubled before it is taken off, so 2^30 inputs are one too many.
TEST_F(FullyConnectedTest, RefusesSumsOfBitsThatOverflow) {
  constexpr int kWords = (1 << 30) / 32;
  weights_info_.dims = {1, kWords};
  weights_info_.constant_bytes = 4 * kWords;  // refused before any is read
  op_ = MakeOpWith("BnnFullyConnected", With(kOptions, {{"channels_in", 1 << 30}}));
  EXPECT_REFUSAL(
      harness_.Prepare(op_.get(), FloatInputs(Variable(ElementType::kInt32, {1, kWords})), ElementType::kFloat32),
      "an output sums 1073741824 inputs; expected at most 1073741823 for int32 x");
}

TEST_F(FullyConnectedTest, RefusesSumsThatOverflow) {
  constexpr int kWords = (1 << 22) / 32 + 1;
  const std::vector<Word> weights(kWords);
  weights_info_ = Constant(ElementType::kInt32, {1, kWords}, weights);
  op_ = MakeOpWith("BnnFullyConnected", With(kOptions, {{"channels_in", (1 << 22) + 1}}));
  const std::vector<TensorInfo> inputs = FloatInputs(Variable(ElementType::kInt8, {1, (1 << 22) + 1}));
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, ElementType::kFloat32),
                 "an output sums 4194336 inputs; expected at most 4194304 for int8 x, so that the sum fits an int32");
}

}  // namespace
}  // namespace keras_bnn
