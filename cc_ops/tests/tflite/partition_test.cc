// Partitions of the delegate inside a runtime: what they touch, where their tensors live, and how they fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "keras_bnn/keras_bnn.h"
#include "support/allocation_counter.h"
#include "support/flexbuffer_map.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/tflite_host.h"

namespace keras_bnn {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Bytes kVersionOnly = FlexbufferMap({{"version", 1}});

Bytes PoolOptions(int window, int padding) {
  return FlexbufferMap({{"version", 1}, {"window_h", window}, {"window_w", window}, {"padding", padding}});
}

class PartitionTest : public testing::Test {
 protected:
  ~PartitionTest() override {
    host_.reset();  // before its delegate
    tflite_plugin_destroy_delegate(delegate_);
  }

  int Float(const char* name, const std::vector<int>& dims) { return host_->AddTensor(name, kTfLiteFloat32, dims); }
  int Words(const char* name, const std::vector<int>& dims) { return host_->AddTensor(name, kTfLiteInt32, dims); }

  std::vector<Word> PlainQuantize(const std::vector<float>& x, int channels) {
    std::vector<int> signs;
    for (const float value : x) signs.push_back(value < 0.0f ? -1 : 1);
    return PackSigns(signs, channels);
  }

  // A tensor between two steps belongs to the partition: the runtime must never see a size or data for it.
  void ExpectUntouched(int tensor) {
    EXPECT_EQ(host_->Dims(tensor), (std::vector<int>{7, 7, 7}));
    EXPECT_FALSE(host_->HasData(tensor));
    EXPECT_THAT(host_->resized(), testing::Not(testing::Contains(tensor)));
  }

  const std::vector<int> kUnknown = {7, 7, 7};  // the dims that inner tensors have in the file: none of ours to use
  std::unique_ptr<TfLiteHost> host_ = std::make_unique<TfLiteHost>();
  TfLiteDelegate* delegate_ = tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr);
};

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

// Random graphs of pools and packed convolutions in one partition, where tensors live for different times; the same
// graph with every tensor kept by the runtime, and so with no arena, must give the same bits.
TEST_F(PartitionTest, TensorsOfTheArenaDoNotOverlapWhileAlive) {
  for (std::uint32_t seed = 100; seed < 130; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<std::vector<Word>> results;
    for (const bool keep_all : {false, true}) {
      Random random(seed);
      TfLiteHost host;
      const int x = host.AddTensor("x", kTfLiteInt32, {1, 6, 5, 1});
      std::vector<int> tensors = {x};
      for (int step = 0; step < 12; ++step) {
        const int input = tensors[std::max(0, static_cast<int>(tensors.size()) - 1 - random.Int(0, 4))];
        const int output = host.AddTensor("step", kTfLiteInt32, {1});
        if (random.OneIn(3)) {
          host.AddNode("BnnMaxPool2D", {input}, {output}, PoolOptions(random.Int(1, 2), 0));
        } else {
          std::vector<Word> weights(32 * 9);
          for (Word& word : weights) word = random.Bits();
          const int weight = host.AddConstant("weights", kTfLiteInt32, {32, 3, 3, 1}, weights);
          const int threshold = host.AddConstant("thresholds", kTfLiteInt32, {32}, random.Ints(32, -9, 9));
          host.AddNode("BnnConv2D", {input, weight, threshold}, {output},
                       FlexbufferMap({{"version", 1}, {"channels_in", 32}, {"padding", 0}}));
        }
        tensors.push_back(output);
      }
      const std::vector<int> last(tensors.end() - 3, tensors.end());
      host.SetInputsAndOutputs({x}, keep_all ? tensors : last);
      ASSERT_EQ(host.Apply(delegate_), kTfLiteOk);
      ASSERT_EQ(host.PartitionCount(), 1);
      ASSERT_EQ(host.AllocateTensors(), kTfLiteOk) << host.reports();
      std::vector<Word> values(30);
      for (Word& word : values) word = random.Bits();
      host.Write(x, values);
      ASSERT_EQ(host.Invoke(), kTfLiteOk);
      for (const int tensor : last) results.push_back(host.Read<Word>(tensor));
    }
    for (std::size_t i = 0; i < 3; ++i) ASSERT_EQ(results[i], results[i + 3]);
  }
}

