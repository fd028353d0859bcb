// accumulate_bits of every kernel set against sums of products of +1 and -1.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/rows.h"

namespace keras_bnn {
namespace {

class AccumulateBitsTest : public KernelSetTest {
 protected:
  // Compares one call on random x and kernel of `taps` taps with `channels` channels each.
  void ExpectPlainSums(int taps, int channels, int pixels, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(channels) + " channels, " + std::to_string(pixels) +
                 " pixels, seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::vector<int>> x_signs;  // [tap][pixel] rows
    std::vector<std::vector<Word>> x_words;
    for (int i = 0; i < taps * pixels; ++i) {
      // Pixel 0 is -1 throughout: with the constant channels below, the sums reach both ends of their range.
      x_signs.push_back(i % pixels == 0 ? std::vector<int>(channels, -1) : random.Signs(channels));
      x_words.push_back(PackSigns(x_signs.back(), channels));
    }
    std::vector<std::vector<int>> kernel_signs;  // [output channel], rows of all taps
    for (int o = 0; o < kBlockChannels; ++o) kernel_signs.push_back(KernelRow(&random, o, taps * channels));
    const GuardedArray<Word> kernel(PackKernel(kernel_signs, channels), edge);
    const Rows<Word> rows(x_words, edge);
    GuardedArray<std::int32_t> acc(pixels * kBlockChannels, edge);

    kernels().accumulate_bits(rows.table(), pixels, taps, WordsFor(channels), kernel.data(), taps * channels,
                              acc.data());

    for (int p = 0; p < pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        std::int32_t expected = 0;
        for (int tap = 0; tap < taps; ++tap) {
          const int* x = x_signs[tap * pixels + p].data();
          const int* w = kernel_signs[o].data() + tap * channels;
          for (int c = 0; c < channels; ++c) expected += x[c] * w[c];
        }
        ASSERT_EQ(acc[p * kBlockChannels + o], expected) << "pixel " << p << " channel " << o;
      }
    }
  }

 private:
  // Channels 0 and 1 are constant.
  static std::vector<int> KernelRow(Random* random, int o, int size) {
    if (o < 2) return std::vector<int>(size, o == 0 ? 1 : -1);
    return random->Signs(size);
  }

  // [output channel][tap][word] to [tap][word][output channel].
  static std::vector<Word> PackKernel(const std::vector<std::vector<int>>& signs, int channels) {
    const std::size_t words = PackSigns(signs[0], channels).size();
    std::vector<Word> kernel(words * kBlockChannels);
    for (std::size_t o = 0; o < kBlockChannels; ++o) {
      const std::vector<Word> row = PackSigns(signs[o], channels);
      for (std::size_t w = 0; w < words; ++w) kernel[w * kBlockChannels + o] = row[w];
    }
    return kernel;
  }
};

TEST_P(AccumulateBitsTest, OneTapOfEveryWidth) {
  std::uint32_t seed = 100;
  for (const int channels : {1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513}) {
    for (int pixels = 1; pixels <= kernels().tile_pixels; ++pixels) {
      for (const Edge edge : kEdges) ExpectPlainSums(1, channels, pixels, edge, ++seed);
    }
  }
}

TEST_P(AccumulateBitsTest, ManyTaps) {
  std::uint32_t seed = 200;
  for (const int taps : {2, 3, 9, 30, 31, 32, 33, 63}) {
    for (const int channels : {1, 32, 33, 96, 128, 256}) {
      for (const int pixels : {1, kernels().tile_pixels}) ExpectPlainSums(taps, channels, pixels, Edge::kAfter, ++seed);
    }
  }
}

// Sets that count in bytes must move on to wider sums after at most 31 words, wherever these fall among the taps.
TEST_P(AccumulateBitsTest, RunsOfWordsAcrossTaps) {
  std::uint32_t seed = 300;
  for (const int words : {5, 15, 16, 30, 31, 32, 62, 63, 95}) {
    for (const int taps : {1, 2, 3})
      ExpectPlainSums(taps, words * kWordBits - 7 * (words % 2), 2, Edge::kAfter, ++seed);
  }
}

// The largest sums: counters of 8 and 16 bits must be emptied in time, wherever they are full among the taps.
TEST_P(AccumulateBitsTest, AllDifferent) {
  constexpr int kShapes[][2] = {{1, 31},  {1, 32},  {1, 100},  {3, 32},   {1, 1023}, {1, 1024}, {1, 2049}, {231, 4},
                                {232, 4}, {495, 2}, {496, 2},  {520, 4},  {1100, 2}, {1024, 1}, {2050, 1}, {129, 16},
                                {127, 8}, {128, 8}, {1030, 2}, {1, 2112}, {4, 528},  {700, 3}};
  for (const auto& [taps, words] : kShapes) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(words) + " words");
    const std::vector<Word> x(words, ~Word{0});
    const std::vector<Word> kernel(static_cast<std::size_t>(taps) * words * kBlockChannels, 0);
    const int bits = taps * words * kWordBits;
    for (const int pixels : {1, 2, kernels().tile_pixels}) {
      const std::vector<const Word*> rows(static_cast<std::size_t>(taps) * pixels, x.data());
      std::vector<std::int32_t> acc(static_cast<std::size_t>(pixels) * kBlockChannels);
      kernels().accumulate_bits(rows.data(), pixels, taps, words, kernel.data(), bits, acc.data());
      for (const std::int32_t sum : acc) ASSERT_EQ(sum, -bits);
    }
  }
}

FOR_EACH_KERNEL_SET(AccumulateBitsTest);

}  // namespace
}  // namespace keras_bnn
