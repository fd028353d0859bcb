#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

const OptionMap kOptions = {{"version", 1}, {"channels_in", 40}, {"padding", 1}};

// A 1x1 convolution of 40 channels to 6; larger windows are the kernel's tests.
class Conv2DOpTest : public testing::Test {
 protected:
  std::vector<TensorInfo> FloatInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kFloat32, {6}, multiplier_),
            Constant(ElementType::kFloat32, {6}, bias_)};
  }
  std::vector<TensorInfo> BitInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kInt32, {6}, thresholds_)};
  }

  // Weights of another shape, whose values do not matter.
  void SetWeights(const std::vector<int>& dims) {
    std::size_t size = 1;
    for (const int dim : dims) size *= dim;
    weights_.assign(size, 0);
    weights_info_ = Constant(ElementType::kInt32, dims, weights_);
  }

  std::vector<int> Prepare(const std::vector<TensorInfo>& inputs, ElementType output) {
    return harness_.Prepare(op_.get(), inputs, output);
  }
  std::vector<int> PrepareFloat(std::vector<int> x_dims) {
    return Prepare(FloatInputs(Variable(ElementType::kInt32, std::move(x_dims))), ElementType::kFloat32);
  }

  Random random_ = Random(1);
  std::vector<int> signs_ = random_.Signs(6 * 40);
  std::vector<Word> weights_ = PackSigns(signs_, 40);
  std::vector<float> multiplier_ = random_.Floats(6);
  std::vector<float> bias_ = random_.Floats(6);
  std::vector<std::int32_t> thresholds_ = random_.Ints(6, -5, 5);
  TensorInfo weights_info_ = Constant(ElementType::kInt32, {6, 1, 1, 2}, weights_);
  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnConv2D", kOptions);
};

TEST_F(Conv2DOpTest, FloatAndPackedOutput) {
  const std::vector<int> x = random_.Signs(3 * 40);
  const TensorInfo info = Variable(ElementType::kInt32, {1, 1, 3, 2});
  std::vector<int> sums;
  for (std::size_t i = 0; i < 18; ++i) {
    int acc = 0;
    for (std::size_t c = 0; c < 40; ++c) acc += x[i / 6 * 40 + c] * signs_[i % 6 * 40 + c];
    sums.push_back(acc);
  }
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"activation", 2}, {"pre_activation", 1}}));
  EXPECT_EQ(Prepare(FloatInputs(info), ElementType::kFloat32), (std::vector<int>{1, 1, 3, 6}));
  const auto floats = harness_.Run<float>(op_.get(), PackSigns(x, 40), 18);
  op_ = MakeOpWith("BnnConv2D", kOptions);
  EXPECT_EQ(Prepare(BitInputs(info), ElementType::kInt32), (std::vector<int>{1, 1, 3, 1}));
  const std::vector<int> bits = UnpackSigns(harness_.Run<Word>(op_.get(), PackSigns(x, 40), 3), 6);
  for (std::size_t i = 0; i < 18; ++i) {
    const float y = PlainTransform(sums[i], multiplier_[i % 6], bias_[i % 6], {0.0f, kInfinity}, {-1.0f, 1.0f});
    EXPECT_TRUE(SameFloat(floats[i], y)) << floats[i] << " and not " << y;
    EXPECT_EQ(bits[i], sums[i] < thresholds_[i % 6] ? -1 : 1);
  }
}

TEST_F(Conv2DOpTest, OutputSizes) {
  SetWeights({6, 3, 2, 2});
  EXPECT_EQ(PrepareFloat({2, 5, 7, 2}), (std::vector<int>{2, 3, 6, 6}));
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"padding", 0}, {"stride_h", 2}, {"stride_w", 3}}));
  EXPECT_EQ(PrepareFloat({2, 5, 7, 2}), (std::vector<int>{2, 3, 3, 6}));
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"padding", 2}, {"pad_top", 1}, {"pad_left", 2}, {"pad_right", 3}}));
  EXPECT_EQ(PrepareFloat({2, 5, 7, 2}), (std::vector<int>{2, 4, 11, 6}));
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"dilation_h", 2}, {"dilation_w", 4}}));
  EXPECT_EQ(PrepareFloat({2, 5, 7, 2}), (std::vector<int>{2, 1, 3, 6}));
}

