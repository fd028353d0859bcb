// What happens where memory runs out: an error and no crash, nothing lost, and a later try succeeds. Each allocation of
// the library fails once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "support/allocation_counter.h"
#include "support/kernel_set_test.h"
#include "support/partition_fixture.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

using testing::HasSubstr;

bool Always() { return true; }

// Every kind of op, in two partitions. The kernel of the first convolution is expanded in parts, that of the last at
// once.
class Network {
 public:
  Network() {
    const int x = host_.AddTensor("x", kTfLiteFloat32, {1, 9, 8, 120});
    const int real = AddConv("BnnConv2D", x, {8, 3, 3, 4}, {{"channels_in", 120}, {"padding", 0}}, kTfLiteInt32);
    const int grouped = AddConv("BnnConv2D", real, {8, 3, 3, 1},
                                {{"channels_in", 8}, {"groups", 2}, {"padding", 0}, {"steps", 1}}, kTfLiteInt32);
    const int depthwise =
        AddConv("BnnDepthwiseConv2D", grouped, {3, 3, 1}, {{"channels_in", 8}, {"padding", 0}}, kTfLiteInt32, 16);
    const int pooled = host_.AddTensor("pooled", kTfLiteInt32, kUnknown);
    host_.AddNode("BnnMaxPool2D", {depthwise}, {pooled}, PoolOptions(2, 0));
    const int copy = host_.AddTensor("copy", kTfLiteInt32, {1, 9, 8, 1});
    host_.AddCopyNode(pooled, copy);
    const int framed = AddConv("BnnConv2D", copy, {40, 3, 3, 1}, {{"channels_in", 16}, {"padding", 0}}, kTfLiteInt32);
    const int larger = AddConv("BnnTransposeConv2D", framed, {20, 3, 3, 2},
                               {{"channels_in", 40}, {"stride_h", 2}, {"stride_w", 2}}, kTfLiteFloat32);
    const int bits = host_.AddTensor("bits", kTfLiteInt32, kUnknown);
    host_.AddNode("BnnQuantize", {larger}, {bits}, kVersionOnly);
    const int floats = host_.AddTensor("floats", kTfLiteFloat32, kUnknown);
    host_.AddNode("BnnDequantize", {bits}, {floats}, FlexbufferMap({{"version", 1}, {"channels", 20}}));
    const int last = AddConv("BnnConv2D", floats, {5, 3, 3, 1}, {{"channels_in", 20}, {"padding", 0}}, kTfLiteFloat32);
    const int y = AddConv("BnnFullyConnected", last, {3, 1}, {{"channels_in", 5}}, kTfLiteFloat32);
    host_.SetInputsAndOutputs({x}, {y});
    host_.SetThreads(2);
    x_ = x;
    y_ = y;
  }

  TfLiteHost* host() { return &host_; }

  TfLiteStatus Run(std::vector<float>* y) {
    if (host_.AllocateTensors() != kTfLiteOk) return kTfLiteError;
    host_.Write(x_, Random(7).Floats(9 * 8 * 120));
    if (host_.Invoke() != kTfLiteOk) return kTfLiteError;
    *y = host_.Read<float>(y_);
    return kTfLiteOk;
  }

 private:
  // The output has `channels` channels, or as many as the weights say.
  int AddConv(const char* op, int x, const std::vector<int>& kernel, std::map<std::string, std::int64_t> options,
              TfLiteType type, int channels = 0) {
    if (channels == 0) channels = kernel[0];
    int words = 1;
    for (const int dim : kernel) words *= dim;
    std::vector<Word> weights(words);
    const auto in_group = static_cast<int>(options["channels_in"] / (options.count("groups") == 1 ? 2 : 1));
    for (std::size_t i = 0; i < weights.size(); ++i) {  // unused bits are 0
      const int used = channels != kernel[0] ? channels : in_group - static_cast<int>(i % kernel.back()) * 32;
      weights[i] = used >= 32 ? random_.Bits() : random_.Bits() & ((Word{1} << used) - 1);
    }
    std::vector<int> inputs = {x, host_.AddConstant("weights", kTfLiteInt32, kernel, weights)};
    const bool has_step = options.count("steps") == 1;
    for (int i = 0; i < (has_step ? 3 : 2); ++i) {  // multiplier, bias and an operand
      inputs.push_back(host_.AddConstant("floats", kTfLiteFloat32, {channels}, random_.Floats(channels)));
    }
    const int y = host_.AddTensor("y", type, kUnknown);
    options["version"] = 1;
    host_.AddNode(op, inputs, {y}, FlexbufferMap(options));
    return y;
  }

