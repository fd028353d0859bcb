// compare_depthwise_bits of every kernel set against sums of products of +1 and -1 that are compared with thresholds.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/guarded_array.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/rows.h"

namespace keras_bnn {
namespace {

// The digits of the smallest number of differing taps, out of `taps`, whose sum is below each threshold; by trying.
std::vector<Word> LeastDigits(int taps, const std::vector<std::int32_t>& thresholds) {
  std::vector<Word> digits(kComparedDigits, 0);
  for (int channel = 0; channel < kBlockChannels; ++channel) {
    int least = 0;
    while (least <= kMostCompared && taps - 2 * least >= thresholds[channel]) ++least;
    for (int digit = 0; digit < kComparedDigits; ++digit) {
      digits[digit] |= static_cast<Word>(least >> digit & 1) << channel;
    }
  }
  return digits;
}

class CompareDepthwiseBitsTest : public KernelSetTest {
 protected:
  // Of the kernel's taps, the last `skipped` count for no pixel, and others not for some pixels.
  void ExpectPlainBits(int taps, int skipped, int first, int pixels, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(skipped) + " skipped, " + std::to_string(pixels) +
                 " pixels from " + std::to_string(first) + ", seed " + std::to_string(seed));
    Random random(seed);
    const int used = taps - skipped;
    const std::size_t row = first + kMaxTilePixels;
    std::vector<std::vector<int>> x_signs;  // [tap], each [pixel][channel]
    std::vector<std::vector<Word>> x_words, inside_words;
    std::vector<std::int32_t> missing(row, skipped);
    for (int tap = 0; tap < used; ++tap) {
      x_signs.push_back(random.Signs(static_cast<int>(row) * kBlockChannels));
      x_words.push_back(PackSigns(x_signs.back(), kBlockChannels));
      inside_words.emplace_back();
      for (std::size_t pixel = 0; pixel < row; ++pixel) {
        inside_words.back().push_back(random.OneIn(4) ? 0u : ~0u);
        if (inside_words.back().back() == 0) ++missing[pixel];
      }
    }
    const std::vector<int> kernel_signs = random.Signs(used * kBlockChannels);  // [tap][channel]
    const std::vector<std::int32_t> thresholds = random.Ints(kBlockChannels, -taps - 1, taps + 2);
    std::vector<std::int32_t> higher = thresholds;
    for (std::int32_t& threshold : higher) ++threshold;
    std::vector<Word> least_digits = LeastDigits(taps, thresholds);
    const std::vector<Word> odd_digits = LeastDigits(taps, higher);
    least_digits.insert(least_digits.end(), odd_digits.begin(), odd_digits.end());
    const GuardedArray<Word> least(least_digits, edge);
    const GuardedArray<Word> kernel(PackSigns(kernel_signs, kBlockChannels), edge);
    const GuardedArray<std::int32_t> outside(missing, edge);
    const Rows<Word> x(x_words, edge);
    const Rows<Word> inside(inside_words, edge);
    constexpr int kStride = 3;
    GuardedArray<Word> words((pixels - 1) * kStride + 1, edge);

    kernels().compare_depthwise_bits(x.table(), inside.table(), first, pixels, used, kernel.data(), outside.data(),
                                     least.data(), words.data(), kStride);

    for (int p = 0; p < pixels; ++p) {
      for (int c = 0; c < kBlockChannels; ++c) {
        std::int32_t sum = 0;
        for (int tap = 0; tap < used; ++tap) {
          if (inside_words[tap][first + p] == 0) continue;
          sum += x_signs[tap][(first + p) * kBlockChannels + c] * kernel_signs[tap * kBlockChannels + c];
        }
        ASSERT_EQ(words[p * kStride] >> c & 1u, sum < thresholds[c] ? 1u : 0u) << "pixel " << p << " channel " << c;
      }
    }
  }
};

TEST_P(CompareDepthwiseBitsTest, EveryNumberOfTaps) {
  std::uint32_t seed = 700;
  for (int taps = 1; taps <= kMostCompared; ++taps) {
    for (int skipped = 0; skipped <= taps; ++skipped) {
      for (const Edge edge : kEdges) ExpectPlainBits(taps, skipped, 0, 8, edge, ++seed);
    }
  }
}

TEST_P(CompareDepthwiseBitsTest, EveryTile) {
  std::uint32_t seed = 1200;
  for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
    for (const Edge edge : kEdges) ExpectPlainBits(9, 3, 5, pixels, edge, ++seed);
  }
}

FOR_EACH_KERNEL_SET(CompareDepthwiseBitsTest);

}  // namespace
}  // namespace keras_bnn
