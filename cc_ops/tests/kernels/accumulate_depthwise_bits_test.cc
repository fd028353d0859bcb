// accumulate_depthwise_bits of every kernel set against sums of products of +1 and -1.
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

enum class Outside { kNone, kSome };

class AccumulateDepthwiseBitsTest : public KernelSetTest {
 protected:
  void ExpectPlainSums(int taps, int first, int pixels, Outside outside, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(pixels) + " pixels from " + std::to_string(first) +
                 ", seed " + std::to_string(seed));
    Random random(seed);
    const std::size_t row = first + kMaxTilePixels;
    std::vector<std::vector<int>> x_signs;  // [tap], each [pixel][channel]
    std::vector<std::vector<Word>> x_words, inside_words;
    for (int tap = 0; tap < taps; ++tap) {
      std::vector<int> signs = random.Signs(static_cast<int>(row) * kBlockChannels);
      // Pixel `first` is -1 throughout: with the constant channels below, the sums reach both ends of their range.
      for (int c = 0; c < kBlockChannels; ++c) signs[first * kBlockChannels + c] = -1;
      x_signs.push_back(signs);
      x_words.push_back(PackSigns(signs, kBlockChannels));
      std::vector<Word> inside(row);
      for (Word& word : inside) word = outside == Outside::kSome && random.OneIn(3) ? 0u : ~0u;
      inside_words.push_back(inside);
    }
    std::vector<int> kernel_signs = random.Signs(taps * kBlockChannels);  // [tap][channel]
    for (int tap = 0; tap < taps; ++tap) {
      kernel_signs[tap * kBlockChannels] = 1;
      kernel_signs[tap * kBlockChannels + 1] = -1;
    }
    const GuardedArray<Word> kernel(PackSigns(kernel_signs, kBlockChannels), edge);
    std::vector<std::int32_t> counted(row, 0);
    for (std::size_t pixel = 0; pixel < row; ++pixel) {
      for (int tap = 0; tap < taps; ++tap) counted[pixel] += inside_words[tap][pixel] != 0 ? 1 : 0;
    }
    const GuardedArray<std::int32_t> bits(counted, edge);
    const Rows<Word> x(x_words, edge);
    const Rows<Word> inside(inside_words, edge);
    GuardedArray<std::int32_t> acc(pixels * kBlockChannels, edge);

    kernels().accumulate_depthwise_bits(x.table(), outside == Outside::kSome ? inside.table() : nullptr, first, pixels,
                                        taps, kernel.data(), bits.data(), acc.data());

    for (int p = 0; p < pixels; ++p) {
      for (int c = 0; c < kBlockChannels; ++c) {
        std::int32_t expected = 0;
        for (int tap = 0; tap < taps; ++tap) {
          if (inside_words[tap][first + p] == 0) continue;
          expected += x_signs[tap][(first + p) * kBlockChannels + c] * kernel_signs[tap * kBlockChannels + c];
        }
        ASSERT_EQ(acc[p * kBlockChannels + c], expected) << "pixel " << p << " channel " << c;
      }
    }
  }
};

TEST_P(AccumulateDepthwiseBitsTest, EveryTile) {
  std::uint32_t seed = 100;
  for (const int taps : {1, 2, 9}) {
    for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
      for (const int first : {0, 5, 8}) {
        for (const Edge edge : kEdges) {
          ExpectPlainSums(taps, first, pixels, Outside::kNone, edge, ++seed);
          ExpectPlainSums(taps, first, pixels, Outside::kSome, edge, ++seed);
        }
      }
    }
  }
}

// Counters have four digits: these fill them, and fill them again.
TEST_P(AccumulateDepthwiseBitsTest, ManyTaps) {
  std::uint32_t seed = 500;
  for (const int taps : {14, 15, 16, 29, 30, 31, 45, 46, 299, 301}) {
    ExpectPlainSums(taps, 3, 8, Outside::kNone, Edge::kAfter, ++seed);
    ExpectPlainSums(taps, 0, 7, Outside::kSome, Edge::kBefore, ++seed);
  }
}

TEST_P(AccumulateDepthwiseBitsTest, NoTaps) { ExpectPlainSums(0, 0, 8, Outside::kNone, Edge::kAfter, 600); }

FOR_EACH_KERNEL_SET(AccumulateDepthwiseBitsTest);

}  // namespace
}  // namespace keras_bnn
