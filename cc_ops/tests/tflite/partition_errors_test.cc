// How a partition fails: with a report, and never with a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/partition_fixture.h"

namespace keras_bnn {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PartitionErrorsTest : public PartitionTest {};

TEST_F(PartitionErrorsTest, AFailedInitIsReportedAndPrepareFails) {
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

TEST_F(PartitionErrorsTest, AFailedPrepareIsReportedWithOpAndTensor) {
  const int x = Float("x", {2, 40});
  const int y = Float("floats", {1});  // BnnQuantize gives words
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize (output \"floats\"): the output is float32; expected int32 words\n");
}

TEST_F(PartitionErrorsTest, ATensorThatTwoStepsWriteIsRefused) {
  const int large = Float("large", {9, 40});
  const int small = Float("small", {1, 40});
  const int words = Words("words", {1});
  const int y = Float("y", {1});
  host_->AddNode("BnnQuantize", {large}, {words}, kVersionOnly);
  host_->AddNode("BnnDequantize", {words}, {y}, FlexbufferMap({{"channels", 40}, {"version", 1}}));
  host_->AddNode("BnnQuantize", {small}, {words}, kVersionOnly);
  host_->SetInputsAndOutputs({large, small}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize: an output is left out, or read or written before; expected tensors of its own\n");
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
}

// The runtime runs the foreign op between the partitions, so that each checks its own tensors only.
TEST_F(PartitionErrorsTest, ATensorThatAnotherPartitionResizesIsRefused) {
  const int large = Float("large", {9, 40});
  const int small = Float("small", {1, 40});
  const int words = Words("words", {1});
  const int y = Float("y", {1});
  const int copy = Float("copy", {1, 40});
  host_->AddNode("BnnQuantize", {large}, {words}, kVersionOnly);
  host_->AddNode("BnnDequantize", {words}, {y}, FlexbufferMap({{"channels", 40}, {"version", 1}}));
  host_->AddCopyNode(small, copy);
  host_->AddNode("BnnQuantize", {copy}, {words}, kVersionOnly);
  host_->SetInputsAndOutputs({large, small}, {words, y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->PartitionCount(), 2);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(host_->Invoke(), kTfLiteError);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: tensor " + std::to_string(words) +
                " is int32 [1, 2] of 8 bytes; expected int32 [9, 2], as it was prepared: let no two nodes write one "
                "tensor\n");
}

// Of a tensor that a partition writes, or has between its ops, after the first Prepare.
struct ChangeCase {
  TfLiteHost::Change change;
  bool inner;
  const char* at_run;     // null: it runs
  const char* at_resize;  // the same
};

class ChangedTensorTest : public PartitionTest, public testing::WithParamInterface<ChangeCase> {};

TEST_P(ChangedTensorTest, IsRefused) {
  const ChangeCase& test = GetParam();
  const int words = Words("words", {9, 2});
  const int y = Float("y", {9, 40});
  const int bits = Words("bits", {9, 2});
  const int copy = Words("copy", {9, 2});
  host_->AddNode("BnnDequantize", {words}, {y}, FlexbufferMap({{"channels", 40}, {"version", 1}}));
  host_->AddNode("BnnQuantize", {y}, {bits}, kVersionOnly);
  host_->AddCopyNode(bits, copy);
  host_->AddChangingNode(copy, y, test.change);
  host_->SetInputsAndOutputs({words}, test.inner ? std::vector<int>{copy} : std::vector<int>{copy, y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  EXPECT_EQ(host_->Invoke(), test.at_run == nullptr ? kTfLiteOk : kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr(test.at_run == nullptr ? "" : test.at_run));
  ASSERT_EQ(host_->ResizeInput(words, {9, 2}), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), test.at_resize == nullptr ? kTfLiteOk : kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr(test.at_resize == nullptr ? "" : test.at_resize));
}

INSTANTIATE_TEST_SUITE_P(
    All, ChangedTensorTest,
    testing::Values(
        ChangeCase{TfLiteHost::Change::kInt8, false,
                   "is int8 [9, 40] of 360 bytes; expected float32 [9, 40], as it was",
                   "is int8 with scale 0 and zero point 0; expected float32, 0 and 0, as at first: let no two"},
        ChangeCase{TfLiteHost::Change::kInt8, true, nullptr, "is int8 with scale 0 and zero point 0; expected float32"},
        ChangeCase{TfLiteHost::Change::kScale, true, nullptr,
                   "float32 with scale 1 and zero point 0; expected float32, 0"},
        ChangeCase{TfLiteHost::Change::kNoMemory, false, "has no memory; expected some: let no two nodes", nullptr}));

TEST_F(PartitionErrorsTest, UnalignedMemoryIsRefused) {
  const int x = Float("x", {1, 40});
  const int y = Words("y", {1, 2});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  host_->MisalignData(y);
  EXPECT_EQ(host_->Invoke(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("at an address that is no multiple of 4; expected aligned memory"));
}

TEST_F(PartitionErrorsTest, NegativeSizesOfOptionsAreRefused) {
  const int x = Float("x", {1, 40});
  const int y = Words("y", {1, 2});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetLastOptionsSize(-2);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_THAT(host_->reports(), HasSubstr("the options have -2 bytes; expected a file that is whole"));
}

TEST_F(PartitionErrorsTest, AConstantOutputIsRefused) {
  const int x = Float("x", {1, 40});
  const int y = host_->AddConstant<std::int32_t>("y", kTfLiteInt32, {1, 2}, {0, 0});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->reports(),
            "keras-bnn: BnnQuantize: an output is a constant of the file; expected a tensor to write to\n");
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
}

// 2^32 bytes between the ops, of which a 32-bit size would keep nothing.
TEST_F(PartitionErrorsTest, ReportsATensorThatNoMemoryHolds) {
  if (sizeof(void*) > 4) GTEST_SKIP() << "these addresses reach over 2^32 bytes";
  const int x = Float("x", {1 << 30, 1});
  const int bits = Words("bits", {1});
  const int y = Float("y", {1});
  host_->AddNode("BnnQuantize", {x}, {bits}, kVersionOnly);
  host_->AddNode("BnnDequantize", {bits}, {y}, FlexbufferMap({{"channels", 1}, {"version", 1}}));
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_EQ(host_->reports(), "keras-bnn: out of memory\n");
}

TEST_F(PartitionErrorsTest, RecoversFromASizeThatItRefused) {
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

TEST_F(PartitionErrorsTest, AFailedResizeIsReported) {
  const int x = Float("x", {2, 40});
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  host_->FailResizes();
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), AllOf(HasSubstr("BnnQuantize"), HasSubstr("could not resize output 0")));
}

TEST_F(PartitionErrorsTest, RefusesNodesOfAnotherForm) {
  const int x = Float("x", {2, 40});
  const int y = Words("y", {1});
  const int z = Words("z", {1});
  host_->AddNode("BnnQuantize", {x}, {y, z}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y, z});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("BnnQuantize (output \"y\"): the op has 2 outputs; expected 1"));
}

TEST_F(PartitionErrorsTest, RefusesAnInputThatIsLeftOut) {
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {-1}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  EXPECT_EQ(host_->AllocateTensors(), kTfLiteError);
  EXPECT_THAT(host_->reports(), HasSubstr("BnnQuantize (output \"y\"): an input is left out; expected all inputs"));
}

TEST_F(PartitionErrorsTest, WeightsMustBeConstant) {
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
