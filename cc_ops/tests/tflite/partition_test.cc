// Partitions of the delegate inside a runtime: what they compute, and whose tensors they touch.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "support/partition_fixture.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

TEST_F(PartitionTest, TwoOpsShareOnePartition) {
  const int x = Float("x", {2, 40});
  const int bits = Words("bits", kUnknown);
  const int y = Float("y", {1});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddNode("BnnDequantize", {bits}, {y}, FlexbufferMap({{"version", 1}, {"channels", 40}}));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->PartitionCount(), 1);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(host_->Dims(y), (std::vector<int>{2, 40}));
  Random random(1);
  for (int run = 0; run < 3; ++run) {
    const std::vector<float> values = random.Floats(80);
    host_->Write(x, values);
    ASSERT_EQ(host_->Invoke(), kTfLiteOk);
    const std::vector<float> found = host_->Read<float>(y);
    for (std::size_t i = 0; i < 80; ++i) ASSERT_EQ(found[i], values[i] < 0.0f ? -1.0f : 1.0f);
  }
  ExpectUntouched(bits);
  EXPECT_EQ(host_->reports(), "");
}

TEST_F(PartitionTest, SizesFollowTheInput) {
  const int x = Float("x", {1, 2, 3, 40});
  const int bits = Words("bits", kUnknown);
  const int pooled = Words("pooled", kUnknown);
  const int y = Float("y", {1});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddNode("BnnMaxPool2D", {bits}, {pooled}, PoolOptions(1, 1));
  host_->AddNode("BnnDequantize", {pooled}, {y}, FlexbufferMap({{"version", 1}, {"channels", 40}}));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  Random random(2);
  for (const std::vector<int>& dims : {std::vector<int>{1, 2, 3, 40}, {5, 9, 4, 40}, {2, 1, 1, 40}, {0, 2, 3, 40}}) {
    ASSERT_EQ(host_->ResizeInput(x, dims), kTfLiteOk);
    ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
    EXPECT_EQ(host_->Dims(y), dims);
    const int size = dims[0] * dims[1] * dims[2] * dims[3];
    const std::vector<float> values = random.Floats(size);
    host_->Write(x, values);
    ASSERT_EQ(host_->Invoke(), kTfLiteOk);
    const std::vector<float> found = host_->Read<float>(y);
    ASSERT_EQ(found.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(found[i], values[i] < 0.0f ? -1.0f : 1.0f);
  }
  ExpectUntouched(bits);
  ExpectUntouched(pooled);
}

TEST_F(PartitionTest, AnOutputThatIsAlsoUsedOutsideIsTheRuntimes) {
  const int x = Float("x", {2, 40});
  const int bits = Words("bits", {2, 2});
  const int y = Float("y", {1});
  const int copy = Words("copy", {2, 2});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddNode("BnnDequantize", {bits}, {y}, FlexbufferMap({{"version", 1}, {"channels", 40}}));
  host_->AddCopyNode(bits, copy);
  host_->SetInputsAndOutputs({x}, {y, copy});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->PartitionCount(), 1);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  Random random(3);
  const std::vector<float> values = random.Floats(80);
  host_->Write(x, values);
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<Word>(copy), PlainQuantize(values, 40));
  for (std::size_t i = 0; i < 80; ++i) ASSERT_EQ(host_->Read<float>(y)[i], values[i] < 0.0f ? -1.0f : 1.0f);
}

TEST_F(PartitionTest, ForeignOpsSplitPartitions) {
  const int x = Float("x", {2, 40});
  const int bits = Words("bits", {2, 2});
  const int copy = Words("copy", {2, 2});
  const int y = Float("y", {1});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddCopyNode(bits, copy);
  host_->AddNode("BnnDequantize", {copy}, {y}, FlexbufferMap({{"version", 1}, {"channels", 40}}));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->PartitionCount(), 2);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  const std::vector<float> values = Random(4).Floats(80);
  host_->Write(x, values);
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  for (std::size_t i = 0; i < 80; ++i) ASSERT_EQ(host_->Read<float>(y)[i], values[i] < 0.0f ? -1.0f : 1.0f);
}

// A residual block: the first convolution gives the sum, which the second adds to, and the sum's bits, which the second
// reads. `kept` tensors are outputs of the model too, so the runtime's.
class TwoOutputsTest : public PartitionTest, public testing::WithParamInterface<std::pair<bool, bool>> {};

