// The arena of a partition: where the tensors between its steps lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/allocation_counter.h"
#include "support/partition_fixture.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

class PartitionArenaTest : public PartitionTest {};

// Random graphs of pools and packed convolutions in one partition, where tensors live for different times; the same
// graph with every tensor kept by the runtime, and so with no arena, must give the same bits.
TEST_F(PartitionArenaTest, TensorsOfTheArenaDoNotOverlapWhileAlive) {
  for (std::uint32_t seed = 100; seed < 130; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<std::vector<Word>> results;
    for (const bool keep_all : {false, true}) {
      Random random(seed);
      TfLiteHost host;
      const int x = host.AddTensor("x", kTfLiteInt32, {1, 6, 5, 1});
      std::vector<int> tensors = {x};
      std::vector<int> all = {x};
      std::map<int, int> sums;  // of the same shape, by the tensor with its bits
      for (int step = 0; step < 12; ++step) {
        const int input = tensors[std::max(0, static_cast<int>(tensors.size()) - 1 - random.Int(0, 4))];
        const int output = host.AddTensor("step", kTfLiteInt32, {1});
        if (random.OneIn(4)) {  // two outputs, which live for different times
          const int other = host.AddTensor("sum", kTfLiteFloat32, {1});
          std::vector<Word> weights(32);
          for (Word& word : weights) word = random.Bits();
          const int weight = host.AddConstant("weights", kTfLiteInt32, {32, 1, 1, 1}, weights);
          const int multiplier = host.AddConstant("multiplier", kTfLiteFloat32, {32}, random.Floats(32));
          const int bias = host.AddConstant("bias", kTfLiteFloat32, {32}, random.Floats(32));
          std::vector<int> inputs = {input, weight, multiplier, bias};
          std::map<std::string, std::int64_t> options = {{"version", 1}, {"channels_in", 32}, {"padding", 0}};
          const auto shortcut = sums.find(input);
          if (shortcut != sums.end()) {
            inputs.push_back(shortcut->second);
            options["steps"] = 1;
          }
          host.AddNode("BnnConv2D", inputs, {other, output}, FlexbufferMap(options));
          sums[output] = other;
          all.push_back(other);
        } else if (random.OneIn(3)) {
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
        all.push_back(output);
      }
      const std::vector<int> last(tensors.end() - 3, tensors.end());
      host.SetInputsAndOutputs({x}, keep_all ? all : last);
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

TEST_F(PartitionArenaTest, TheArenaIsReused) {
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

TEST_F(PartitionArenaTest, InvokeAllocatesNothing) {
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

}  // namespace
}  // namespace keras_bnn
