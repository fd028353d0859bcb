#include <gtest/gtest.h>

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

TEST_F(DequantizeTest, Refusals) {
  const TensorInfo x = Variable(ElementType::kInt32, {2, 2});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x, x}, ElementType::kFloat32), "the op has 2 inputs; expected 1");
  EXPECT_REFUSAL(Prepare(x, ElementType::kUInt8), "the output is uint8; expected float32 or int8");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {2, 2})), "the input is float32; expected int32 words");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {2, 3})),
                 "the input has the shape [2, 3]; expected 2 words last, for 37 channels");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {})), "the input has the shape []; expected 2 words last");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1 << 30, 2})), "the output has the shape");
}

}  // namespace
}  // namespace keras_bnn
