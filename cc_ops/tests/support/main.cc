// Says which kernel sets this run covers, then runs the tests.
#include <gmock/gmock.h>

#include <cstdio>

#include "kernels/kernel_set.h"

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  if (!testing::GTEST_FLAG(list_tests)) {
    for (int i = 0; i < keras_bnn::KernelSetCount(); ++i) {
      const bool supported = keras_bnn::KernelSetSupported(i);
      std::printf("kernel set %s: %s\n", keras_bnn::KernelSetAt(i).name, supported ? "tested" : "this CPU lacks it");
    }
  }
  return RUN_ALL_TESTS();
}
