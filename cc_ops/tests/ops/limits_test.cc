// The largest sizes that ops take, and the first that they refuse (docs/format.md, "Limits").
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ops/layer.h"
#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/time_limit.h"

namespace keras_bnn {
namespace {

constexpr int kMax = std::numeric_limits<int>::max();

// An op with weights of this shape, all +1, and float32 y.
class Layer {
 public:
  Layer(const char* name, const OptionMap& options, const std::vector<int>& weights, int channels_out)
      : op_(MakeOpWith(name, With(options, {{"version", 1}}))), dims_(weights), ones_(channels_out, 1.0f) {
    std::size_t size = 1;
    for (const int dim : weights) size *= dim;
    weights_.assign(size, 0);
  }

  std::vector<int> Prepare(const TensorInfo& x) {
    const auto channels_out = static_cast<int>(ones_.size());
    return harness_.Prepare(
        op_.get(),
        {x, Constant(ElementType::kInt32, dims_, weights_), Constant(ElementType::kFloat32, {channels_out}, ones_),
         Constant(ElementType::kFloat32, {channels_out}, ones_)},
        ElementType::kFloat32);
  }
  std::vector<int> Prepare(const std::vector<int>& x) { return Prepare(Variable(ElementType::kInt32, x)); }

  template <typename X>
  std::vector<float> Run(const std::vector<X>& x, int outputs) {
    return harness_.Run<float>(op_.get(), x, outputs);
  }

  std::size_t Scratch() const { return op_->Memory().scratch; }

