// Tests that run once per kernel set of the build. Sets that this CPU cannot run are skipped with the reason.
#ifndef KERAS_BNN_TESTS_SUPPORT_KERNEL_SET_TEST_H_
#define KERAS_BNN_TESTS_SUPPORT_KERNEL_SET_TEST_H_

#include <gtest/gtest.h>

#include <string>

#include "kernels/kernel_set.h"

namespace keras_bnn {

class KernelSetTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!KernelSetSupported(GetParam())) {
      GTEST_SKIP() << "the kernel set " << kernels().name << " needs instructions that this CPU lacks";
    }
  }

  const KernelSet& kernels() const { return KernelSetAt(GetParam()); }
};

inline std::string KernelSetTestName(const testing::TestParamInfo<int>& info) { return KernelSetAt(info.param).name; }

// NOLINTNEXTLINE(bugprone-macro-parentheses): a suite's name
#define FOR_EACH_KERNEL_SET(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, testing::Range(0, KernelSetCount()), KernelSetTestName)

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_KERNEL_SET_TEST_H_
