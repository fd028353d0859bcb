#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

const OptionMap kOptions = {{"version", 1}, {"channels_in", 40}, {"stride_w", 2}};

// A 1x2 kernel of 40 channels to 6 with stride 2, so that each output pixel has one tap; more is the kernel's tests.
class TransposeConv2DOpTest : public testing::Test {
 protected:
  std::vector<TensorInfo> FloatInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kFloat32, {6}, multiplier_),
            Constant(ElementType::kFloat32, {6}, bias_)};
  }
  std::vector<TensorInfo> BitInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kInt32, {6}, thresholds_)};
  }
  std::vector<int> Prepare(const std::vector<TensorInfo>& inputs, ElementType output) {
    return harness_.Prepare(op_.get(), inputs, output);
  }
  std::vector<int> PrepareFloat(std::vector<int> x_dims) {
    return Prepare(FloatInputs(Variable(ElementType::kInt32, std::move(x_dims))), ElementType::kFloat32);
  }
  void SetOptions(const OptionMap& options) { op_ = MakeOpWith("BnnTransposeConv2D", options); }

  // Weights of another shape, whose values do not matter.
  void SetWeights(const std::vector<int>& dims) {
    std::size_t size = 1;
    for (const int dim : dims) size *= dim;
    weights_.assign(size, 0);
    weights_info_ = Constant(ElementType::kInt32, dims, weights_);
  }

  Random random_ = Random(1);
  std::vector<int> signs_ = random_.Signs(6 * 2 * 40);  // [O][tap][channel]
  std::vector<Word> weights_ = PackSigns(signs_, 40);
  std::vector<float> multiplier_ = random_.Floats(6);
  std::vector<float> bias_ = random_.Floats(6);
  std::vector<std::int32_t> thresholds_ = random_.Ints(6, -5, 5);
  TensorInfo weights_info_ = Constant(ElementType::kInt32, {6, 1, 2, 2}, weights_);
  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnTransposeConv2D", kOptions);
};

TEST_F(TransposeConv2DOpTest, FloatAndPackedOutput) {
  const std::vector<int> x = random_.Signs(3 * 40);
  const TensorInfo info = Variable(ElementType::kInt32, {1, 1, 3, 2});
  std::vector<int> sums;  // [output pixel][O]
  for (std::size_t pixel = 0; pixel < 6; ++pixel) {
    for (std::size_t o = 0; o < 6; ++o) {
      int acc = 0;
      for (std::size_t c = 0; c < 40; ++c) acc += x[pixel / 2 * 40 + c] * signs_[(o * 2 + pixel % 2) * 40 + c];
      sums.push_back(acc);
    }
  }
  SetOptions(With(kOptions, {{"activation", 2}, {"pre_activation", 1}}));
  EXPECT_EQ(Prepare(FloatInputs(info), ElementType::kFloat32), (std::vector<int>{1, 1, 6, 6}));
  const auto floats = harness_.Run<float>(op_.get(), PackSigns(x, 40), 36);
  SetOptions(kOptions);
  EXPECT_EQ(Prepare(BitInputs(info), ElementType::kInt32), (std::vector<int>{1, 1, 6, 1}));
  const std::vector<int> bits = UnpackSigns(harness_.Run<Word>(op_.get(), PackSigns(x, 40), 6), 6);
  for (std::size_t i = 0; i < 36; ++i) {
    const float y = PlainTransform(sums[i], multiplier_[i % 6], bias_[i % 6], {0.0f, kInfinity}, {-1.0f, 1.0f});
    EXPECT_TRUE(SameFloat(floats[i], y)) << floats[i] << " and not " << y;
    EXPECT_EQ(bits[i], sums[i] < thresholds_[i % 6] ? -1 : 1);
  }
}

TEST_F(TransposeConv2DOpTest, OutputSizes) {
  EXPECT_EQ(PrepareFloat({2, 3, 5, 2}), (std::vector<int>{2, 3, 10, 6}));
  EXPECT_EQ(PrepareFloat({0, 3, 5, 2}), (std::vector<int>{0, 3, 10, 6}));
  SetWeights({6, 3, 2, 2});
  SetOptions(With(kOptions, {{"stride_h", 3}, {"pad_top", 1}, {"pad_bottom", -2}, {"pad_left", 2}, {"pad_right", 1}}));
  EXPECT_EQ(PrepareFloat({2, 3, 5, 2}), (std::vector<int>{2, 10, 7, 6}));
}

TEST_F(TransposeConv2DOpTest, RefusalsOfTheInput) {
  EXPECT_REFUSAL(PrepareFloat({4, 4, 2}), "the input has the shape [4, 4, 2]; expected 4 dimensions");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 3}), "the shape [1, 4, 4, 3]; expected 2 words last, for channels_in 40");
  EXPECT_REFUSAL(Prepare(FloatInputs(Variable(ElementType::kInt8, {1, 4, 4, 40})), ElementType::kFloat32),
                 "the input is int8; expected int32 words");
  EXPECT_REFUSAL(PrepareFloat({1 << 9, 1 << 10, 1 << 10, 2}), "the output has the shape [512, 1024, 2048, 6]");
  EXPECT_REFUSAL(PrepareFloat({1, 0, 4, 2}), "the height is 0 pixels; expected at least 1");
  SetOptions(With(kOptions, {{"pad_top", 4}}));
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the paddings 4 and 0 cut off all 4 pixels");
}

TEST_F(TransposeConv2DOpTest, RefusalsOfTheWeights) {
  SetWeights({6, 1, 2, 3});
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights are int32 [6, 1, 2, 3]; expected int32 [-1, -1, -1, 2]");
  SetWeights({6, 0, 2, 2});
  weights_info_.constant = &weights_;  // empty data has no address of its own
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights have the shape [6, 0, 2, 2]; expected no dimension of 0");
}

TEST_F(TransposeConv2DOpTest, RefusalsOfOptions) {
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"padding", 0}})), "the option \"padding\" is not known");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"dilation_h", 1}})), "the option \"dilation_h\" is not known");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"pad_left", -1}})), "the option \"pad_left\" is -1; expected 0 to");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"pad_right", -2}})), "the option \"pad_right\" is -2; expected -1 to");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"pad_bottom", -1}})), "the option \"pad_bottom\" is -1; expected 0 to");
}

// Phases that no tap reaches take no memory.
TEST_F(TransposeConv2DOpTest, HugeStrides) {
  SetOptions(With(kOptions, {{"stride_h", 1 << 30}, {"stride_w", 1 << 30}}));
  EXPECT_EQ(PrepareFloat({3, 1, 1, 2}), (std::vector<int>{3, 1, 2, 6}));
}

}  // namespace
}  // namespace keras_bnn
