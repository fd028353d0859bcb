#include "core/subnormals.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/partition_fixture.h"

namespace keras_bnn {
namespace {

float Half(float x) {
  volatile float half = 0.5f;
  return x * half;
}

constexpr float kLeastNormal = 0x1p-126f;

class SubnormalsTest : public PartitionTest {
 protected:
  void SetUp() override {
    if (KeepSubnormals::kFlushes == 0) GTEST_SKIP() << "nothing is known about the float mode of this CPU";
    mode_ = KeepSubnormals::Mode();
    KeepSubnormals::SetMode(mode_ | KeepSubnormals::kFlushes);
    ASSERT_EQ(Half(kLeastNormal), 0.0f);
  }

  void TearDown() override { KeepSubnormals::SetMode(mode_); }

 private:
  std::uintptr_t mode_ = 0;
};

TEST_F(SubnormalsTest, AreKeptForAWhile) {
  {
    const KeepSubnormals keep;
    EXPECT_NE(Half(kLeastNormal), 0.0f);
  }
  EXPECT_EQ(Half(kLeastNormal), 0.0f);
}

TEST_F(SubnormalsTest, AreKeptWhileAPartitionRuns) {
  const int x = Float("x", {1, 2});
  const int y = Words("y", {1});
  host_->AddNode("BnnQuantize", {x}, {y}, kVersionOnly);
  host_->SetInputsAndOutputs({x}, {y});
  ASSERT_EQ(host_->Apply(delegate_), kTfLiteOk);
  ASSERT_EQ(host_->AllocateTensors(), kTfLiteOk);
  host_->Write<float>(x, {-0x1p-149f, 0x1p-149f});
  ASSERT_EQ(host_->Invoke(), kTfLiteOk);
  EXPECT_EQ(host_->Read<int>(y), (std::vector<int>{0b01}));
  EXPECT_EQ(Half(kLeastNormal), 0.0f);
}

}  // namespace
}  // namespace keras_bnn
