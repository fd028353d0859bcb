// What the delegate tells of its ops: their names and their times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "support/partition_fixture.h"

namespace keras_bnn {
namespace {

using testing::ElementsAre;

class ProfileTest : public PartitionTest {
 protected:
  // A delegate that times its ops, instead of one without options.
  void Time() {
    tflite_plugin_destroy_delegate(delegate_);
    char key[] = "profile";
    char value[] = "1";
    char* keys[] = {key};
    char* values[] = {value};
    delegate_ = tflite_plugin_create_delegate(keys, values, 1, nullptr);
  }

  // x -> bits -> copy, which the runtime makes -> pooled, small -> y: two partitions, of one op and of three.
  void Build(TfLiteHost* host) {
    const int x = host->AddTensor("x", kTfLiteFloat32, {1, 64, 64, 256});
    const int bits = host->AddTensor("bits", kTfLiteInt32, {1, 64, 64, 8});
    const int copy = host->AddTensor("copy", kTfLiteInt32, {1, 64, 64, 8});
    const int pooled = host->AddTensor("pooled", kTfLiteInt32, kUnknown);
    const int small = host->AddTensor("small", kTfLiteInt32, kUnknown);
    const int y = host->AddTensor("y", kTfLiteFloat32, {1});
    host->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
    host->AddCopyNode(bits, copy);
    host->AddNode("BnnMaxPool2D", {copy}, {pooled}, PoolOptions(2, 1));
    host->AddNode("BnnMaxPool2D", {pooled}, {small}, PoolOptions(63, 1));
    host->AddNode("BnnDequantize", {small}, {y}, FlexbufferMap({{"version", 1}, {"channels", 256}}));
    host->SetInputsAndOutputs({x}, {y});
    ASSERT_EQ(host->Apply(delegate_), kTfLiteOk);
    ASSERT_EQ(host->AllocateTensors(), kTfLiteOk);
    host->Write(x, std::vector<float>(64 * 64 * 256, -1.0f));
  }

  std::vector<KerasBnnOpProfile> Profile() {
    std::vector<KerasBnnOpProfile> ops(KerasBnnGetProfile(delegate_, nullptr, 0));
    EXPECT_EQ(KerasBnnGetProfile(delegate_, ops.data(), static_cast<int>(ops.size())), static_cast<int>(ops.size()));
    return ops;
  }
};

TEST_F(ProfileTest, NamesTheOpsInTheirOrder) {
  Build(host_.get());
  std::vector<std::string> texts;
  for (const KerasBnnOpProfile& op : Profile()) {
    texts.push_back(std::to_string(op.partition) + " " + std::to_string(op.node) + " " + op.name + " " + op.output);
  }
  EXPECT_THAT(texts, ElementsAre("0 0 BnnQuantize bits", "1 2 BnnMaxPool2D pooled", "1 3 BnnMaxPool2D small",
                                 "1 4 BnnDequantize y"));
}

TEST_F(ProfileTest, TimesTheLastRunOfEachOp) {
  Time();
  Build(host_.get());
  for (const KerasBnnOpProfile& op : Profile()) EXPECT_EQ(op.nanoseconds, 0u) << op.name;
  for (int run = 0; run < 3; ++run) {
    const std::uint64_t begin = Nanoseconds();
    ASSERT_EQ(host_->Invoke(), kTfLiteOk);
    const std::uint64_t whole = Nanoseconds() - begin;
    std::uint64_t sum = 0;
    const std::vector<KerasBnnOpProfile> ops = Profile();
    for (const KerasBnnOpProfile& op : ops) {
      EXPECT_GT(op.nanoseconds, 0u) << op.name;
      sum += op.nanoseconds;
    }
    EXPECT_LE(sum, whole);                              // which adding up all runs would exceed
    EXPECT_GT(ops[0].nanoseconds, ops[3].nanoseconds);  // 4096 pixels, and 1
  }
}

TEST_F(ProfileTest, TimesNothingUnasked) {
  Build(host_.get());
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  for (const KerasBnnOpProfile& op : Profile()) EXPECT_EQ(op.nanoseconds, 0u) << op.name;
}

TEST_F(ProfileTest, WritesNoMoreThanThereIsRoomFor) {
  Build(host_.get());
  std::vector<KerasBnnOpProfile> ops(3, KerasBnnOpProfile{7, 7, "untouched", "untouched", 7});
  EXPECT_EQ(KerasBnnGetProfile(delegate_, ops.data(), 2), 4);
  EXPECT_STREQ(ops[1].name, "BnnMaxPool2D");
  EXPECT_STREQ(ops[2].name, "untouched");
}

TEST_F(ProfileTest, ListsTheInterpretersThatThereAre) {
  Build(host_.get());
  auto other = std::make_unique<TfLiteHost>();
  Build(other.get());
  ASSERT_EQ(Profile().size(), 8u);
  EXPECT_EQ(Profile()[4].partition, 2);
  host_.reset();
  const std::vector<KerasBnnOpProfile> ops = Profile();
  ASSERT_EQ(ops.size(), 4u);
  EXPECT_EQ(ops[0].partition, 0);
  other.reset();
  EXPECT_EQ(Profile().size(), 0u);
}

TEST_F(ProfileTest, TheRuntimesProfilerReadsWhatAPartitionHolds) {
  Build(host_.get());
  EXPECT_THAT(host_->ProfilingStrings(), ElementsAre("BnnQuantize", "BnnMaxPool2D x 2+BnnDequantize"));
}

TEST_F(ProfileTest, APartitionThatWasRefusedHasNoText) {
  const int x = Float("x", {2, 40});
  const int y = Words("y", {2, 2});
  host_->AddNode("BnnQuantize", {x}, {y}, FlexbufferMap({{"version", 1}, {"colour", 1}}));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_THAT(host_->ProfilingStrings(), ElementsAre(""));
  EXPECT_EQ(Profile().size(), 0u);
}

}  // namespace
}  // namespace keras_bnn
