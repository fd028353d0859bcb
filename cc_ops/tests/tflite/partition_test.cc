// Partitions of the delegate inside a runtime: what they compute, and whose tensors they touch.
#include <gtest/gtest.h>

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