TEST_F(Conv2DOpTest, SizesMayChange) {
  EXPECT_EQ(PrepareFloat({1, 4, 4, 2}), (std::vector<int>{1, 4, 4, 6}));
  EXPECT_EQ(PrepareFloat({3, 2, 9, 2}), (std::vector<int>{3, 2, 9, 6}));
  EXPECT_EQ(PrepareFloat({0, 2, 9, 2}), (std::vector<int>{0, 2, 9, 6}));
}

TEST_F(Conv2DOpTest, FloatInputWithPackedOutputTakesMultiplierAndBias) {
  const std::vector<TensorInfo> inputs = FloatInputs(Variable(ElementType::kFloat32, {1, 2, 2, 40}));
  EXPECT_EQ(Prepare(inputs, ElementType::kInt32), (std::vector<int>{1, 2, 2, 1}));
}

TEST_F(Conv2DOpTest, RefusalsOfTheInput) {
  EXPECT_REFUSAL(PrepareFloat({4, 4, 2}), "the input has the shape [4, 4, 2]; expected 4 dimensions");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 3}),
                 "the input has the shape [1, 4, 4, 3]; expected 2 words last, for channels_in 40");
  EXPECT_REFUSAL(Prepare(FloatInputs(Variable(ElementType::kUInt8, {1, 4, 4, 2})), ElementType::kFloat32),
                 "expected 40 channels last, for channels_in 40");
  EXPECT_REFUSAL(Prepare(FloatInputs(Variable(ElementType::kOther, {1, 4, 4, 40})), ElementType::kFloat32),
                 "the input is of another type");
  EXPECT_REFUSAL(PrepareFloat({1, -4, 4, 2}), "expected no negative dimension");
  EXPECT_REFUSAL(PrepareFloat({1 << 10, 1 << 10, 1 << 10, 2}), "expected fewer than 2^31 elements");
  EXPECT_REFUSAL(PrepareFloat({1 << 9, 1 << 10, 1 << 10, 2}), "the output has the shape [512, 1024, 1024, 6]");
}

TEST_F(Conv2DOpTest, RefusalsOfTheWindow) {
  SetWeights({6, 3, 3, 2});
  EXPECT_REFUSAL(PrepareFloat({1, 2, 4, 2}),
                 "the window of 3 pixels (3 taps, dilation 1) is larger than the padded height of 2 pixels");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 2, 2}), "the padded width of 2 pixels");
  constexpr int kMax = std::numeric_limits<int>::max();
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"padding", 2}, {"pad_top", kMax}, {"pad_bottom", kMax}}));
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}),
                 "the height of 4 pixels with 3 taps, stride 1 and dilation 1 reaches over 2^31");
}

TEST_F(Conv2DOpTest, RefusesImagesOfNoPixels) {
  SetWeights({6, 3, 3, 2});
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"padding", 2}, {"pad_top", 3}, {"pad_left", 3}}));
  EXPECT_REFUSAL(PrepareFloat({1, 0, 4, 2}), "the height is 0 pixels; expected at least 1");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 0, 2}), "the width is 0 pixels; expected at least 1");
}

// Padding at the sides makes a copy of x, in which each line is two pixels longer.
TEST_F(Conv2DOpTest, MemoryCountsTheCopyWithPadding) {
  SetWeights({6, 3, 3, 2});
  PrepareFloat({50, 20, 8, 2});
  const std::size_t without = op_->Memory().scratch;
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"padding", 0}}));
  PrepareFloat({50, 20, 8, 2});
  EXPECT_GE(op_->Memory().scratch, without + std::size_t{50} * 20 * 10 * 2 * 4);
}

// An empty batch must not hide images whose offsets overflow.
TEST_F(Conv2DOpTest, RefusesHugeImagesOfAnEmptyBatch) {
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"channels_in", 1 << 30}}));
  EXPECT_REFUSAL(PrepareFloat({0, 1 << 30, 1 << 30, 1 << 25}), "expected fewer than 2^31 elements");
}

