#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

class DequantizeTest : public testing::Test {
 protected:
  std::vector<int> Prepare(const TensorInfo& x, ElementType output = ElementType::kFloat32) {
    return harness_.Prepare(op_.get(), {x}, output);
  }

  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnDequantize", {{"version", 1}, {"channels", 37}});
};

TEST_F(DequantizeTest, BitsBecomePlusAndMinusOne) {
  Random random(1);
  const std::vector<int> signs = random.Signs(2 * 3 * 37);
  EXPECT_EQ(Prepare(Variable(ElementType::kInt32, {2, 3, 2})), (std::vector<int>{2, 3, 37}));
  const std::vector<float> y = harness_.Run<float>(op_.get(), PackSigns(signs, 37), signs.size());
  EXPECT_EQ(y, std::vector<float>(signs.begin(), signs.end()));
}

TEST_F(DequantizeTest, BitsBecomeInt8) {
  const std::vector<int> signs = Random(2).Signs(2 * 3 * 37);
  const TensorInfo x = Variable(ElementType::kInt32, {2, 3, 2});
  const struct {
    float scale;
    int zero_point, plus, minus;
  } kCases[] = {{1.0f, 0, 1, -1},         {0.5f, -128, -126, -128}, {2.0f, 3, 4, 2},  // halves away from 0
                {0x1p-7f, -1, 127, -128}, {0.3f, 10, 13, 7},        {4.0f, 5, 5, 5}};
  for (const auto& [scale, zero_point, plus, minus] : kCases) {
    TensorInfo output = Variable(ElementType::kInt8, {}, zero_point);
    output.scale = scale;
    EXPECT_EQ(harness_.Prepare(op_.get(), {x}, std::vector<TensorInfo>{output}), (std::vector<Dims>{{2, 3, 37}}));
    std::vector<int> expected;
    for (const int sign : signs) expected.push_back(sign < 0 ? minus : plus);
    const auto y = harness_.Run<std::int8_t>(op_.get(), PackSigns(signs, 37), signs.size());
    EXPECT_EQ(std::vector<int>(y.begin(), y.end()), expected) << scale;
  }
}

TEST_F(DequantizeTest, RefusesInt8WithoutAUsableQuantization) {
  const TensorInfo x = Variable(ElementType::kInt32, {2, 2});
  TensorInfo output = Variable(ElementType::kInt8, {});
  output.scale = 0.0f;
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x}, std::vector<TensorInfo>{output}),
                 "the output is int8 without a scale");
  output = Variable(ElementType::kInt8, {}, 200);
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x}, std::vector<TensorInfo>{output}),
                 "the output is int8 with the zero point 200; expected -128 to 127");
}

TEST_F(DequantizeTest, Refusals) {
  const TensorInfo x = Variable(ElementType::kInt32, {2, 2});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x, x}, ElementType::kFloat32), "the op has 2 inputs; expected 1");
  EXPECT_REFUSAL(Prepare(x, ElementType::kUInt8), "the output is uint8; expected float32 or int8");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {2, 2})), "the input is float32; expected int32 words");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {2, 3})),
                 "the input has the shape [2, 3]; expected 2 words last, for 37 channels");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {})), "the input has the shape []; expected 2 words last");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1 << 28, 2})), "the output has the shape");
}

}  // namespace
}  // namespace keras_bnn
