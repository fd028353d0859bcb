// Multiplier, bias, steps and outputs of the ops that sum: which tensors they take, and what they give. Every value of
// every kernel set is the test of kernels/epilogue.h.
#include "ops/epilogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/allocation_counter.h"
#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kChannelsIn = 40;
constexpr int kChannelsOut = 34;  // 2 words
constexpr int kImages = 2;
constexpr int kPixels = 6;  // of all images
constexpr int kValues = kPixels * kChannelsOut;

const OptionMap kConv = {{"version", 1}, {"channels_in", kChannelsIn}, {"padding", 1}};
const OptionMap kDense = {{"version", 1}, {"channels_in", kChannelsIn}};
const Dims kY = {kImages, 1, 3, kChannelsOut};
const Dims kBits = {kImages, 1, 3, 2};

const TensorInfo kFloatOutput = Variable(ElementType::kFloat32, {});
const TensorInfo kBitsOutput = Variable(ElementType::kInt32, {});

float Rounded(float x) {
  volatile float rounded = x;
  return rounded;
}

// A 1x1 convolution of 2 images with 3 pixels each.
class OpEpilogueTest : public testing::Test {
 protected:
  void MakeConv(const OptionMap& changes) { op_ = MakeOpWith("BnnConv2D", With(kConv, changes)); }

  // x, weights, multiplier and bias, then the operands.
  std::vector<TensorInfo> Inputs(const std::vector<TensorInfo>& operands) const {
    std::vector<TensorInfo> inputs = {Variable(ElementType::kInt32, {kImages, 1, 3, 2}),
                                      Constant(ElementType::kInt32, {kChannelsOut, 1, 1, 2}, weights_),
                                      Constant(ElementType::kFloat32, {kChannelsOut}, multiplier_),
                                      Constant(ElementType::kFloat32, {kChannelsOut}, bias_)};
    inputs.insert(inputs.end(), operands.begin(), operands.end());
    return inputs;
  }

  TensorInfo PerChannel(const std::vector<float>& values) const {
    return Constant(ElementType::kFloat32, {kChannelsOut}, values);
  }

  std::vector<Dims> Prepare(const std::vector<TensorInfo>& operands, const std::vector<TensorInfo>& outputs) {
    return harness_.Prepare(op_.get(), Inputs(operands), outputs);
  }

  void Run(const std::vector<const void*>& operands, const std::vector<void*>& outputs) {
    std::vector<const void*> inputs = {x_.data(), nullptr, nullptr, nullptr};
    inputs.insert(inputs.end(), operands.begin(), operands.end());
    harness_.Run(op_.get(), inputs, outputs);
  }

  // y before the steps.
  float Plain(std::size_t value) const {
    const std::size_t pixel = value / kChannelsOut;
    const std::size_t o = value % kChannelsOut;
    int acc = 0;
    for (std::size_t c = 0; c < kChannelsIn; ++c) {
      acc += x_signs_[pixel * kChannelsIn + c] * signs_[o * kChannelsIn + c];
    }
    return PlainTransform(acc, multiplier_[o], bias_[o], kNoActivation, kNoActivation);
  }

  void ExpectBits(const std::vector<Word>& bits, const std::vector<float>& y) const {
    std::vector<int> signs;
    for (const float value : y) signs.push_back(value < 0.0f ? -1 : 1);
    EXPECT_EQ(bits, PackSigns(signs, kChannelsOut));
  }

  Random random_ = Random(1);
  std::vector<int> x_signs_ = random_.Signs(kPixels * kChannelsIn);
  std::vector<Word> x_ = PackSigns(x_signs_, kChannelsIn);
  std::vector<int> signs_ = random_.Signs(kChannelsOut * kChannelsIn);
  std::vector<Word> weights_ = PackSigns(signs_, kChannelsIn);
  std::vector<float> multiplier_ = random_.Floats(kChannelsOut);
  std::vector<float> bias_ = random_.Floats(kChannelsOut);
  std::vector<float> per_channel_ = random_.Floats(kChannelsOut);
  std::vector<float> per_image_ = random_.Floats(kImages * kChannelsOut);
  std::vector<float> per_pixel_ = random_.Floats(kValues);
  TensorInfo shortcut_ = Variable(ElementType::kFloat32, kY);

  std::vector<float> y_ = std::vector<float>(kValues, -12345.0f);
  std::vector<Word> bits_ = std::vector<Word>(kPixels * 2, 0xa5a5a5a5);
  OpHarness harness_;
  std::unique_ptr<Op> op_;
};