TEST_F(PartitionTest, TheArenaIsReused) {
  constexpr std::size_t kTensorBytes = 4 * 64 * 64 * 16;
  const int x = Words("x", {1, 64, 64, 16});
  const int first = Words("first", kUnknown);  // lives to the end
  const int late = Words("late", {1});
  host_->AddNode("BnnMaxPool2D", {x}, {first}, PoolOptions(1, 0));
  int last = first;
  for (int step = 0; step < 40; ++step) {
    const int next = Words("step", kUnknown);
    host_->AddNode("BnnMaxPool2D", {last}, {next}, PoolOptions(1, 0));
    last = next;
  }
  host_->AddNode("BnnMaxPool2D", {first}, {late}, PoolOptions(1, 0));
  host_->SetInputsAndOutputs({x}, {last, late});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  const std::size_t before = AllocatedBytes();
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  EXPECT_LT(AllocatedBytes() - before, 7 * kTensorBytes / 2);  // the first, two of the chain, and small things
  Random random(6);
  std::vector<Word> values(kTensorBytes / 4);
  for (Word& word : values) word = random.Bits();
  host_->Write(x, values);
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<Word>(last), values);
  EXPECT_EQ(host_->Read<Word>(late), values);
}

TEST_F(PartitionTest, InvokeAllocatesNothing) {
  const int x = Float("x", {3, 16, 16, 40});
  const int bits = Words("bits", kUnknown);
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddNode("BnnMaxPool2D", {bits}, {y}, PoolOptions(2, 0));
  host_->SetInputsAndOutputs({x}, {y});
  host_->SetThreads(2);
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  const std::size_t before = AllocationCount();
  for (int run = 0; run < 3; ++run) ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(AllocationCount(), before);
}

TEST_F(PartitionTest, AFailedInitIsReportedAndPrepareFails) {
  const int x = Float("x", {2, 40});
  const int y = Words("signs", {1});
  host_->AddNode("BnnQuantize", {x}, {y}, FlexbufferMap({{"version", 3}}));
  host_->SetInputsAndOutputs({x}, {y});
  EXPECT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize (output \"signs\"): the op is of format version 3; this library reads version 1, "
            "install a newer one\n");
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
}

TEST_F(PartitionTest, AFailedPrepareIsReportedWithOpAndTensor) {
  const int x = Float("x", {2, 40});
  const int y = Float("floats", {1});  // BnnQuantize gives words
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize (output \"floats\"): the output is float32; expected int32 words\n");
}

TEST_F(PartitionTest, RecoversFromASizeThatItRefused) {
  const int x = Words("x", {1, 4, 4, 2});
  const int y = Words("y", {1});
  host_->AddNode("BnnMaxPool2D", {x}, {y}, PoolOptions(3, 1));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->ResizeInput(x, {1, 2, 4, 2}), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("larger than the padded height of 2 pixels"));
  ASSERT_EQ(host_->ResizeInput(x, {1, 3, 3, 2}), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  host_->Write(x, std::vector<Word>(18, 5));
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<Word>(y), (std::vector<Word>{5, 5}));
}

TEST_F(PartitionTest, AFailedResizeIsReported) {
  const int x = Float("x", {2, 40});
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  host_->FailResizes();
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), AllOf(HasSubstr("BnnQuantize"), HasSubstr("could not resize the output")));
}

TEST_F(PartitionTest, RefusesNodesOfAnotherForm) {
  const int x = Float("x", {2, 40});
  const int y = Words("y", {1});
  const int z = Words("z", {1});
  host_->AddNode("BnnQuantize", {x}, {y, z}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y, z});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("BnnQuantize has 2 outputs; expected 1"));
}

TEST_F(PartitionTest, RefusesAnInputThatIsLeftOut) {
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {-1}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_THAT(host_->reports(), HasSubstr("BnnQuantize (output \"y\"): an input is left out; expected all inputs"));
}

TEST_F(PartitionTest, WeightsMustBeConstant) {
  const int x = Words("x", {2, 2});
  const int weights = Words("weights", {3, 2});
  const int thresholds = host_->AddConstant("thresholds", kTfLiteInt32, {3}, std::vector<int>{0, 1, 2});
  const int y = Words("y", {1});
  host_->AddNode("BnnFullyConnected", {x, weights, thresholds}, {y},
                 FlexbufferMap({{"version", 1}, {"channels_in", 40}}));
  host_->SetInputsAndOutputs({x, weights}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("the weights are not constant; expected them in the file"));
}

}  // namespace
}  // namespace keras_bnn
