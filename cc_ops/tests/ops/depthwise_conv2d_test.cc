#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

const OptionMap kOptions = {{"version", 1}, {"channels_in", 20}, {"padding", 1}};

// A 1x2 kernel of 20 channels to 40; larger windows are the kernel's tests.
class DepthwiseConv2DOpTest : public testing::Test {
 protected:
  std::vector<TensorInfo> FloatInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kFloat32, {40}, multiplier_),
            Constant(ElementType::kFloat32, {40}, bias_)};
  }
  std::vector<TensorInfo> BitInputs(const TensorInfo& x) const {
    return {x, weights_info_, Constant(ElementType::kInt32, {40}, thresholds_)};
  }
  std::vector<int> Prepare(const std::vector<TensorInfo>& inputs, ElementType output) {
    return harness_.Prepare(op_.get(), inputs, output);
  }
  std::vector<int> PrepareFloat(std::vector<int> x_dims) {
    return Prepare(FloatInputs(Variable(ElementType::kInt32, std::move(x_dims))), ElementType::kFloat32);
  }
  void SetOptions(const OptionMap& options) { op_ = MakeOpWith("BnnDepthwiseConv2D", options); }

  // Weights of another shape, whose values do not matter.
  void SetWeights(const std::vector<int>& dims) {
    std::size_t size = 1;
    for (const int dim : dims) size *= dim;
    weights_.assign(size, 0);
    weights_info_ = Constant(ElementType::kInt32, dims, weights_);
  }

  Random random_ = Random(1);
  std::vector<int> signs_ = random_.Signs(2 * 40);
  std::vector<Word> weights_ = PackSigns(signs_, 40);
  std::vector<float> multiplier_ = random_.Floats(40);
  std::vector<float> bias_ = random_.Floats(40);
  std::vector<std::int32_t> thresholds_ = random_.Ints(40, -2, 3);
  TensorInfo weights_info_ = Constant(ElementType::kInt32, {1, 2, 2}, weights_);
  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnDepthwiseConv2D", kOptions);
};

TEST_F(DepthwiseConv2DOpTest, FloatAndPackedOutput) {
  const std::vector<int> x = random_.Signs(3 * 20);
  const TensorInfo info = Variable(ElementType::kInt32, {1, 1, 3, 1});
  std::vector<int> sums;
  for (std::size_t pixel = 0; pixel < 2; ++pixel) {
    for (std::size_t o = 0; o < 40; ++o) {
      sums.push_back(x[pixel * 20 + o / 2] * signs_[o] + x[(pixel + 1) * 20 + o / 2] * signs_[40 + o]);
    }
  }
  SetOptions(With(kOptions, {{"activation", 2}, {"pre_activation", 1}}));
  EXPECT_EQ(Prepare(FloatInputs(info), ElementType::kFloat32), (std::vector<int>{1, 1, 2, 40}));
  const auto floats = harness_.Run<float>(op_.get(), PackSigns(x, 20), 80);
  SetOptions(kOptions);
  EXPECT_EQ(Prepare(BitInputs(info), ElementType::kInt32), (std::vector<int>{1, 1, 2, 2}));
  const std::vector<int> bits = UnpackSigns(harness_.Run<Word>(op_.get(), PackSigns(x, 20), 4), 40);
  for (std::size_t i = 0; i < 80; ++i) {
    const float y = PlainTransform(sums[i], multiplier_[i % 40], bias_[i % 40], {0.0f, kInfinity}, {-1.0f, 1.0f});
    EXPECT_TRUE(SameFloat(floats[i], y)) << floats[i] << " and not " << y;
    EXPECT_EQ(bits[i], sums[i] < thresholds_[i % 40] ? -1 : 1);
  }
}

// A shortcut of y's shape is added before the signs are taken: y is the sum, and both are given.
TEST_F(DepthwiseConv2DOpTest, StepsAndBothOutputs) {
  const std::vector<int> x = random_.Signs(2 * 20);
  const std::vector<float> shortcut = random_.Floats(40);
  SetOptions(With(kOptions, {{"steps", 1}}));
  std::vector<TensorInfo> inputs = FloatInputs(Variable(ElementType::kInt32, {1, 1, 2, 1}));
  inputs.push_back(Variable(ElementType::kFloat32, {1, 1, 1, 40}));
  const std::vector<TensorInfo> outputs = {Variable(ElementType::kFloat32, {}), Variable(ElementType::kInt32, {})};
  EXPECT_EQ(harness_.Prepare(op_.get(), inputs, outputs), (std::vector<Dims>{{1, 1, 1, 40}, {1, 1, 1, 2}}));
  std::vector<float> y(40);
  std::vector<Word> bits(2);
  ThreadPool pool;
  const std::vector<Word> packed = PackSigns(x, 20);
  op_->Run({packed.data(), nullptr, nullptr, nullptr, shortcut.data()}, {y.data(), bits.data()},
           {ChooseKernelSet("scalar"), pool, 1});
  const std::vector<int> found = UnpackSigns(bits, 40);
  for (std::size_t o = 0; o < 40; ++o) {
    const int sum = x[o / 2] * signs_[o] + x[20 + o / 2] * signs_[40 + o];
    volatile float expected = PlainTransform(sum, multiplier_[o], bias_[o], kNoActivation, kNoActivation);
    expected = expected + shortcut[o];
    EXPECT_TRUE(SameFloat(y[o], expected)) << y[o] << " and not " << expected;
    EXPECT_EQ(found[o], expected < 0.0f ? -1 : 1);
  }
}

