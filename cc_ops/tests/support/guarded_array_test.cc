// That guarded arrays catch what they are for: reads and writes of one value too many, also those of the kernel sets.
#include "support/guarded_array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/kernel_set_test.h"

namespace keras_bnn {
namespace {

constexpr int kFloats = 1027;  // more than a page

TEST(GuardedArrayDeathTest, EndsAtAnUnmappedPage) {
  GuardedArray<float> array(kFloats, Edge::kAfter);
  std::fill(array.begin(), array.end(), 1.0f);
  volatile float* const values = array.data();
  EXPECT_DEATH(static_cast<void>(values[kFloats]), "");
  EXPECT_DEATH(values[kFloats] = 1.0f, "");
}

TEST(GuardedArrayDeathTest, BeginsAtAnUnmappedPage) {
  GuardedArray<float> array(kFloats, Edge::kBefore);
  std::fill(array.begin(), array.end(), 1.0f);
  volatile float* const values = array.data();
  EXPECT_DEATH(static_cast<void>(values[-1]), "");
  EXPECT_DEATH(values[-1] = 1.0f, "");
}

class GuardedArrayKernelDeathTest : public KernelSetTest {};

FOR_EACH_KERNEL_SET(GuardedArrayKernelDeathTest);

TEST_P(GuardedArrayKernelDeathTest, CatchesAReadOfOneFloatTooMany) {
  for (const int channels : {1, 31, 32, 33, 64, 257}) {
    const GuardedArray<float> x(std::vector<float>(channels - 1, -1.0f), Edge::kAfter);
    Word words[9];
    EXPECT_DEATH(kernels().pack_float(x.data(), channels, words), "") << channels;
  }
}

TEST_P(GuardedArrayKernelDeathTest, CatchesAReadOfOneWordTooMany) {
  for (const int words : {1, 2, 3, 4, 7, 8, 9, 16}) {
    const GuardedArray<Word> x(std::vector<Word>(words - 1, 0), Edge::kAfter);
    const Word* const rows[kMaxTilePixels] = {x.data()};
    const std::vector<Word> kernel(words * kBlockChannels, 0);
    const std::int32_t values[kBlockChannels] = {};
    const int value_rows[kMaxTilePixels] = {};
    std::int32_t acc[kBlockChannels];
    EXPECT_DEATH(kernels().accumulate_bits({rows, 1, 1, words, kernel.data(), values, value_rows}, acc), "") << words;
  }
}

}  // namespace
}  // namespace keras_bnn
