#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "keras_bnn/keras_bnn.h"
#include "kernels/kernel_set.h"
#include "support/flexbuffer_map.h"
#include "support/tflite_host.h"
#include "tflite/abi.h"

namespace keras_bnn {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string last_report;  // of the delegate under creation

using DelegatePointer = std::unique_ptr<TfLiteDelegate, void (*)(TfLiteDelegate*)>;

DelegatePointer Create(std::vector<std::string> keys = {}, std::vector<std::string> values = {}) {
  std::vector<char*> key_pointers, value_pointers;
  for (std::string& key : keys) key_pointers.push_back(key.data());
  for (std::string& value : values) value_pointers.push_back(value.data());
  last_report.clear();
  const auto report = [](const char* text) { last_report += text; };
  return {tflite_plugin_create_delegate(key_pointers.data(), value_pointers.data(), keys.size(), report),
          tflite_plugin_destroy_delegate};
}

// A model of two ops that gives the signs of 4 values. Returns its input and its output.
std::pair<int, int> AddSigns(TfLiteHost* host) {
  const int x = host->AddTensor("x", kTfLiteFloat32, {1, 4});
  const int bits = host->AddTensor("bits", kTfLiteInt32, {1, 1});
  const int y = host->AddTensor("y", kTfLiteFloat32, {1, 4});
  host->AddNode("BnnQuantize", {x}, {bits}, FlexbufferMap({{"version", 1}}));
  host->AddNode("BnnDequantize", {bits}, {y}, FlexbufferMap({{"version", 1}, {"channels", 4}}));
  host->SetInputsAndOutputs({x}, {y});
  return {x, y};
}

class DelegateTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("KERAS_BNN_ISA"); }
  void TearDown() override { unsetenv("KERAS_BNN_ISA"); }
};

TEST_F(DelegateTest, HasTheFormThatRuntimesAccept) {
  const DelegatePointer delegate = Create();
  ASSERT_NE(delegate, nullptr);
  EXPECT_NE(delegate->data_, nullptr);
  EXPECT_NE(delegate->Prepare, nullptr);
  EXPECT_EQ(delegate->flags, 1);
  EXPECT_EQ(delegate->CopyFromBufferHandle, nullptr);
  EXPECT_EQ(delegate->CopyToBufferHandle, nullptr);
  EXPECT_EQ(delegate->FreeBufferHandle, nullptr);
  EXPECT_EQ(delegate->opaque_delegate_builder, nullptr);
  EXPECT_EQ(last_report, "");
}

TEST_F(DelegateTest, TakesNoDelegate) {
  tflite_plugin_destroy_delegate(nullptr);
  EXPECT_EQ(KerasBnnGetProfile(nullptr, nullptr, 0), 0);
  EXPECT_EQ(KerasBnnGetMemory(nullptr, nullptr, 0), 0);
}

TEST_F(DelegateTest, RefusesAnUnknownOption) {
  EXPECT_EQ(Create({"num_threads"}, {"4"}), nullptr);
  EXPECT_EQ(last_report, "keras-bnn: the delegate has no option \"num_threads\"; expected isa or profile");
}

TEST_F(DelegateTest, TakesOneAndZeroForASwitch) {
  EXPECT_NE(Create({"profile", "isa"}, {"1", "scalar"}), nullptr);
  EXPECT_NE(Create({"profile"}, {"0"}), nullptr);
  EXPECT_EQ(Create({"profile"}, {"true"}), nullptr);
  EXPECT_EQ(last_report, "keras-bnn: the option \"profile\" is \"true\"; expected 0 or 1");
}

TEST_F(DelegateTest, TakesEverySupportedKernelSetByName) {
  for (int i = 0; i < KernelSetCount(); ++i) {
    const bool created = Create({"isa"}, {KernelSetAt(i).name}) != nullptr;
    EXPECT_EQ(created, KernelSetSupported(i)) << KernelSetAt(i).name;
    if (created) continue;
    EXPECT_THAT(last_report, HasSubstr("needs instructions that this CPU lacks"));
  }
}

TEST_F(DelegateTest, RefusesAnUnknownKernelSet) {
  EXPECT_EQ(Create({"isa"}, {"mmx"}), nullptr);
  EXPECT_THAT(last_report, StartsWith("keras-bnn: there is no kernel set \"mmx\"; those that run here are: "));
  EXPECT_THAT(last_report, HasSubstr("scalar"));
}

TEST_F(DelegateTest, WithoutAReporterTheRuntimeReportsTheRefusal) {
  std::string key = "colour";
  char* keys[] = {key.data()};
  const DelegatePointer delegate(tflite_plugin_create_delegate(keys, keys, 1, nullptr), tflite_plugin_destroy_delegate);
  ASSERT_NE(delegate, nullptr);
  TfLiteHost host;
  AddSigns(&host);
  EXPECT_EQ(host.Apply(delegate.get()), kTfLiteError);
  EXPECT_EQ(host.reports(), "keras-bnn: the delegate has no option \"colour\"; expected isa or profile\n");
}

