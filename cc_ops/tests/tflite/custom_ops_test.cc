// The ops as custom ops inside a runtime, beside plain arithmetic and beside the delegate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ops/op.h"
#include "support/partition_fixture.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

using testing::HasSubstr;

constexpr int kSide = 6;
constexpr int kChannels = 40;

// As a program does it that registers the ops and has no delegate.
void RegisterOps(TfLiteHost* host) {
  for (int i = 0; i < KerasBnnOpCount(); ++i) host->AddCustomOp(KerasBnnOpName(i), *KerasBnnOpRegistration(i));
}

class CustomOpsTest : public PartitionTest {
 protected:
  void SetUp() override { unsetenv("KERAS_BNN_ISA"); }
  void TearDown() override { unsetenv("KERAS_BNN_ISA"); }

  // The signs of 2 x 40 values. Returns x and y.
  std::pair<int, int> AddSigns() {
    const int x = Float("x", {2, kChannels});
    const int bits = Words("bits", {1});
    const int y = Float("y", {1});
    host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
    host_->AddNode("BnnDequantize", {bits}, {y}, FlexbufferMap({{"version", 1}, {"channels", kChannels}}));
    host_->SetInputsAndOutputs({x}, {y});
    return {x, y};
  }

  void ExpectSigns(int x, int y, int size, int seed) {
    const std::vector<float> values = Random(seed).Floats(size);
    host_->Write(x, values);
    ASSERT_EQ(host_->Invoke(), kTfLiteOk);
    const std::vector<float> found = host_->Read<float>(y);
    ASSERT_EQ(found.size(), values.size());
    for (int i = 0; i < size; ++i) ASSERT_EQ(found[i], values[i] < 0.0f ? -1.0f : 1.0f);
  }
};

TEST_F(CustomOpsTest, HasARegistrationForEachOp) {
  std::set<std::string> names;
  std::set<const TfLiteRegistration*> registrations;
  std::set<void* (*)(TfLiteContext*, const char*, std::size_t)> makers;  // by which an op is told from the others
  for (int i = 0; i < KerasBnnOpCount(); ++i) {
    const TfLiteRegistration* registration = KerasBnnOpRegistration(i);
    EXPECT_TRUE(IsOp(KerasBnnOpName(i)));
    EXPECT_STREQ(registration->custom_name, KerasBnnOpName(i));
    EXPECT_EQ(registration->builtin_code, 32);
    EXPECT_EQ(registration->version, 1);
    EXPECT_EQ(registration->profiling_string, nullptr);
    EXPECT_EQ(registration->registration_external, nullptr);
    names.insert(KerasBnnOpName(i));
    registrations.insert(registration);
    makers.insert(registration->init);
  }
  const auto count = static_cast<std::size_t>(KerasBnnOpCount());
  EXPECT_EQ(names.size(), count);
  EXPECT_EQ(registrations.size(), count);
  EXPECT_EQ(makers.size(), count);
  EXPECT_EQ(names.count("BnnConv2D"), 1u);
  EXPECT_EQ(names.count("LceBconv2d"), 1u);
}

TEST_F(CustomOpsTest, HasNothingPastTheEnd) {
  for (const int index : {-1, KerasBnnOpCount()}) {
    EXPECT_EQ(KerasBnnOpName(index), nullptr);
    EXPECT_EQ(KerasBnnOpRegistration(index), nullptr);
  }
}

// A runtime whose TfLiteRegistration is larger than ours reads on behind ours.
TEST_F(CustomOpsTest, MembersOfNewerRuntimesAreZero) {
  for (int i = 0; i < KerasBnnOpCount(); ++i) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(KerasBnnOpRegistration(i) + 1);
    EXPECT_EQ(std::vector<unsigned char>(bytes, bytes + 64), std::vector<unsigned char>(64, 0));
  }
}

