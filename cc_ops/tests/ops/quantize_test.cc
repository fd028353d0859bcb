#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

class QuantizeTest : public testing::Test {
 protected:
  std::vector<int> Prepare(const TensorInfo& x, ElementType output = ElementType::kInt32) {
    return harness_.Prepare(op_.get(), {x}, output);
  }

  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnQuantize", {{"version", 1}});
};

TEST_F(QuantizeTest, FloatRows) {
  Random random(1);
  const std::vector<float> x = random.Floats(3 * 50 * 37);  // more than one task of rows
  EXPECT_EQ(Prepare(Variable(ElementType::kFloat32, {3, 50, 37})), (std::vector<int>{3, 50, 2}));
  std::vector<int> signs;
  for (const float value : x) signs.push_back(value < 0.0f ? -1 : 1);
  EXPECT_EQ(harness_.Run<Word>(op_.get(), x, 300), PackSigns(signs, 37));
}

TEST_F(QuantizeTest, RowsOfWholeWords) {
  for (const int channels : {32, 64, 96}) {
    Random random(channels);
    const std::vector<float> x = random.Floats(3 * 50 * channels);
    Prepare(Variable(ElementType::kFloat32, {3, 50, channels}));
    std::vector<int> signs;
    for (const float value : x) signs.push_back(value < 0.0f ? -1 : 1);
    EXPECT_EQ(harness_.Run<Word>(op_.get(), x, 150 * channels / kWordBits), PackSigns(signs, channels));
  }
}

TEST_F(QuantizeTest, Int8RowsComparedWithTheZeroPoint) {
  Random random(2);
  std::vector<std::int8_t> x;
  std::vector<int> signs;
  for (int i = 0; i < 5 * 33; ++i) {
    x.push_back(static_cast<std::int8_t>(random.Int(-20, 0)));
    signs.push_back(x.back() < -7 ? -1 : 1);
  }
  EXPECT_EQ(Prepare(Variable(ElementType::kInt8, {5, 33}, -7)), (std::vector<int>{5, 2}));
  EXPECT_EQ(harness_.Run<Word>(op_.get(), x, 10), PackSigns(signs, 33));
}

// Rows that end inside a word, and a bias that only a fused multiply-add would not cancel.
TEST_F(QuantizeTest, MultiplierAndBias) {
  for (const int channels : {1, 31, 32, 33, 100}) {
    Random random(channels);
    std::vector<float> x = random.Floats(3 * 50 * channels);
    std::vector<float> multiplier = random.Floats(channels);
    std::vector<float> bias = random.Floats(channels);
    x[0] = 4097.0f;
    multiplier[0] = -4097.0f;
    bias[0] = 16785408.0f;  // the product is -16785409, which rounds to -16785408
    const Dims dims = {3, 50, channels};
    const std::vector<TensorInfo> inputs = {Variable(ElementType::kFloat32, dims),
                                            Constant(ElementType::kFloat32, {channels}, multiplier),
                                            Constant(ElementType::kFloat32, {channels}, bias)};
    EXPECT_EQ(harness_.Prepare(op_.get(), inputs, ElementType::kInt32), (Dims{3, 50, WordsFor(channels)}));
    std::vector<int> signs;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float y = PlainTransform(x[i], multiplier[i % channels], bias[i % channels], kNoActivation, kNoActivation);
      signs.push_back(y < 0.0f ? -1 : 1);
    }
    std::vector<Word> words(150 * WordsFor(channels), 0xa5a5a5a5);
    harness_.Run(op_.get(), {x.data(), multiplier.data(), bias.data()}, {words.data()});
    EXPECT_EQ(words, PackSigns(signs, channels));
  }
}

TEST_F(QuantizeTest, RefusesOtherMultipliersAndBiases) {
  const std::vector<float> values(40);
  const TensorInfo x = Variable(ElementType::kFloat32, {2, 40});
  const TensorInfo good = Constant(ElementType::kFloat32, {40}, values);
  const TensorInfo bad = Constant(ElementType::kFloat32, {39}, values);
  const auto prepare = [&](const std::vector<TensorInfo>& inputs) {
    harness_.Prepare(op_.get(), inputs, ElementType::kInt32);
  };
  EXPECT_REFUSAL(prepare({Variable(ElementType::kInt8, {2, 40}), good, good}),
                 "the input is int8 with a multiplier and a bias; expected float32");
  EXPECT_REFUSAL(prepare({x, bad, good}), "the multipliers are float32 [39]; expected float32 [40]");
  EXPECT_REFUSAL(prepare({x, good, bad}), "the biases are float32 [39]; expected float32 [40]");
  EXPECT_REFUSAL(prepare({x, good, Variable(ElementType::kFloat32, {40})}), "the biases are not constant");
}

TEST_F(QuantizeTest, RefusesInt8WithoutAUsableQuantization) {
  TensorInfo x = Variable(ElementType::kInt8, {2, 40});
  x.scale = 0.0f;
  EXPECT_REFUSAL(Prepare(x),
                 "the input is int8 without a scale; expected one scale and zero point for the whole tensor");
  for (const int zero_point : {-129, 128}) {
    EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt8, {2, 40}, zero_point)),
                   "the input is int8 with the zero point " + std::to_string(zero_point) + "; expected -128 to 127");
  }
}

TEST_F(QuantizeTest, OneDimensionAndEmptyBatch) {
  EXPECT_EQ(Prepare(Variable(ElementType::kFloat32, {33})), (std::vector<int>{2}));
  EXPECT_EQ(Prepare(Variable(ElementType::kFloat32, {0, 33})), (std::vector<int>{0, 2}));
  EXPECT_TRUE(harness_.Run<Word>(op_.get(), std::vector<float>(), 0).empty());
}

TEST_F(QuantizeTest, Refusals) {
  const TensorInfo x = Variable(ElementType::kFloat32, {2, 40});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {}, ElementType::kInt32), "the op has 0 inputs; expected 1 or 3");
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x, x}, ElementType::kInt32), "the op has 2 inputs; expected 1 or 3");
  EXPECT_REFUSAL(Prepare(x, ElementType::kFloat32), "the output is float32; expected int32 words");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kUInt8, {2, 40})), "the input is uint8; expected float32 or int8");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {2, 40})), "the input is int32; expected float32 or int8");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {})), "the input is a scalar; expected at least 1 dimension");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {2, 0})),
                 "the input has the shape [2, 0]; expected at least 1");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {-2, 40})), "[-2, 40]; expected no negative dimension");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {1 << 16, 1 << 16})), "expected fewer than 2^31 elements");
}

}  // namespace
}  // namespace keras_bnn
