// Registrations are handed over by value, and each generation of runtimes has another size of them.
#include "tflite/replace_nodes.h"

#include <gtest/gtest.h>

#include "support/partition_fixture.h"

namespace keras_bnn {
namespace {

class ReplaceNodesTest : public PartitionTest {
 protected:
  // A model of two ops that gives the signs of 4 values.
  void AddSigns() {
    x_ = Float("x", {1, 4});
    y_ = Float("y", {1, 4});
    const int bits = Words("bits", {1, 1});
    host_->AddNode("BnnQuantize", {x_}, {bits}, kVersionOnly);
    host_->AddNode("BnnDequantize", {bits}, {y_}, FlexbufferMap({{"version", 1}, {"channels", 4}}));
    host_->SetInputsAndOutputs({x_}, {y_});
  }

  void ExpectSigns() {
    AddSigns();
    ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk) << host_->reports();
    EXPECT_EQ(host_->PartitionCount(), 1);
    ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
    host_->Write<float>(x_, {1, -2, 3, -4});
    EXPECT_EQ(host_->Invoke(), kTfLiteOk);
    EXPECT_EQ(host_->Read<float>(y_), (std::vector<float>{1, -1, 1, -1}));
  }

  int x_ = 0, y_ = 0;
};

TEST_F(ReplaceNodesTest, Tflite27) {
  host_->SetRegistrationWords<8>();
  ExpectSigns();
}

TEST_F(ReplaceNodesTest, Tflite210) {
  host_->SetRegistrationWords<9>();
  ExpectSigns();
}

TEST_F(ReplaceNodesTest, Tflite213) {
  host_->SetRegistrationWords<10>();
  ExpectSigns();
}

TEST_F(ReplaceNodesTest, Tflite214) { ExpectSigns(); }

TEST_F(ReplaceNodesTest, RefusesASizeThatNoRuntimeHasWhereItMatters) {
  constexpr bool kOnTheStack = sizeof(void*) == 4;
  host_->SetRegistrationWords<11>();
  AddSigns();
  EXPECT_EQ(host_->Apply(delegate_), kOnTheStack ? kTfLiteError : kTfLiteOk);
  EXPECT_EQ(host_->reports(), kOnTheStack ? "keras-bnn: the runtime keeps 44 bytes for an op's registration; expected "
                                            "32, 36, 40 or 48, as in TFLite 2.7 to 2.14\n"
                                          : "");
}

}  // namespace
}  // namespace keras_bnn