TEST_F(CustomOpsTest, SizesFollowTheInput) {
  const auto [x, y] = AddSigns();
  RegisterOps(host_.get());
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  ExpectSigns(x, y, 2 * kChannels, 1);
  for (const std::vector<int>& dims : {std::vector<int>{5, 3, kChannels}, {1, kChannels}}) {
    ASSERT_EQ(host_->ResizeInput(x, dims), kTfLiteOk);
    ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
    EXPECT_EQ(host_->Dims(y), dims);
    ExpectSigns(x, y, dims.size() == 3 ? 15 * kChannels : kChannels, 2);
  }
  EXPECT_EQ(host_->reports(), "");
}

// Two convolutions with a shortcut and two outputs each.
class CustomOpsNetworkTest : public CustomOpsTest, public testing::WithParamInterface<int> {
 protected:
  struct Network {
    int x, y, bits;
  };

  static Network Build(TfLiteHost* host) {
    Random random(6);
    const Bytes options = FlexbufferMap({{"version", 1}, {"channels_in", kChannels}, {"padding", 0}, {"steps", 1}});
    Network network = {};
    network.x = host->AddTensor("x", kTfLiteFloat32, {1, kSide, kSide, kChannels});
    network.bits = host->AddTensor("bits", kTfLiteInt32, {1});
    host->AddNode("BnnQuantize", {network.x}, {network.bits}, kVersionOnly);
    network.y = network.x;
    for (int layer = 0; layer < 2; ++layer) {
      const std::vector<int> signs = random.Signs(9 * kChannels * kChannels);
      const int weights = host->AddConstant("weights", kTfLiteInt32, {kChannels, 3, 3, 2}, PackSigns(signs, kChannels));
      const int multiplier = host->AddConstant("multiplier", kTfLiteFloat32, {kChannels}, random.Floats(kChannels));
      const int bias = host->AddConstant("bias", kTfLiteFloat32, {kChannels}, random.Floats(kChannels));
      const int y = host->AddTensor("y", kTfLiteFloat32, {1});
      const int bits = host->AddTensor("bits", kTfLiteInt32, {1});
      host->AddNode("BnnConv2D", {network.bits, weights, multiplier, bias, network.y}, {y, bits}, options);
      network.y = y;
      network.bits = bits;
    }
    host->SetInputsAndOutputs({network.x}, {network.y, network.bits});
    return network;
  }

  static void Run(TfLiteHost* host, const Network& network, int seed, std::vector<float>* y, std::vector<Word>* bits) {
    host->Write(network.x, Random(seed).Floats(kSide * kSide * kChannels));
    ASSERT_EQ(host->Invoke(), kTfLiteOk);
    *y = host->Read<float>(network.y);
    *bits = host->Read<Word>(network.bits);
  }
};

