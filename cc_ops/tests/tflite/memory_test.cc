// What the delegate holds in memory, and what it tells of it.
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "core/shared_array.h"
#include "support/allocation_counter.h"
#include "support/partition_fixture.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr int kChannels = 1024;
constexpr int kPacked = kChannels / 32 * 4 * kChannels;  // bytes of a layer's weights

// Pairs of dense layers, with a copy between them that the runtime makes: as many partitions as pairs.
class DenseNetwork {
 public:
  DenseNetwork(TfLiteDelegate* delegate, int pairs, int batch, int threads) {
    Random random(5);
    x_ = host_.AddTensor("x", kTfLiteInt32, {batch, kChannels / 32});
    int last = x_;
    for (int pair = 0; pair < pairs; ++pair) {
      for (const char* name : {"inner", "outer"}) {
        std::vector<Word> weights(kPacked / 4);
        for (Word& word : weights) word = random.Bits();
        const int weight = host_.AddConstant("weights", kTfLiteInt32, {kChannels, kChannels / 32}, weights);
        const int threshold = host_.AddConstant("thresholds", kTfLiteInt32, {kChannels}, random.Ints(kChannels, -9, 9));
        const int y = host_.AddTensor(name, kTfLiteInt32, {batch, kChannels / 32});
        host_.AddNode("BnnFullyConnected", {last, weight, threshold}, {y},
                      FlexbufferMap({{"version", 1}, {"channels_in", kChannels}}));
        last = y;
      }
      y_ = last;
      if (pair + 1 == pairs) break;
      last = host_.AddTensor("copy", kTfLiteInt32, {batch, kChannels / 32});
      host_.AddCopyNode(y_, last);
    }
    host_.SetInputsAndOutputs({x_}, {y_});
    host_.SetThreads(threads);
    EXPECT_EQ(host_.Apply(delegate), kTfLiteOk);
    EXPECT_EQ(host_.AllocateTensors(), kTfLiteOk);
    EXPECT_EQ(host_.PartitionCount(), pairs);
    std::vector<Word> words(static_cast<std::size_t>(batch) * kChannels / 32);
    for (Word& word : words) word = random.Bits();
    host_.Write(x_, words);
  }

  std::vector<Word> Run() {
    EXPECT_EQ(host_.Invoke(), kTfLiteOk);
    return host_.Read<Word>(y_);
  }

 private:
  TfLiteHost host_;
  int x_ = 0, y_ = 0;
};

std::vector<KerasBnnMemory> MemoryOf(TfLiteDelegate* delegate) {
  std::vector<KerasBnnMemory> partitions(KerasBnnGetMemory(delegate, nullptr, 0));
  const auto count = static_cast<int>(partitions.size());
  EXPECT_EQ(KerasBnnGetMemory(delegate, partitions.data(), count), count);
  return partitions;
}

class MemoryTest : public PartitionTest {};

TEST_F(MemoryTest, TellsOfEachPartition) {
  const std::size_t before = KerasBnnWeightBytes();
  {
    DenseNetwork network(delegate_, 2, 8, 3);
    const std::vector<KerasBnnMemory> partitions = MemoryOf(delegate_);
    ASSERT_EQ(partitions.size(), 2);
    for (const KerasBnnMemory& memory : partitions) {
      EXPECT_EQ(memory.activations, 8 * kChannels / 8);
      EXPECT_GT(memory.scratch, 0);
      EXPECT_GE(memory.weights, 2 * kPacked);
      EXPECT_LT(memory.weights, 2 * kPacked * 5 / 4);
    }
    EXPECT_EQ(KerasBnnWeightBytes() - before, partitions[0].weights + partitions[1].weights);
    KerasBnnMemory first[2] = {};
    EXPECT_EQ(KerasBnnGetMemory(delegate_, first, 1), 2);
    EXPECT_EQ(first[0].weights, partitions[0].weights);
    EXPECT_EQ(first[1].weights, 0);
  }
  EXPECT_TRUE(MemoryOf(delegate_).empty());
  EXPECT_EQ(KerasBnnWeightBytes(), before);
}

TEST_F(MemoryTest, ScratchGrowsWithTheThreads) {
  const DenseNetwork one(delegate_, 1, 8, 1);
  const DenseNetwork three(delegate_, 1, 8, 3);
  const std::vector<KerasBnnMemory> partitions = MemoryOf(delegate_);
  EXPECT_EQ(partitions[1].scratch, 3 * partitions[0].scratch);
}

TEST_F(MemoryTest, InterpretersOfAModelHoldItsWeightsOnce) {
  DenseNetwork first(delegate_, 2, 1, 1);
  const std::vector<Word> y = first.Run();
  const std::size_t weights = KerasBnnWeightBytes();
  std::vector<std::unique_ptr<DenseNetwork>> others;
  for (int i = 0; i < 7; ++i) {
    others.push_back(std::make_unique<DenseNetwork>(delegate_, 2, 1, 1));
    EXPECT_EQ(others.back()->Run(), y);
  }
  EXPECT_EQ(KerasBnnWeightBytes(), weights);
}

// The arena is as large as the largest partition's, and not as all together.
TEST_F(MemoryTest, PartitionsOfAnInterpreterShareTheArena) {
  constexpr int kBatch = 1 << 14;
  constexpr std::size_t kActivations = std::size_t{kBatch} * kChannels / 8;
  const std::size_t before = AllocatedBytes();
  DenseNetwork network(delegate_, 4, kBatch, 1);
  EXPECT_EQ(MemoryOf(delegate_)[3].activations, kActivations);
  EXPECT_LT(AllocatedBytes() - before, 2 * kActivations + 10 * kPacked * 3);
}

// Several interpreters of one delegate, whose threads they share, and of others, all at the same time.
TEST_F(MemoryTest, SeveralInterpretersRunAtOnce) {
  constexpr int kInterpreters = 6;
  std::vector<TfLiteDelegate*> delegates;
  std::vector<std::unique_ptr<DenseNetwork>> networks;
  for (int i = 0; i < kInterpreters; ++i) {
    if (i % 2 == 0) delegates.push_back(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr));
    networks.push_back(std::make_unique<DenseNetwork>(delegates.back(), 2, 16, 1 + i % 3));
  }
  const std::vector<Word> y = DenseNetwork(delegate_, 2, 16, 1).Run();
  std::vector<std::thread> threads;
  std::vector<int> wrong(kInterpreters, 0);
  for (int i = 0; i < kInterpreters; ++i) {
    threads.emplace_back([&, i] {
      for (int run = 0; run < 50; ++run) wrong[i] += networks[i]->Run() != y;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(kInterpreters, 0));
  networks.clear();
  for (TfLiteDelegate* delegate : delegates) tflite_plugin_destroy_delegate(delegate);
}

}  // namespace
}  // namespace keras_bnn