 private:
  std::unique_ptr<Op> op_;
  std::vector<int> dims_;
  std::vector<float> ones_;
  std::vector<Word> weights_;
  OpHarness harness_;
};

TEST(LimitsTest, TheMostInputsOfAnInt8SumAreExact) {
  constexpr int kInputs = 1 << 22;
  for (const auto type : {ElementType::kInt8, ElementType::kUInt8}) {
    Layer layer("BnnFullyConnected", {{"channels_in", kInputs}}, {1, kInputs / 32}, 1);
    const bool is_int8 = type == ElementType::kInt8;
    ASSERT_EQ(layer.Prepare(Variable(type, {1, kInputs}, is_int8 ? -128 : 0)), (std::vector<int>{1, 1}));
    // 2^22 * 255, and the bias of 1.
    EXPECT_EQ(layer.Run(std::vector<std::uint8_t>(kInputs, is_int8 ? 127 : 255), 1)[0],
              static_cast<float>(kInputs) * 255.0f + 1.0f);
    Layer larger("BnnFullyConnected", {{"channels_in", kInputs + 1}}, {1, kInputs / 32 + 1}, 1);
    EXPECT_REFUSAL(larger.Prepare(Variable(type, {1, kInputs + 1})), "expected at most 4194304 for ");
  }
}

// A kernel set would read 4 GiB of such a kernel.
TEST(LimitsTest, TheMostBitsOfASum) {
  EXPECT_NO_THROW(CheckAccumulator(ElementType::kInt32, (1 << 30) - 1));
  EXPECT_REFUSAL(CheckAccumulator(ElementType::kInt32, 1 << 30),
                 "an output sums 1073741824 inputs; expected at most 1073741823 for int32 x");
  EXPECT_REFUSAL(CheckAccumulator(ElementType::kInt32, std::int64_t{1} << 62), "an output sums 4611686018427387904");
}

// One row of taps, or one tap, makes any dilation, and one output any stride.
TEST(LimitsTest, TheLargestStridesAndDilations) {
  const OptionMap options = {{"channels_in", 32},    {"padding", 2},       {"stride_h", kMax - 4},
                             {"stride_w", kMax - 4}, {"pad_top", 1},       {"pad_left", 1},
                             {"dilation_h", kMax},   {"dilation_w", kMax}, {"pad_value", 1}};
  for (const int pad_value : {0, 1}) {
    for (const char* name : {"BnnConv2D", "BnnDepthwiseConv2D"}) {
      SCOPED_TRACE(name);
      const bool is_depthwise = name == std::string("BnnDepthwiseConv2D");
      const std::vector<int> weights = is_depthwise ? std::vector<int>{1, 1, 1} : std::vector<int>{32, 1, 1, 1};
      Layer layer(name, With(options, {{"pad_value", pad_value}}), weights, 32);
      ASSERT_EQ(layer.Prepare({1, 2, 3, 1}), (std::vector<int>{1, 1, 1, 32}));
      const int tap = pad_value * (is_depthwise ? 1 : 32);  // the one output lies on padding
      EXPECT_EQ(layer.Run(std::vector<Word>(6, ~Word{0}), 32), std::vector<float>(32, static_cast<float>(tap + 1)));
    }
  }
}

TEST(LimitsTest, WindowsThatReachTooFarAreRefused) {
  Layer layer("BnnConv2D", {{"channels_in", 32}, {"padding", 2}, {"pad_top", kMax}}, {1, 1, 1, 1}, 1);
  EXPECT_REFUSAL(layer.Prepare({1, 1, 1, 1}), "the height of 1 pixels with 1 taps, stride 1 and dilation 1 reaches");
  Layer transposed("BnnTransposeConv2D", {{"channels_in", 32}, {"stride_w", kMax}}, {1, 1, 1, 1}, 1);
  EXPECT_REFUSAL(transposed.Prepare({1, 1, 2, 1}), "gives over 2^31 pixels");
}

// A pooling window may be far larger than the image.
TEST(LimitsTest, TheLargestPoolingWindow) {
  constexpr int kWindow = 1 << 30;
  const auto op =
      MakeOpWith("BnnMaxPool2D", {{"version", 1}, {"window_h", kWindow}, {"window_w", kWindow}, {"padding", 0}});
  OpHarness harness;
  ASSERT_EQ(harness.Prepare(op.get(), {Variable(ElementType::kInt32, {1, 2, 2, 1})}, ElementType::kInt32),
            (std::vector<int>{1, 2, 2, 1}));
  EXPECT_EQ(harness.Run<Word>(op.get(), std::vector<Word>{7, 11, 13, 15}, 4), std::vector<Word>(4, 1));
}

// Lines of 2 pixels and 6 of padding.
TEST(LimitsTest, RefusesFramesOfTooManyWords) {
  Layer layer("BnnConv2D", {{"channels_in", 32}, {"padding", 0}}, {1, 1, 7, 1}, 1);
  EXPECT_EQ(layer.Prepare({1 << 8, 1, 2, 1}), (std::vector<int>{1 << 8, 1, 2, 1}));
  EXPECT_REFUSAL(layer.Prepare({1 << 28, 1, 2, 1}),
                 "the input with padded lines would have 268435456 * 1 * 8 * 1 values; expected at most ");
  EXPECT_EQ(layer.Prepare({1, 1, 4, 1}), (std::vector<int>{1, 1, 4, 1}));
}

// Lines of one pixel would be framed by 512 pixels of padding at either side.
TEST(LimitsTest, FramesAreNotMuchLargerThanTheImage) {
  Layer layer("BnnConv2D", {{"channels_in", 32}, {"padding", 0}}, {1, 1, 1025, 1}, 1);
  EXPECT_EQ(layer.Prepare({1 << 16, 1, 1, 1}), (std::vector<int>{1 << 16, 1, 1, 1}));
  EXPECT_LE(layer.Scratch(), std::size_t{1} << 20);
}

// A group of one channel takes a word where the input has a bit.
TEST(LimitsTest, RefusesGroupsThatTakeTooManyWords) {
  Layer layer("BnnConv2D", {{"channels_in", 4096}, {"groups", 4096}, {"padding", 0}, {"stride_w", 2}}, {4096, 1, 1, 1},
              4096);
  EXPECT_EQ(layer.Prepare({1, 1, 8, 128}), (std::vector<int>{1, 1, 4, 4096}));
  EXPECT_REFUSAL(layer.Prepare({1, 1, 1 << 19, 128}),
                 "the input with its groups in words of their own would have 1 * 1 * 524288 * 4096 * 1 values");
}

TEST(LimitsTest, RefusesTurnedLinesOfTooManyWords) {
  Layer layer("BnnDepthwiseConv2D", {{"channels_in", 32}, {"padding", 1}}, {1, 4096, 256}, 8192);
  EXPECT_REFUSAL(layer.Prepare({1, 4096, 4096, 1}),
                 "the input with its padding would have 1 * 4096 * 256 * 1 * 4103 values");
}

TEST(LimitsTest, LinesThatNoOutputReadsTakeNoMemory) {
  Layer layer("BnnDepthwiseConv2D", {{"channels_in", 32}, {"padding", 1}, {"stride_h", 4096}}, {1, 4096, 256}, 8192);
  ASSERT_EQ(layer.Prepare({1, 4096, 4096, 1}), (std::vector<int>{1, 1, 1, 8192}));
  EXPECT_LE(layer.Scratch(), std::size_t{1} << 23);
}

TEST(LimitsTest, ColumnsThatNoOutputReadsTakeNoMemory) {
  Layer layer("BnnDepthwiseConv2D", {{"channels_in", 32}, {"padding", 1}, {"stride_w", 1 << 20}}, {1, 1, 256}, 8192);
  ASSERT_EQ(layer.Prepare({1, 1, 1 << 20, 1}), (std::vector<int>{1, 1, 1, 8192}));
  EXPECT_LE(layer.Scratch(), std::size_t{1} << 16);
}

// Of two taps, the second reads the image, and the first lies far beside it.
TEST(LimitsTest, TapsBesideTheImageTakeNoMemory) {
  constexpr int kFar = (1 << 30) - 2;
  for (const int pad_value : {0, 1, -1}) {
    Layer layer(
        "BnnDepthwiseConv2D",
        {{"channels_in", 32}, {"padding", 2}, {"pad_left", kFar}, {"dilation_w", kFar}, {"pad_value", pad_value}},
        {1, 2, 1}, 32);
    ASSERT_EQ(layer.Prepare({1, 1, 1, 1}), (std::vector<int>{1, 1, 1, 32}));
    EXPECT_LE(layer.Scratch(), std::size_t{1} << 12);
    // x is -1, the bias 1.
    EXPECT_EQ(layer.Run(std::vector<Word>(1, ~Word{0}), 32), std::vector<float>(32, static_cast<float>(pad_value)));
  }
}

// However large the images are of which there are none.
TEST(LimitsTest, AnEmptyBatchTakesNeitherTimeNorMemory) {
  const TimeLimit limit;
  constexpr int kPixels = 1 << 29;
  const auto expect_nothing = [&](const char* name, const OptionMap& options, const std::vector<int>& weights,
                                  ElementType type) {
    SCOPED_TRACE(name);
    Layer layer(name, With(options, {{"channels_in", 1}}), weights, 1);
    const int height = layer.Prepare(Variable(type, {0, kPixels, 1, 1})).at(1);
    EXPECT_GE(height, kPixels);
    EXPECT_LE(layer.Scratch(), std::size_t{1} << 24);
    EXPECT_TRUE(layer.Run(std::vector<float>(), 0).empty());
  };
  const OptionMap same = {{"padding", 0}, {"dilation_h", kPixels / 256}};
  expect_nothing("BnnConv2D", same, {1, 250, 1, 1}, ElementType::kInt32);
  expect_nothing("BnnConv2D", same, {1, 250, 1, 1}, ElementType::kFloat32);
  expect_nothing("BnnDepthwiseConv2D", same, {250, 1, 1}, ElementType::kInt32);
  expect_nothing("BnnTransposeConv2D", {}, {1, 250, 1, 1}, ElementType::kInt32);
}

// As many ranges of taps lie inside the image as there are outputs.
TEST(LimitsTest, AKernelAsWideAsAWideImage) {
  const TimeLimit limit;
  constexpr int kWidth = 1 << 17;
  Layer layer("BnnConv2D", {{"channels_in", 1}, {"padding", 0}}, {1, 1, kWidth, 1}, 1);
  EXPECT_EQ(layer.Prepare({1, 1, kWidth, 1}), (std::vector<int>{1, 1, kWidth, 1}));
}

// As many runs of pixels as taps, found without a search.
TEST(LimitsTest, ALineOfVeryManyTaps) {
  constexpr int kTaps = 1 << 20;
  Layer layer("BnnDepthwiseConv2D", {{"channels_in", 1}, {"padding", 1}, {"stride_w", 1 << 21}}, {1, kTaps, 1}, 1);
  ASSERT_EQ(layer.Prepare({1, 1, kTaps, 1}), (std::vector<int>{1, 1, 1, 1}));
  EXPECT_EQ(layer.Run(std::vector<Word>(kTaps, 1), 1)[0], 1.0f - kTaps);
}

// All rows of a panel of outputs would be copies of the input as large as a kernel.
TEST(LimitsTest, CopiesOfALargeFloatKernelsInputAreBounded) {
  constexpr int kTaps = 1 << 18;
  const auto op = MakeOpWith("BnnConv2D", {{"version", 1}, {"channels_in", 1}, {"padding", 1}, {"stride_h", kTaps}});
  const std::vector<Word> weights(kTaps, 0);
  const std::vector<float> one = {1.0f};
  OpHarness harness;
  harness.Prepare(
      op.get(),
      {Variable(ElementType::kFloat32, {1, 64 * kTaps, 1, 1}), Constant(ElementType::kInt32, {1, kTaps, 1, 1}, weights),
       Constant(ElementType::kFloat32, {1}, one), Constant(ElementType::kFloat32, {1}, one)},
      ElementType::kFloat32);
  EXPECT_LE(op->Memory().scratch, std::size_t{1} << 24);
}

// 64 rows of a panel would have an address for each row of taps.
TEST(LimitsTest, AddressesOfATallFloatKernelAreBounded) {
  constexpr int kTaps = 1 << 18;
  Layer layer("BnnConv2D", {{"channels_in", 1}, {"padding", 1}}, {1, kTaps, 1, 1}, 1);
  layer.Prepare(Variable(ElementType::kFloat32, {1, 2 * kTaps, 1, 1}));
  EXPECT_LE(layer.Scratch(), std::size_t{1} << 24);
}

// 64 columns of a panel have a phase each, of which one has a column of taps: of its 2^16, one meets the image.
TEST(LimitsTest, AddressesOfATallTransposedKernelAreBounded) {
  constexpr int kTaps = 1 << 16;
  Layer layer("BnnTransposeConv2D", {{"channels_in", 1}, {"stride_w", 64}, {"pad_right", -63}}, {1, kTaps, 1, 1}, 1);
  ASSERT_EQ(layer.Prepare({1, 1, 1, 1}), (std::vector<int>{1, kTaps, 64, 1}));
  EXPECT_LE(layer.Scratch(), std::size_t{1} << 16);
}

TEST(LimitsTest, RefusesConstantsAtOddAddresses) {
  std::vector<Word> weights(3, 0);
  TensorInfo info = Constant(ElementType::kInt32, {1, 2}, weights);
  info.constant = reinterpret_cast<const unsigned char*>(weights.data()) + 1;
  info.constant_bytes = 8;
  const std::vector<float> one = {1.0f};
  OpHarness harness;
  const auto op = MakeOpWith("BnnFullyConnected", {{"version", 1}, {"channels_in", 64}});
  EXPECT_REFUSAL(harness.Prepare(op.get(),
                                 {Variable(ElementType::kInt32, {1, 2}), info,
                                  Constant(ElementType::kFloat32, {1}, one), Constant(ElementType::kFloat32, {1}, one)},
                                 ElementType::kFloat32),
                 "the weights lie at an address that is no multiple of 4; expected the model in aligned memory");
}

// On 32-bit addresses, 2^30 + 1 words have 4 bytes.
TEST(LimitsTest, ASizeInBytesDoesNotWrapAround) {
  const std::vector<Word> weights(1, 0);
  TensorInfo info = Constant(ElementType::kInt32, {(1 << 30) + 1, 1}, weights);
  const std::vector<float> one = {1.0f};
  OpHarness harness;
  const auto op = MakeOpWith("BnnFullyConnected", {{"version", 1}, {"channels_in", 32}});
  EXPECT_REFUSAL(harness.Prepare(op.get(),
                                 {Variable(ElementType::kInt32, {1, 1}), info,
                                  Constant(ElementType::kFloat32, {1}, one), Constant(ElementType::kFloat32, {1}, one)},
                                 ElementType::kFloat32),
                 "the weights hold 4 bytes; expected 4294967300 for the shape [1073741825, 1]");
}

TEST(LimitsTest, LarqGroupsOfTheMostChannels) {
  const auto op = MakeOpWith("LceBconv2d", {{"channels_in", kMax},
                                            {"dilation_height_factor", 1},
                                            {"dilation_width_factor", 1},
                                            {"fused_activation_function", 0},
                                            {"pad_values", 0},
                                            {"padding", 0},
                                            {"stride_height", 1},
                                            {"stride_width", 1}});
  const std::vector<Word> weights(2, 0);
  const std::vector<float> ones(2, 1.0f);
  TensorInfo none;
  none.absent = true;
  OpHarness harness;
  EXPECT_REFUSAL(
      harness.Prepare(
          op.get(),
          {Variable(ElementType::kInt32, {1, 1, 1, 1 << 26}), Constant(ElementType::kInt32, {2, 1, 1, 1}, weights),
           Constant(ElementType::kFloat32, {2}, ones), Constant(ElementType::kFloat32, {2}, ones), none},
          ElementType::kFloat32),
      "the weights have the shape [2, 1, 1, 1], for channels_in 2147483647");
}

}  // namespace
}  // namespace keras_bnn