TEST_F(OpEpilogueTest, AResidualConvolutionGivesTheSumAndItsSigns) {
  MakeConv({{"steps", 1}});
  EXPECT_EQ(Prepare({shortcut_}, {kFloatOutput, kBitsOutput}), (std::vector<Dims>{kY, kBits}));
  Run({per_pixel_.data()}, {y_.data(), bits_.data()});
  std::vector<float> sums;
  for (std::size_t i = 0; i < kValues; ++i) sums.push_back(Rounded(Plain(i) + per_pixel_[i]));
  EXPECT_EQ(y_, sums);
  ExpectBits(bits_, sums);
}

// The last digit is the first step, and the operands come in the order of the steps.
TEST_F(OpEpilogueTest, StepsAndOperandsInOrder) {
  MakeConv({{"steps", 0x1582}});
  Prepare({Variable(ElementType::kFloat32, {kImages, 1, 1, kChannelsOut}), PerChannel(per_channel_)},
          {kFloatOutput, kBitsOutput});
  Run({per_image_.data(), nullptr}, {y_.data(), bits_.data()});
  std::vector<float> last;
  for (std::size_t i = 0; i < kValues; ++i) {
    const float product = Rounded(Plain(i) * per_image_[i / (3 * kChannelsOut) * kChannelsOut + i % kChannelsOut]);
    EXPECT_TRUE(SameFloat(y_[i], product));
    last.push_back(Rounded(std::max(product, 0.0f) + per_channel_[i % kChannelsOut]));
  }
  ExpectBits(bits_, last);
}

TEST_F(OpEpilogueTest, Int8OperandAndOutput) {
  MakeConv({{"steps", 1}});
  TensorInfo shortcut = Variable(ElementType::kInt8, kY, -7);
  shortcut.scale = 0.3f;
  TensorInfo output = Variable(ElementType::kInt8, {}, 9);
  output.scale = 0.6f;
  EXPECT_EQ(Prepare({shortcut}, {output}), (std::vector<Dims>{kY}));
  std::vector<std::int8_t> q;
  for (const int value : random_.Ints(kValues, -128, 127)) q.push_back(static_cast<std::int8_t>(value));
  std::vector<std::int8_t> y(kValues);
  Run({q.data()}, {y.data()});
  for (std::size_t i = 0; i < kValues; ++i) {
    const float operand = Rounded(static_cast<float>(q[i] + 7) * 0.3f);
    const float quotient = Rounded(Rounded(Plain(i) + operand) / 0.6f);
    const double rounded = std::round(static_cast<double>(quotient)) + 9.0;
    EXPECT_EQ(y[i], std::min(std::max(rounded, -128.0), 127.0));
  }
}

TEST_F(OpEpilogueTest, MultiplierAndBiasForBitsOfExactSums) {
  MakeConv({});
  EXPECT_EQ(Prepare({}, {kBitsOutput}), (std::vector<Dims>{kBits}));
  Run({}, {bits_.data()});
  std::vector<float> y;
  for (std::size_t i = 0; i < kValues; ++i) y.push_back(Plain(i));
  ExpectBits(bits_, y);
}

TEST_F(OpEpilogueTest, ADenseLayerWithAShortcut) {
  op_ = MakeOpWith("BnnFullyConnected", With(kDense, {{"steps", 1}}));
  std::vector<TensorInfo> inputs = Inputs({Variable(ElementType::kFloat32, {kPixels, kChannelsOut})});
  inputs[0].dims = {kPixels, 2};
  inputs[1].dims = {kChannelsOut, 2};
  EXPECT_EQ(harness_.Prepare(op_.get(), inputs, {kFloatOutput, kBitsOutput}),
            (std::vector<Dims>{{kPixels, kChannelsOut}, {kPixels, 2}}));
  Run({per_pixel_.data()}, {y_.data(), bits_.data()});
  std::vector<float> sums;
  for (std::size_t i = 0; i < kValues; ++i) sums.push_back(Rounded(Plain(i) + per_pixel_[i]));
  EXPECT_EQ(y_, sums);
  ExpectBits(bits_, sums);
  inputs[4].dims = {kPixels, 1, 1, kChannelsOut};
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, {kFloatOutput, kBitsOutput}),
                 "the operand of step 1 has the shape [6, 1, 1, 34]; expected a constant [34], or a tensor [6, 34]");
}

