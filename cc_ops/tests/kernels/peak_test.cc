#include "kernels/peak.h"

#include <gtest/gtest.h>

#include "keras_bnn/keras_bnn.h"

namespace keras_bnn {
namespace {

TEST(PeakTest, BitsGoFasterThanValues) {
  for (int i = 0; i < KernelSetCount(); ++i) {
    if (!KernelSetSupported(i)) continue;
    const char* name = KernelSetAt(i).name;
    SCOPED_TRACE(name);
    const double bits = KerasBnnMeasurePeak(name, 1, 1);
    EXPECT_GT(bits, KerasBnnMeasurePeak(name, 8, 1));
    EXPECT_GT(bits, KerasBnnMeasurePeak(name, 32, 1));
    EXPECT_LT(bits, 1e13);  // two vectors of 512 bits at 5 GHz are half of that: nothing was left out
    EXPECT_GT(KerasBnnMeasurePeak(name, 32, 1), 1e6);
    EXPECT_GT(KerasBnnMeasurePeak(name, 1, 2), 1e6);
  }
}

TEST(PeakTest, MeasuresTheKernelSetOfTheName) {
#if defined(__x86_64__)
  if (!KernelSetSupported(KernelSetCount() - 2)) GTEST_SKIP() << "this CPU runs the scalar kernels alone";
  EXPECT_GT(KerasBnnMeasurePeak(nullptr, 1, 1), KerasBnnMeasurePeak("scalar", 1, 1));
#else
  GTEST_SKIP() << "other CPUs may be emulated, where vectors are not fast";
#endif
}

TEST(PeakTest, RefusesWhatItCannotMeasure) {
  EXPECT_EQ(KerasBnnMeasurePeak("mmx", 1, 1), 0);
  EXPECT_EQ(KerasBnnMeasurePeak("scalar", 2, 1), 0);
  EXPECT_EQ(KerasBnnMeasurePeak("scalar", 1, 0), 0);
}

}  // namespace
}  // namespace keras_bnn
