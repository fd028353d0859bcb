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