TEST_F(DelegateTest, TheEnvironmentNamesAKernelSet) {
  setenv("KERAS_BNN_ISA", "scalar", 1);
  EXPECT_STREQ(KerasBnnChosenKernelSet(), "scalar");
  EXPECT_NE(Create(), nullptr);
  setenv("KERAS_BNN_ISA", "mmx", 1);
  EXPECT_EQ(KerasBnnChosenKernelSet(), nullptr);
  EXPECT_EQ(Create(), nullptr);
  EXPECT_THAT(last_report, HasSubstr("there is no kernel set \"mmx\""));
}

TEST_F(DelegateTest, TheOptionWinsOverTheEnvironment) {
  setenv("KERAS_BNN_ISA", "mmx", 1);
  EXPECT_NE(Create({"isa"}, {"scalar"}), nullptr);
  setenv("KERAS_BNN_ISA", "scalar", 1);
  EXPECT_EQ(Create({"isa"}, {"mmx"}), nullptr);
}

TEST_F(DelegateTest, ListsKernelSetsToC) {
  ASSERT_EQ(KerasBnnKernelSetCount(), KernelSetCount());
  for (int i = 0; i < KernelSetCount(); ++i) {
    EXPECT_STREQ(KerasBnnKernelSetName(i), KernelSetAt(i).name);
    EXPECT_EQ(KerasBnnKernelSetSupported(i), KernelSetSupported(i) ? 1 : 0);
  }
  EXPECT_STREQ(KerasBnnKernelSetName(KernelSetCount() - 1), "scalar");
  for (const int outside : {-1, KernelSetCount()}) {
    EXPECT_EQ(KerasBnnKernelSetName(outside), nullptr);
    EXPECT_EQ(KerasBnnKernelSetSupported(outside), 0);
  }
  EXPECT_STREQ(KerasBnnChosenKernelSet(), ChooseKernelSet(nullptr).name);
}

TEST_F(DelegateTest, VersionIsThreeNumbers) {
  EXPECT_THAT(KerasBnnVersion(), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST_F(DelegateTest, LeavesAModelWithoutItsOpsAlone) {
  TfLiteHost host;
  const int x = host.AddTensor("x", kTfLiteFloat32, {2, 3});
  const int y = host.AddTensor("y", kTfLiteFloat32, {2, 3});
  host.AddCopyNode(x, y);
  host.SetInputsAndOutputs({x}, {y});
  const DelegatePointer delegate = Create();
  EXPECT_EQ(host.Apply(delegate.get()), kTfLiteOk);
  EXPECT_EQ(host.PartitionCount(), 0);
  ASSERT_EQ(host.AllocateTensors(), kTfLiteOk);
  host.Write<float>(x, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(host.Invoke(), kTfLiteOk);
  EXPECT_EQ(host.Read<float>(y), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST_F(DelegateTest, LeavesForeignCustomOpsAlone) {
  TfLiteHost host;
  const int x = host.AddTensor("x", kTfLiteFloat32, {2, 3});
  const int y = host.AddTensor("y", kTfLiteFloat32, {2, 3});
  host.AddNode("BnnQuantizeLater", {x}, {y}, {});
  host.SetInputsAndOutputs({x}, {y});
  const DelegatePointer delegate = Create();
  EXPECT_EQ(host.Apply(delegate.get()), kTfLiteOk);
  EXPECT_EQ(host.PartitionCount(), 0);
  EXPECT_EQ(host.Invoke(), kTfLiteError);
}

// As Python does at its exit, where objects go in any order.
TEST_F(DelegateTest, MayBeDestroyedBeforeTheRuntime) {
  TfLiteHost host;
  const auto [x, y] = AddSigns(&host);
  DelegatePointer delegate = Create();
  ASSERT_EQ(host.Apply(delegate.get()), kTfLiteOk);
  ASSERT_EQ(host.AllocateTensors(), kTfLiteOk);
  delegate.reset();
  host.Write<float>(x, {1, -2, 3, -4});
  EXPECT_EQ(host.Invoke(), kTfLiteOk);
  EXPECT_EQ(host.Read<float>(y), (std::vector<float>{1, -1, 1, -1}));
}

TEST_F(DelegateTest, ServesTwoRuntimesAtOnce) {
  const DelegatePointer delegate = Create();
  TfLiteHost hosts[2];
  int x = 0;
  int y = 0;
  for (TfLiteHost& host : hosts) {
    host.SetThreads(2);
    x = host.AddTensor("x", kTfLiteFloat32, {1, 4});
    y = host.AddTensor("y", kTfLiteInt32, {1, 1});
    host.AddNode("BnnQuantize", {x}, {y}, FlexbufferMap({{"version", 1}}));
    host.SetInputsAndOutputs({x}, {y});
    ASSERT_EQ(host.Apply(delegate.get()), kTfLiteOk);
    ASSERT_EQ(host.AllocateTensors(), kTfLiteOk);
  }
  hosts[0].Write<float>(x, {-1, 1, -1, 1});
  hosts[1].Write<float>(x, {1, 1, 1, -1});
  for (TfLiteHost& host : hosts) ASSERT_EQ(host.Invoke(), kTfLiteOk);
  EXPECT_EQ(hosts[0].Read<int>(y), (std::vector<int>{0b0101}));
  EXPECT_EQ(hosts[1].Read<int>(y), (std::vector<int>{0b1000}));
}

}  // namespace
}  // namespace keras_bnn
