// Delegates and the runtimes that share them, made and destroyed in any order and on any thread: nothing stays behind.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "keras_bnn/keras_bnn.h"
#include "support/flexbuffer_map.h"
#include "support/partition_fixture.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/tflite_host.h"

namespace keras_bnn {
namespace {

constexpr int kChannels = 40, kUnits = 33;

TfLiteDelegate* NewDelegate() { return tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr); }

// Signs of an image, a 3x3 convolution to signs; then, in another partition, a convolution to floats.
class Network {
 public:
  Network(TfLiteDelegate* delegate, int threads, int version = 1) {
    Random random(7);
    x_ = host_.AddTensor("x", kTfLiteFloat32, {1, 4, 4, kChannels});
    const int signs = host_.AddTensor("signs", kTfLiteInt32, {1});
    const int inner = host_.AddTensor("inner", kTfLiteInt32, {1});
    const int copy = host_.AddTensor("copy", kTfLiteInt32, {1});
    y_ = host_.AddTensor("y", kTfLiteFloat32, {1});
    const Bytes options = FlexbufferMap({{"version", version}, {"channels_in", kChannels}, {"padding", 0}});
    const auto weights = [&](int channels_out, int taps) {
      return PackSigns(random.Signs(channels_out * taps * kChannels), kChannels);
    };
    const int first = host_.AddConstant("first", kTfLiteInt32, {kChannels, 3, 3, 2}, weights(kChannels, 9));
    const int second = host_.AddConstant("second", kTfLiteInt32, {kUnits, 1, 1, 2}, weights(kUnits, 1));
    const int thresholds = host_.AddConstant("thresholds", kTfLiteInt32, {kChannels}, random.Ints(kChannels, -9, 9));
    const int multiplier = host_.AddConstant("multiplier", kTfLiteFloat32, {kUnits}, random.Floats(kUnits));
    const int bias = host_.AddConstant("bias", kTfLiteFloat32, {kUnits}, random.Floats(kUnits));
    host_.AddNode("BnnQuantize", {x_}, {signs}, FlexbufferMap({{"version", 1}}));
    host_.AddNode("BnnConv2D", {signs, first, thresholds}, {inner}, options);
    host_.AddCopyNode(inner, copy);
    host_.AddNode("BnnConv2D", {copy, second, multiplier, bias}, {y_}, options);
    host_.SetInputsAndOutputs({x_}, {y_});
    host_.SetThreads(threads);
    EXPECT_EQ(host_.Apply(delegate), kTfLiteOk);
  }

  std::vector<float> Run(int batch, int size) {
    EXPECT_EQ(host_.ResizeInput(x_, {batch, size, size, kChannels}), kTfLiteOk);
    EXPECT_EQ(host_.AllocateTensors(), kTfLiteOk) << host_.reports();
    host_.Write(x_, Random(8).Floats(batch * size * size * kChannels));
    EXPECT_EQ(host_.Invoke(), kTfLiteOk);
    return host_.Read<float>(y_);
  }

  TfLiteHost* host() { return &host_; }

 private:
  TfLiteHost host_;
  int x_ = 0, y_ = 0;
};

// As runtimes may that undo delegates when an input is resized.
TEST(LifetimeTest, OneThatIsAppliedAfterItsEndRefuses) {
  TfLiteDelegate* delegate = NewDelegate();
  auto network = std::make_unique<Network>(delegate, 1);
  tflite_plugin_destroy_delegate(delegate);
  EXPECT_THAT(network->Run(1, 4), testing::SizeIs(16 * kUnits));
  network.reset();
  TfLiteHost host;
  EXPECT_EQ(host.Apply(delegate), kTfLiteError);
  EXPECT_EQ(host.reports(), "keras-bnn: the delegate is destroyed; expected it to outlive its interpreters\n");
  EXPECT_EQ(NewDelegate(), delegate) << "structs that stay must be taken again";
  EXPECT_EQ(host.Apply(delegate), kTfLiteOk);
  tflite_plugin_destroy_delegate(delegate);
}

TEST(LifetimeTest, TheyEndInAnyOrderAndOnAnyThread) {
  const std::size_t weights = KerasBnnWeightBytes();
  const std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)> own(NewDelegate(), tflite_plugin_destroy_delegate);
  const std::vector<float> expected = Network(own.get(), 1).Run(2, 5);
  Random random(9);
  for (int round = 0; round < 30; ++round) {
    std::vector<TfLiteDelegate*> delegates = {NewDelegate(), NewDelegate(), NewDelegate()};
    std::vector<std::unique_ptr<Network>> networks;
    for (int i = 0; i < 5; ++i) {
      networks.push_back(std::make_unique<Network>(delegates[random.Int(0, 2)], random.Int(1, 3)));
    }
    while (!networks.empty() || !delegates.empty()) {
      if (!delegates.empty() && (networks.empty() || random.OneIn(3))) {
        const auto delegate = delegates.begin() + random.Int(0, static_cast<int>(delegates.size()) - 1);
        tflite_plugin_destroy_delegate(*delegate);
        delegates.erase(delegate);
      } else {
        const auto network = networks.begin() + random.Int(0, static_cast<int>(networks.size()) - 1);
        EXPECT_EQ((*network)->Run(2, 5), expected);
        std::thread([&] {
          EXPECT_EQ((*network)->Run(2, 5), expected);
          network->reset();
        }).join();
        networks.erase(network);
      }
    }
  }
  EXPECT_EQ(KerasBnnWeightBytes(), weights);
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)

std::ptrdiff_t Files(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

// A delegate for two networks of several sizes, and a third one that it refuses.
void Cycle(int number) {
  TfLiteDelegate* delegate = NewDelegate();
  {
    Network first(delegate, 1 + number % 3), second(delegate, 1);
    for (const int size : {3 + number % 5, 2, 9}) {
      first.Run(1 + number % 2, size);
      second.Run(1, size);
    }
    Network refused(delegate, 1, 99);
    EXPECT_EQ(refused.host()->AllocateTensors(), kTfLiteError);
    if (number % 2 == 0) tflite_plugin_destroy_delegate(delegate);
  }
  if (number % 2 != 0) tflite_plugin_destroy_delegate(delegate);
}

// KERAS_BNN_LEAK_CYCLES asks for more cycles than a test of every day has.
TEST(LifetimeTest, NothingStaysBehind) {
  const char* asked = std::getenv("KERAS_BNN_LEAK_CYCLES");
  const int cycles = asked == nullptr ? 200 : std::atoi(asked);
  ASSERT_GT(cycles, 0);
  for (int i = 0; i < 50; ++i) Cycle(i);
  const std::size_t allocated = mallinfo2().uordblks, weights = KerasBnnWeightBytes();
  const std::ptrdiff_t descriptors = Files("/proc/self/fd"), threads = Files("/proc/self/task");
  for (int i = 0; i < cycles; ++i) Cycle(i);
  // malloc counts what it caches of small pieces as handed out; the smallest piece, lost in each cycle, is more.
  const auto grown = static_cast<std::ptrdiff_t>(mallinfo2().uordblks - allocated);
  RecordProperty("grown_bytes", static_cast<int>(grown));
  EXPECT_LT(grown, 16 * cycles);
  EXPECT_EQ(KerasBnnWeightBytes(), weights);
  EXPECT_EQ(Files("/proc/self/fd"), descriptors);
  EXPECT_EQ(Files("/proc/self/task"), threads);
}

#endif  // __GLIBC__

}  // namespace
}  // namespace keras_bnn