TEST_F(OpEpilogueTest, AnOperandMayChangeItsShapeWithTheSizes) {
  MakeConv({{"steps", 1}});
  std::vector<TensorInfo> inputs = Inputs({shortcut_});
  EXPECT_EQ(harness_.Prepare(op_.get(), inputs, {kFloatOutput}), (std::vector<Dims>{kY}));
  inputs[0].dims = {1, 2, 1, 2};
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, {kFloatOutput}),
                 "the operand of step 1 has the shape [2, 1, 3, 34]; expected a constant [34], or a tensor "
                 "[1, 2, 1, 34], or [1, 1, 1, 34]");
  inputs[4].dims = {1, 1, 1, kChannelsOut};
  EXPECT_EQ(harness_.Prepare(op_.get(), inputs, {kFloatOutput}), (std::vector<Dims>{{1, 2, 1, kChannelsOut}}));
  Run({per_channel_.data()}, {y_.data()});
  for (std::size_t i = 0; i < 2 * kChannelsOut; ++i) {
    EXPECT_TRUE(SameFloat(y_[i], Rounded(Plain(i) + per_channel_[i % kChannelsOut])));
  }
}

TEST_F(OpEpilogueTest, RunAllocatesNothing) {
  MakeConv({{"steps", 0x1117581}});
  Prepare({shortcut_, PerChannel(per_channel_), shortcut_, shortcut_}, {kFloatOutput, kBitsOutput});
  const std::vector<const void*> inputs = {x_.data(),         nullptr, nullptr,           nullptr,
                                           per_pixel_.data(), nullptr, per_pixel_.data(), per_pixel_.data()};
  const std::vector<void*> outputs = {y_.data(), bits_.data()};
  const std::size_t before = AllocationCount();
  for (int run = 0; run < 3; ++run) harness_.Run(op_.get(), inputs, outputs);
  EXPECT_EQ(AllocationCount(), before);
}

TEST_F(OpEpilogueTest, RefusesOtherDigits) {
  for (const char* op : {"BnnConv2D", "BnnFullyConnected"}) {
    const OptionMap options = op == std::string("BnnConv2D") ? kConv : kDense;
    const auto make = [&](std::int64_t steps) { MakeOpWith(op, With(options, {{"steps", steps}}), 8); };
    EXPECT_REFUSAL(make(9), "the option \"steps\" is 0x9; expected hexadecimal digits from 1 to 8");
    EXPECT_REFUSAL(make(0x10), "the option \"steps\" is 0x10; expected hexadecimal digits from 1 to 8");
    EXPECT_REFUSAL(make(0x1f2), "the option \"steps\" is 0x1f2; expected hexadecimal digits from 1 to 8");
    EXPECT_REFUSAL(make(0x8182), "the option \"steps\" is 0x8182; expected the digit 8 at most once");
    EXPECT_REFUSAL(make(-1), "the option \"steps\" is -1; expected 0 to 1152921504606846975");
    EXPECT_REFUSAL(make(std::int64_t{1} << 60), "the option \"steps\" is 1152921504606846976; expected 0 to ");
    EXPECT_NO_THROW(make(0x877777766666655));  // 15 of them
  }
}

TEST_F(OpEpilogueTest, RefusesOtherNumbersOfTensors) {
  MakeConv({{"steps", 0x1521}});
  EXPECT_REFUSAL(Prepare({}, {kFloatOutput}), "the op has 4 inputs; expected 7");
  EXPECT_REFUSAL(Prepare({shortcut_, shortcut_}, {kFloatOutput}), "the op has 6 inputs; expected 7");
  EXPECT_REFUSAL(Prepare({shortcut_, shortcut_, shortcut_, shortcut_}, {kFloatOutput}),
                 "the op has 8 inputs; expected 7");
  TensorInfo absent;
  absent.absent = true;
  EXPECT_REFUSAL(Prepare({shortcut_, absent, shortcut_}, {kFloatOutput}), "an input is left out; expected all inputs");
  MakeConv({});
  EXPECT_REFUSAL(Prepare({shortcut_}, {kFloatOutput}), "the op has 5 inputs; expected 3 or 4");
  EXPECT_REFUSAL(Prepare({}, {}), "the op has 0 outputs; expected 1 or 2");
  EXPECT_REFUSAL(Prepare({}, {kFloatOutput, kBitsOutput, kBitsOutput}), "the op has 3 outputs; expected 1 or 2");
}