TEST_P(TwoOutputsTest, EachIsTheRuntimesOrThePartitions) {
  const auto [keep_sum, keep_bits] = GetParam();
  const Bytes options = FlexbufferMap({{"version", 1}, {"channels_in", 40}, {"padding", 0}, {"steps", 1}});
  Random random(6);
  const std::vector<int> signs = random.Signs(2 * 40 * 40);
  const std::vector<float> ones(40, 0.25f);
  const std::vector<float> biases = random.Floats(40);
  const int x = Float("x", {1, 3, 5, 40});
  const int bits = Words("bits", kUnknown);
  std::vector<int> sums = {x}, sum_bits = {bits};
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  const int multiplier = host_->AddConstant("multiplier", kTfLiteFloat32, {40}, ones);
  const int bias = host_->AddConstant("bias", kTfLiteFloat32, {40}, biases);
  for (int layer = 0; layer < 2; ++layer) {
    const std::vector<int> kernel(signs.begin() + layer * 1600, signs.begin() + (layer + 1) * 1600);
    const int weights = host_->AddConstant("weights", kTfLiteInt32, {40, 1, 1, 2}, PackSigns(kernel, 40));
    sums.push_back(Float("sum", kUnknown));
    sum_bits.push_back(Words("sum bits", kUnknown));
    host_->AddNode("BnnConv2D", {sum_bits[layer], weights, multiplier, bias, sums[layer]},
                   {sums[layer + 1], sum_bits[layer + 1]}, options);
  }
  std::vector<int> outputs = {sums[2]};
  if (keep_sum) outputs.push_back(sums[1]);
  if (keep_bits) outputs.push_back(sum_bits[1]);
  host_->SetInputsAndOutputs({x}, outputs);
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->PartitionCount(), 1);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk) << host_->reports();
  EXPECT_EQ(host_->Dims(sums[2]), (std::vector<int>{1, 3, 5, 40}));
  for (int run = 0; run < 2; ++run) {
    std::vector<float> now = random.Floats(15 * 40);
    host_->Write(x, now);
    ASSERT_EQ(host_->Invoke(), kTfLiteOk);
    std::vector<std::vector<float>> plain;
    for (int layer = 0; layer < 2; ++layer) {
      std::vector<float> next;
      for (int i = 0; i < 15 * 40; ++i) {
        int acc = 0;
        for (int c = 0; c < 40; ++c) {
          acc += (now[i / 40 * 40 + c] < 0.0f ? -1 : 1) * signs[layer * 1600 + i % 40 * 40 + c];
        }
        volatile float y = PlainTransform(acc, 0.25f, biases[i % 40], kNoActivation, kNoActivation);
        y = y + now[i];
        next.emplace_back(y);
      }
      now = next;
      plain.push_back(next);
    }
    EXPECT_EQ(host_->Read<float>(sums[2]), plain[1]);
    if (keep_sum) {
      EXPECT_EQ(host_->Read<float>(sums[1]), plain[0]);
    }
    if (keep_bits) {
      EXPECT_EQ(host_->Read<Word>(sum_bits[1]), PlainQuantize(plain[0], 40));
    }
  }
  if (!keep_sum) ExpectUntouched(sums[1]);
  if (!keep_bits) ExpectUntouched(sum_bits[1]);
  ExpectUntouched(sum_bits[2]);  // nobody reads it
}

INSTANTIATE_TEST_SUITE_P(Kept, TwoOutputsTest,
                         testing::Values(std::pair(false, false), std::pair(false, true), std::pair(true, false),
                                         std::pair(true, true)));

TEST_F(PartitionTest, AResultThatNobodyReadsHasItsOwnPlace) {
  const int x = Words("x", {1, 4, 4, 2});
  const int unread = Words("unread", kUnknown);
  const int y = Words("y", {1});
  host_->AddNode("BnnMaxPool2D", {x}, {unread}, PoolOptions(2, 0));
  host_->AddNode("BnnMaxPool2D", {x}, {y}, PoolOptions(1, 0));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  Random random(5);
  std::vector<Word> values(32);
  for (Word& word : values) word = random.Bits();
  host_->Write(x, values);
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<Word>(y), values);
  ExpectUntouched(unread);
}

}  // namespace
}  // namespace keras_bnn