  const std::vector<int> kUnknown = {7, 7, 7};
  Random random_ = Random(3);
  TfLiteHost host_;
  int x_ = 0, y_ = 0;
};

// Frees the delegate after the network.
class Delegated {
 public:
  explicit Delegated(const char* isa) : network(new Network) {
    char* key = const_cast<char*>("isa");
    char* value = const_cast<char*>(isa);
    delegate_ = tflite_plugin_create_delegate(&key, &value, 1, nullptr);
  }
  ~Delegated() {
    network.reset();
    tflite_plugin_destroy_delegate(delegate_);
  }
  Delegated(const Delegated&) = delete;
  Delegated& operator=(const Delegated&) = delete;

  TfLiteStatus Apply() { return network->host()->Apply(delegate_); }

  std::unique_ptr<Network> network;

 private:
  TfLiteDelegate* delegate_;
};

char reported[200];  // the last error; to keep it takes no memory

TEST(OutOfMemoryTest, CreatingADelegate) {
  const auto report = [](const char* error) { std::snprintf(reported, sizeof(reported), "%s", error); };
  // The next one takes its struct, which stays.
  tflite_plugin_destroy_delegate(tflite_plugin_create_delegate(nullptr, nullptr, 0, nullptr));
  for (const char* isa : {"scalar", "vax"}) {
    char* key = const_cast<char*>("isa");
    char* value = const_cast<char*>(isa);
    const std::size_t before = AllocationsAlive();
    std::size_t failures = 0;
    for (bool happened = true; happened; ++failures) {
      reported[0] = 0;
      TfLiteDelegate* delegate = nullptr;
      {
        const FailingAllocation failing(failures, Always);
        delegate = tflite_plugin_create_delegate(&key, &value, 1, report);
        happened = failing.happened();
      }
      if (happened) {
        EXPECT_EQ(delegate, nullptr);
        EXPECT_STREQ(reported, "keras-bnn: out of memory");
      }
      if (delegate != nullptr) tflite_plugin_destroy_delegate(delegate);
    }
    EXPECT_GT(failures, 1u);
    EXPECT_EQ(AllocationsAlive(), before);
  }
  EXPECT_THAT(reported, HasSubstr("there is no kernel set \"vax\""));
}

class OutOfMemoryRunTest : public KernelSetTest {};

FOR_EACH_KERNEL_SET(OutOfMemoryRunTest);

TEST_P(OutOfMemoryRunTest, ApplyingADelegateAndRunningAModel) {
  std::vector<float> expected;
  {
    Delegated whole(kernels().name);
    ASSERT_EQ(whole.Apply(), kTfLiteOk);
    ASSERT_EQ(whole.network->host()->PartitionCount(), 2);
    ASSERT_EQ(whole.network->Run(&expected), kTfLiteOk) << whole.network->host()->reports();
  }
  const std::size_t before = AllocationsAlive();
  std::size_t recovered = 0, failures = 0;
  for (bool happened = true; happened; ++failures) {
    Delegated delegated(kernels().name);
    std::vector<float> y;
    bool applied = false, ran = false;
    {
      const FailingAllocation failing(failures, TfLiteHost::IsInDelegate);
      applied = delegated.Apply() == kTfLiteOk;
      ran = applied && delegated.network->Run(&y) == kTfLiteOk;
      happened = failing.happened();
    }
    ASSERT_NE(ran, happened) << "allocation " << failures;
    if (happened) {
      ASSERT_EQ(delegated.network->host()->reports(), "keras-bnn: out of memory\n") << "allocation " << failures;
      // A node that could not be initialised never runs. Any other does, once there is memory.
      if (delegated.network->Run(&y) != kTfLiteOk) continue;
      ++recovered;
    }
    ASSERT_EQ(y, expected) << "allocation " << failures;
  }
  EXPECT_EQ(AllocationsAlive(), before);
  EXPECT_GT(recovered, 100u);
}

}  // namespace
}  // namespace keras_bnn