TEST_F(DepthwiseConv2DOpTest, OutputSizes) {
  EXPECT_EQ(PrepareFloat({2, 5, 7, 1}), (std::vector<int>{2, 5, 6, 40}));
  EXPECT_EQ(PrepareFloat({0, 5, 7, 1}), (std::vector<int>{0, 5, 6, 40}));
  SetOptions(With(kOptions, {{"padding", 2}, {"pad_top", 1}, {"pad_right", 3}, {"stride_h", 2}, {"dilation_w", 4}}));
  EXPECT_EQ(PrepareFloat({2, 5, 7, 1}), (std::vector<int>{2, 3, 6, 40}));
}

TEST_F(DepthwiseConv2DOpTest, RefusalsOfTheInput) {
  EXPECT_REFUSAL(PrepareFloat({4, 4, 1}), "the input has the shape [4, 4, 1]; expected 4 dimensions");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 2}), "the shape [1, 4, 4, 2]; expected 1 words last, for channels_in 20");
  EXPECT_REFUSAL(Prepare(FloatInputs(Variable(ElementType::kFloat32, {1, 4, 4, 20})), ElementType::kFloat32),
                 "the input is float32; expected int32 words");
  EXPECT_REFUSAL(PrepareFloat({1 << 10, 1 << 10, 1 << 11, 1}), "expected fewer than 2^31 elements");
  EXPECT_REFUSAL(PrepareFloat({1 << 9, 1 << 9, 1 << 9, 1}), "the output has the shape [512, 512, 511, 40]");
  EXPECT_REFUSAL(PrepareFloat({1, 4, 1, 1}), "larger than the padded width of 1 pixels");
}

// Each tap reads a run of its own, of which finding one must not go through all others.
TEST_F(DepthwiseConv2DOpTest, WideKernelsWithWideStrides) {
  constexpr int kTaps = 1 << 18;
  SetWeights({1, kTaps, 2});
  SetOptions(With(kOptions, {{"padding", 0}, {"stride_w", kTaps}}));
  EXPECT_EQ(PrepareFloat({1, 1, 1, 1}), (std::vector<int>{1, 1, 1, 40}));
}

TEST_F(DepthwiseConv2DOpTest, RefusalsOfTheWeights) {
  SetWeights({1, 2, 1});
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 1}), "the weights are int32 [1, 2, 1]; expected int32 [-1, -1, 2] (-1: any)");
  SetWeights({0, 2, 2});
  weights_info_.constant = &weights_;  // empty data has no address of its own
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 1}), "the weights have the shape [0, 2, 2]; expected no dimension of 0");
}

TEST_F(DepthwiseConv2DOpTest, RefusalsOfChannelsOut) {
  SetOptions(With(kOptions, {{"channels_in", 30}}));
  EXPECT_REFUSAL(PrepareFloat({1, 4, 4, 1}),
                 "the third input has the shape [40]; expected one value for each output channel, a multiple of "
                 "channels_in 30");
  SetOptions(kOptions);
  std::vector<TensorInfo> inputs = FloatInputs(Variable(ElementType::kInt32, {1, 4, 4, 1}));
  inputs[2].dims = {2, 40};
  EXPECT_REFUSAL(Prepare(inputs, ElementType::kFloat32), "the multipliers are float32 [2, 40]; expected float32 [40]");
  inputs[2].dims = {};
  EXPECT_REFUSAL(Prepare(inputs, ElementType::kFloat32), "the third input has the shape []");
}

TEST_F(DepthwiseConv2DOpTest, RefusalsOfOptions) {
  EXPECT_REFUSAL(SetOptions(Without(kOptions, "channels_in")), "the option \"channels_in\" is missing");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"groups", 1}})), "the option \"groups\" is not known");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"pad_value", 2}})), "the option \"pad_value\" is 2; expected -1 to 1");
  EXPECT_REFUSAL(SetOptions(With(kOptions, {{"pad_top", 1}})), "the option \"pad_top\" is 1; expected 0 to 0");
}

}  // namespace
}  // namespace keras_bnn