// Nor a row whose panels are counted past the largest int.
TEST_F(Conv2DOpTest, TakesTheWidestImagesOfAnEmptyBatch) {
  SetWeights({1, 1, 2, 1});
  op_ = MakeOpWith("BnnConv2D", {{"version", 1}, {"channels_in", 1}, {"padding", 1}});
  const std::vector<float> one = {1.0f};
  const TensorInfo per_channel = Constant(ElementType::kFloat32, {1}, one);
  const TensorInfo x = Variable(ElementType::kUInt8, {0, 1, std::numeric_limits<int>::max() - 1, 1});
  EXPECT_EQ(Prepare({x, weights_info_, per_channel, per_channel}, ElementType::kFloat32),
            (Dims{0, 1, std::numeric_limits<int>::max() - 2, 1}));
}

// Whose rows of output share no row of x: those of a full panel would copy 2^29 values.
TEST_F(Conv2DOpTest, CopiesFewRowsAtOnceForAHighKernel) {
  constexpr int kTaps = (1 << 23) + 1;
  SetWeights({1, kTaps, 1, 1});
  op_ = MakeOpWith("BnnConv2D", {{"version", 1}, {"channels_in", 1}, {"padding", 1}, {"dilation_h", 2}});
  const std::vector<float> one = {1.0f};
  const TensorInfo per_channel = Constant(ElementType::kFloat32, {1}, one);
  const TensorInfo x = Variable(ElementType::kFloat32, {1, 2 * kTaps + 600, 1, 1});
  EXPECT_EQ(Prepare({x, weights_info_, per_channel, per_channel}, ElementType::kFloat32), (Dims{1, 602, 1, 1}));
  EXPECT_GE(op_->Memory().scratch, kTaps * sizeof(float));
  EXPECT_LT(op_->Memory().scratch, 4 * kTaps * sizeof(float));
}

TEST_F(Conv2DOpTest, RefusalsOfTheWeights) {
  SetWeights({6, 1, 1, 3});
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}),
                 "the weights are int32 [6, 1, 1, 3]; expected int32 [-1, -1, -1, 2] (-1: any)");
  SetWeights({6, 1, 2});
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights are int32 [6, 1, 2]; expected int32 [-1, -1, -1, 2]");
  SetWeights({0, 1, 1, 2});
  weights_info_.constant = &weights_;  // empty data has no address of its own
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights have the shape [0, 1, 1, 2]; expected no dimension of 0");
  SetWeights({6, 1, 1, 2});
  weights_info_.constant_bytes -= 4;
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights hold 44 bytes; expected 48 for the shape [6, 1, 1, 2]");
  weights_info_.constant = nullptr;
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the weights are not constant; expected them in the file");
}

TEST_F(Conv2DOpTest, RefusalsOfGroups) {
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"groups", 3}}));
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "groups is 3; expected a divisor of channels_in 40");
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"groups", 4}}));
  SetWeights({6, 1, 1, 1});
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "groups is 4; expected a divisor of the 6 output channels");
}

TEST_F(Conv2DOpTest, RefusalsOfChannelParametersAndOutput) {
  const TensorInfo x = Variable(ElementType::kInt32, {1, 4, 4, 2});
  EXPECT_REFUSAL(Prepare({x, weights_info_}, ElementType::kFloat32), "the op has 2 inputs; expected 3 or 4");
  EXPECT_REFUSAL(Prepare(BitInputs(x), ElementType::kFloat32), "expected x, weights, multiplier and bias");
  EXPECT_REFUSAL(Prepare(FloatInputs(x), ElementType::kUInt8),
                 "the output is of uint8; expected float32, int8, or int32 words");
  std::vector<TensorInfo> inputs = BitInputs(x);
  inputs[2].dims = {5};
  EXPECT_REFUSAL(Prepare(inputs, ElementType::kInt32), "the thresholds are int32 [5]; expected int32 [6]");
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"pre_activation", 1}}));
  EXPECT_REFUSAL(Prepare(BitInputs(x), ElementType::kInt32), "an activation comes with thresholds");
}

TEST_F(Conv2DOpTest, RefusesPadValuesOfInt8) {
  op_ = MakeOpWith("BnnConv2D", With(kOptions, {{"pad_value", -1}}));
  for (const ElementType type : {ElementType::kInt8, ElementType::kUInt8}) {
    EXPECT_REFUSAL(Prepare(FloatInputs(Variable(type, {1, 4, 4, 40})), ElementType::kFloat32), "pad_value is -1 with ");
  }
}

}  // namespace
}  // namespace keras_bnn