TEST_P(CustomOpsNetworkTest, GivesTheDelegatesBits) {
  TfLiteHost delegated;
  const Network expected_network = Build(&delegated);
  ASSERT_EQ(delegated.Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(delegated.AllocateTensors(), kTfLiteOk) << delegated.reports();
  const Network network = Build(host_.get());
  host_->SetThreads(GetParam());
  RegisterOps(host_.get());
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk) << host_->reports();
  EXPECT_EQ(host_->PartitionCount(), 0);
  for (int run = 0; run < 3; ++run) {
    std::vector<float> y, expected_y;
    std::vector<Word> bits, expected_bits;
    Run(&delegated, expected_network, run, &expected_y, &expected_bits);
    Run(host_.get(), network, run, &y, &bits);
    EXPECT_EQ(y, expected_y);
    EXPECT_EQ(bits, expected_bits);
    EXPECT_EQ(bits, PlainQuantize(y, kChannels));
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, CustomOpsNetworkTest, testing::Values(-1, 1, 3));

// Interpreters that are made, run and freed at the same time.
TEST_F(CustomOpsNetworkTest, SeveralInterpretersAtOnce) {
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  for (std::vector<float>& result : results) {
    threads.emplace_back([&result] {
      for (int round = 0; round < 5; ++round) {
        TfLiteHost host;
        const Network network = Build(&host);
        host.SetThreads(2);
        RegisterOps(&host);
        std::vector<Word> bits;
        if (host.AllocateTensors() == kTfLiteOk) Run(&host, network, 7, &result, &bits);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(results[0].size(), std::size_t{kSide * kSide * kChannels});
  for (const std::vector<float>& result : results) EXPECT_EQ(result, results[0]);
}

TEST_F(CustomOpsNetworkTest, RegisteredOpsCanGoToADelegateStill) {
  const Network network = Build(host_.get());
  RegisterOps(host_.get());
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->PartitionCount(), 1);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  std::vector<float> y;
  std::vector<Word> bits;
  Run(host_.get(), network, 3, &y, &bits);
  EXPECT_EQ(bits, PlainQuantize(y, kChannels));
}

TEST_F(CustomOpsTest, RepackedWeightsAreFreedWithTheInterpreter) {
  const std::uint64_t before = KerasBnnWeightBytes();
  {
    TfLiteHost host;
    const int x = host.AddTensor("x", kTfLiteInt32, {1, 2});
    const int weights = host.AddConstant("weights", kTfLiteInt32, {3, 2}, std::vector<Word>(6, 5));
    const int thresholds = host.AddConstant("thresholds", kTfLiteInt32, {3}, std::vector<int>{0, 1, 2});
    const int y = host.AddTensor("y", kTfLiteInt32, {1});
    host.AddNode("BnnFullyConnected", {x, weights, thresholds}, {y},
                 FlexbufferMap({{"version", 1}, {"channels_in", kChannels}}));
    host.SetInputsAndOutputs({x}, {y});
    RegisterOps(&host);
    ASSERT_EQ(host.AllocateTensors(), kTfLiteOk) << host.reports();
    EXPECT_GT(KerasBnnWeightBytes(), before);
  }
  EXPECT_EQ(KerasBnnWeightBytes(), before);
}

TEST_F(CustomOpsTest, RefusesOptionsThatItCannotRead) {
  const int x = Float("x", {2, kChannels});
  const int y = Words("signs", {1});
  host_->AddNode("BnnQuantize", {x}, {y}, FlexbufferMap({{"version", 3}}));
  host_->SetInputsAndOutputs({x}, {y});
  RegisterOps(host_.get());
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize (output \"signs\"): the op is of format version 3; this library reads version 1, "
            "install a newer one\n");
}

TEST_F(CustomOpsTest, RefusesAnOutputThatIsItsInput) {
  const int words = Words("words", {1, 4, 4, 2});
  host_->AddNode("BnnMaxPool2D", {words}, {words}, PoolOptions(2, 0));
  host_->SetInputsAndOutputs({words}, {words});
  RegisterOps(host_.get());
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("BnnMaxPool2D: an output is left out, or read or written before"));
}

TEST_F(CustomOpsTest, RecoversFromASizeThatItRefused) {
  const int x = Words("x", {1, 2, 4, 2});
  const int y = Words("y", {1});
  host_->AddNode("BnnMaxPool2D", {x}, {y}, PoolOptions(3, 1));
  host_->SetInputsAndOutputs({x}, {y});
  RegisterOps(host_.get());
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("larger than the padded height of 2 pixels"));
  ASSERT_EQ(host_->ResizeInput(x, {1, 3, 3, 2}), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  host_->Write(x, std::vector<Word>(18, 5));
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<Word>(y), (std::vector<Word>{5, 5}));
}

TEST_F(CustomOpsTest, TakesTheKernelSetOfTheEnvironment) {
  const auto [x, y] = AddSigns();
  RegisterOps(host_.get());
  setenv("KERAS_BNN_ISA", "abacus", 1);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("(the name comes from the environment variable KERAS_BNN_ISA)"));
  setenv("KERAS_BNN_ISA", "scalar", 1);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  ExpectSigns(x, y, 2 * kChannels, 4);
}

}  // namespace
}  // namespace keras_bnn