TEST_F(OpEpilogueTest, RefusesOtherOutputs) {
  MakeConv({});
  EXPECT_REFUSAL(Prepare({}, {kBitsOutput, kFloatOutput}),
                 "the outputs are of int32 and float32; expected float32 or int8, and int32 words");
  EXPECT_REFUSAL(Prepare({}, {kFloatOutput, kFloatOutput}), "the outputs are of float32 and float32; expected ");
  EXPECT_REFUSAL(Prepare({}, {Variable(ElementType::kOther, {})}),
                 "the output is of another type; expected float32, int8, or int32 words");
  TensorInfo output = Variable(ElementType::kInt8, {});
  output.scale = 0.0f;
  EXPECT_REFUSAL(Prepare({}, {output, kBitsOutput}),
                 "the output is int8 without a scale; expected one scale and zero point for the whole tensor");
  EXPECT_REFUSAL(Prepare({}, {Variable(ElementType::kInt8, {}, 128)}),
                 "the output is int8 with the zero point 128; expected -128 to 127");
  MakeConv({{"steps", 8}});
  for (const TensorInfo& only : {kFloatOutput, kBitsOutput}) {
    EXPECT_REFUSAL(Prepare({}, {only}),
                   "the option \"steps\" has the digit 8 and the op 1 output; expected 2, y and its bits");
  }
}

TEST_F(OpEpilogueTest, RefusesThresholdsWithAY) {
  MakeConv({});
  std::vector<TensorInfo> inputs = Inputs({});
  const std::vector<std::int32_t> thresholds(kChannelsOut);
  inputs.resize(3);
  inputs[2] = Constant(ElementType::kInt32, {kChannelsOut}, thresholds);
  for (const std::vector<TensorInfo>& outputs :
       {std::vector<TensorInfo>{kFloatOutput}, {Variable(ElementType::kInt8, {})}, {kFloatOutput, kBitsOutput}}) {
    EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, outputs),
                   "the op has 3 inputs; expected x, weights, multiplier and bias");
  }
  MakeConv({{"steps", 5}});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), inputs, {kBitsOutput}), "the op has 3 inputs; expected 4");
}

TEST_F(OpEpilogueTest, RefusesOtherOperands) {
  MakeConv({{"steps", 0x15}});
  const std::vector<TensorInfo> outputs = {kFloatOutput};
  EXPECT_REFUSAL(Prepare({Variable(ElementType::kInt32, kY)}, outputs),
                 "the operand of step 2 is int32; expected float32 or int8");
  TensorInfo operand = Variable(ElementType::kInt8, kY);
  operand.scale = 0.0f;
  EXPECT_REFUSAL(Prepare({operand}, outputs), "the operand of step 2 is int8 without a scale");
  EXPECT_REFUSAL(Prepare({Variable(ElementType::kInt8, kY, -129)}, outputs),
                 "the operand of step 2 is int8 with the zero point -129; expected -128 to 127");
  operand = PerChannel(per_channel_);
  operand.dims = {kChannelsOut - 1};
  EXPECT_REFUSAL(Prepare({operand}, outputs), "the values of step 2 are float32 [33]; expected float32 [34]");
  operand = PerChannel(per_channel_);
  operand.constant_bytes -= 1;
  EXPECT_REFUSAL(Prepare({operand}, outputs), "hold 135 bytes; expected 136 for the shape [34]");
  operand.type = ElementType::kInt8;
  EXPECT_REFUSAL(Prepare({operand}, outputs), "are int8 [34]; expected float32 [34]");
  EXPECT_REFUSAL(Prepare({Variable(ElementType::kFloat32, {kChannelsOut})}, outputs),
                 "the operand of step 2 has the shape [34]; expected a constant [34], or a tensor [2, 1, 3, 34], or "
                 "[2, 1, 1, 34]");
  EXPECT_REFUSAL(Prepare({Variable(ElementType::kFloat32, {1, 1, 3, kChannelsOut})}, outputs),
                 "the operand of step 2 has the shape [1, 1, 3, 34]; expected");
  operand = Constant(ElementType::kFloat32, kY, per_channel_);  // fewer values than the shape says
  EXPECT_REFUSAL(Prepare({operand}, outputs), "hold 136 bytes; expected 816 for the shape [2, 1, 3, 34]");
  MakeConv({{"steps", 4}});
  EXPECT_REFUSAL(Prepare({shortcut_}, outputs), "are float32 [2, 1, 3, 34]; expected float32 [34]");
  operand = Variable(ElementType::kFloat32, {kChannelsOut});
  EXPECT_REFUSAL(Prepare({operand}, outputs), "are not constant; expected them in the file");
}

}  // namespace
}  // namespace keras_bnn
