#include <gtest/gtest.h>

#include <vector>

#include "support/expect_refusal.h"
#include "support/op_harness.h"

namespace keras_bnn {
namespace {

const OptionMap kOptions = {{"version", 1},  {"window_h", 2}, {"window_w", 3},
                            {"stride_h", 2}, {"stride_w", 1}, {"padding", 1}};

class MaxPool2DOpTest : public testing::Test {
 protected:
  std::vector<int> Prepare(const TensorInfo& x, ElementType output = ElementType::kInt32) {
    return harness_.Prepare(op_.get(), {x}, output);
  }

  OpHarness harness_;
  std::unique_ptr<Op> op_ = MakeOpWith("BnnMaxPool2D", kOptions);
};

TEST_F(MaxPool2DOpTest, AndOfTheWindow) {
  EXPECT_EQ(Prepare(Variable(ElementType::kInt32, {1, 2, 4, 1})), (std::vector<int>{1, 1, 2, 1}));
  const std::vector<Word> x = {0b1111, 0b0111, 0b1011, 0b1001, 0b1110, 0b1111, 0b1111, 0b1101};
  EXPECT_EQ(harness_.Run<Word>(op_.get(), x, 2), (std::vector<Word>{0b0010, 0b0001}));
}

TEST_F(MaxPool2DOpTest, OrOfTheChannelsInMinimum) {
  const std::vector<Word> minimum = {0b0011};
  const TensorInfo x = Variable(ElementType::kInt32, {1, 2, 4, 1});
  harness_.Prepare(op_.get(), {x, Constant(ElementType::kInt32, {1}, minimum)}, ElementType::kInt32);
  const std::vector<Word> pixels = {0b1110, 0b0110, 0b1010, 0b1000, 0b1110, 0b1110, 0b1100, 0b1101};
  EXPECT_EQ(harness_.Run<Word>(op_.get(), pixels, 2), (std::vector<Word>{0b0010, 0b0011}));
}

TEST_F(MaxPool2DOpTest, StridesAreOneByDefault) {
  op_ = MakeOpWith("BnnMaxPool2D", Without(Without(kOptions, "stride_h"), "stride_w"));
  EXPECT_EQ(Prepare(Variable(ElementType::kInt32, {2, 5, 5, 3})), (std::vector<int>{2, 4, 3, 3}));
}

TEST_F(MaxPool2DOpTest, SizesOfSameAndValid) {
  EXPECT_EQ(Prepare(Variable(ElementType::kInt32, {2, 5, 5, 3})), (std::vector<int>{2, 2, 3, 3}));
  op_ = MakeOpWith("BnnMaxPool2D", With(kOptions, {{"padding", 0}}));
  EXPECT_EQ(Prepare(Variable(ElementType::kInt32, {2, 5, 5, 3})), (std::vector<int>{2, 3, 5, 3}));
}

TEST_F(MaxPool2DOpTest, Refusals) {
  const TensorInfo x = Variable(ElementType::kInt32, {1, 4, 4, 1});
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x, x, x}, ElementType::kInt32), "the op has 3 inputs; expected 1 or 2");
  EXPECT_REFUSAL(harness_.Prepare(op_.get(), {x, x}, ElementType::kInt32), "minimum");
  EXPECT_REFUSAL(Prepare(x, ElementType::kFloat32), "the output is float32; expected int32 words");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kFloat32, {1, 4, 4, 1})), "the input is float32; expected int32 words");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {4, 4, 1})), "the shape [4, 4, 1]; expected 4 dimensions");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1, 1, 4, 1})),
                 "the window of 2 pixels (2 taps, dilation 1) is larger than the padded height of 1 pixels");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1, 4, 2, 1})), "the padded width of 2 pixels");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1, 46000, 46000, 0})),
                 "the input has the shape [1, 46000, 46000, 0]; expected at least 1 word last");
  EXPECT_REFUSAL(Prepare(Variable(ElementType::kInt32, {1 << 10, 1 << 10, 1 << 10, 8})), "fewer than 2^31 elements");
}

}  // namespace
}  // namespace keras_bnn
