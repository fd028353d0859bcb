// The functions of every kernel set that count the bits of a BinaryTile, against sums of products of +1 and -1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/packed_kernel.h"
#include "support/guarded_array.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/rows.h"

namespace keras_bnn {
namespace {

constexpr Range kRanges[] = {kNoActivation, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};
constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
constexpr float kUntouched = -12345.0f;
constexpr Word kUntouchedWord = 0xdeadbeef;

class BinaryTileTest : public KernelSetTest {
 protected:
  // Compares all functions on random x and kernel of `taps` taps with `channels` channels each.
  void ExpectPlainOutputs(int taps, int channels, int pixels, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(channels) + " channels, " + std::to_string(pixels) +
                 " pixels, seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::vector<int>> x_signs;  // [tap][pixel] rows
    std::vector<std::vector<Word>> x_words;
    for (int i = 0; i < taps * pixels; ++i) {
      // Pixel 0 is -1 throughout: with the constant channels below, the counts reach both ends of their range.
      x_signs.push_back(i % pixels == 0 ? std::vector<int>(channels, -1) : random.Signs(channels));
      x_words.push_back(PackSigns(x_signs.back(), channels));
    }
    std::vector<int> kernel_signs;  // [output channel], rows of all taps
    for (int o = 0; o < kBlockChannels; ++o) {
      const std::vector<int> row = KernelRow(&random, o, taps * channels);
      kernel_signs.insert(kernel_signs.end(), row.begin(), row.end());
    }
    const KernelShape shape = {1, kBlockChannels, taps, WordsFor(channels), channels};
    const std::vector<Word> weights = PackSigns(kernel_signs, channels);
    const GuardedArray<Word> kernel(PackForBits(kernels(), weights.data(), shape), edge);
    const Rows<Word> rows(x_words, pixels, kMaxTilePixels, edge);
    std::vector<int> counts;  // [pixel][output channel]
    for (int p = 0; p < pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        int count = 0;
        for (int i = 0; i < taps * channels; ++i) {
          const int product = x_signs[i / channels * pixels + p][i % channels] * kernel_signs[o * taps * channels + i];
          count += product < 0 ? 1 : 0;
        }
        counts.push_back(count);
      }
    }

    // Two rows of values, the second for every third pixel.
    GuardedArray<std::int32_t> values(2 * kBlockChannels, edge);
    GuardedArray<int> value_rows(pixels, edge);
    for (int p = 0; p < pixels; ++p) value_rows[p] = p % 3 == 2 ? kBlockChannels : 0;
    const BinaryTile tile = {rows.table(),  pixels,           taps, WordsFor(channels), kernel.data(),
                             values.data(), value_rows.data()};
    for (std::int32_t& value : values) value = taps * channels + random.Int(-9, 9);
    ExpectSums(tile, counts, edge);
    ExpectFloats(tile, counts, edge, &random);
    for (std::int32_t& value : values) value = taps * channels / 2 + random.Int(-3, 3);
    values[0] = taps * channels;      // the most that a count can be
    values[1] = taps * channels - 1;  // one less
    values[2] = kMax;
    values[3] = kMin;
    values[4] = -1;
    values[5] = 0;
    ExpectComparisons(tile, counts, edge);
  }

 private:
  void ExpectSums(const BinaryTile& tile, const std::vector<int>& counts, Edge edge) {
    GuardedArray<std::int32_t> acc(tile.pixels * kBlockChannels, edge);
    kernels().accumulate_bits(tile, acc.data());
    for (std::size_t i = 0; i < acc.size(); ++i) {
      ASSERT_EQ(acc[i], ValueAt(tile, i) - 2 * counts[i]) << "pixel " << i / 32 << " channel " << i % 32;
    }
  }

  void ExpectFloats(const BinaryTile& tile, const std::vector<int>& counts, Edge edge, Random* random) {
    const GuardedArray<float> multiplier(random->Floats(kBlockChannels), edge);
    const GuardedArray<float> bias(random->Floats(kBlockChannels), edge);
    const Range pre = kRanges[random->Int(0, 3)], post = kRanges[random->Int(0, 3)];
    const FloatTransform transform = {multiplier.data(), bias.data(), pre.low, pre.high, post.low, post.high};
    for (const int channels : {kBlockChannels, random->Int(1, kBlockChannels - 1)}) {
      const int stride = channels + random->Int(0, 2) * 5;
      GuardedArray<float> y((tile.pixels - 1) * stride + channels, edge);
      std::fill(y.begin(), y.end(), kUntouched);
      kernels().floats_from_bits(tile, channels, transform, y.data(), stride);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t channel = i % stride;
        float expected = kUntouched;
        if (channel < static_cast<std::size_t>(channels)) {
          const std::size_t at = i / stride * kBlockChannels + channel;
          const std::int32_t sum = ValueAt(tile, at) - 2 * counts[at];
          expected = PlainTransform(sum, multiplier[channel], bias[channel], pre, post);
        }
        ASSERT_TRUE(SameFloat(y[i], expected)) << y[i] << " and not " << expected << ", " << channels << " channels, "
                                               << "pixel " << i / stride << " channel " << channel;
      }
    }
  }

  void ExpectComparisons(const BinaryTile& tile, const std::vector<int>& counts, Edge edge) {
    for (const std::size_t stride : {1, 3}) {
      GuardedArray<Word> words((tile.pixels - 1) * stride + 1, edge);
      std::fill(words.begin(), words.end(), kUntouchedWord);
      kernels().compare_bits(tile, words.data(), static_cast<std::int64_t>(stride));
      for (std::size_t i = 0; i < words.size() * kBlockChannels; ++i) {
        const std::size_t word = i / kBlockChannels, channel = i % kBlockChannels;
        if (word % stride != 0) {
          ASSERT_EQ(words[word], kUntouchedWord);
          continue;
        }
        const std::size_t at = word / stride * kBlockChannels + channel;
        ASSERT_EQ((words[word] >> channel) & 1u, counts[at] > ValueAt(tile, at) ? 1u : 0u)
            << "pixel " << word / stride << " channel " << channel << ": count " << counts[at] << ", value "
            << ValueAt(tile, at);
      }
    }
  }

  static std::int32_t ValueAt(const BinaryTile& tile, std::size_t i) {
    return tile.values[tile.value_rows[i / kBlockChannels] + i % kBlockChannels];
  }

  // Channels 0 and 1 are constant.
  static std::vector<int> KernelRow(Random* random, int o, int size) {
    if (o < 2) return std::vector<int>(size, o == 0 ? 1 : -1);
    return random->Signs(size);
  }
};

TEST_P(BinaryTileTest, OneTapOfEveryWidth) {
  std::uint32_t seed = 100;
  for (const int channels : {1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513}) {
    for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
      for (const Edge edge : kEdges) ExpectPlainOutputs(1, channels, pixels, edge, ++seed);
    }
  }
}

TEST_P(BinaryTileTest, ManyTaps) {
  std::uint32_t seed = 200;
  for (const int taps : {2, 3, 9, 30, 31, 32, 33, 63}) {
    for (const int channels : {1, 32, 33, 64, 96, 128, 256}) {
      for (const int pixels : {1, kMaxTilePixels}) ExpectPlainOutputs(taps, channels, pixels, Edge::kAfter, ++seed);
    }
  }
}

// Sets that take more than kMaxTilePixels have a table of rows for each of so many pixels.
TEST_P(BinaryTileTest, ManyPixels) {
  std::uint32_t seed = 250;
  for (int pixels = kMaxTilePixels; pixels <= kernels().binary_pixels; ++pixels) {
    for (const auto& [taps, channels] : {std::pair{3, 33}, {9, 64}, {1, 600}}) {
      ExpectPlainOutputs(taps, channels, pixels, Edge::kAfter, ++seed);
    }
  }
}

// Sets that count in bytes must move on to wider sums in time, wherever that falls among the taps.
TEST_P(BinaryTileTest, RunsOfWordsAcrossTaps) {
  std::uint32_t seed = 300;
  for (const int words : {5, 6, 7, 8, 12, 14, 15, 16, 24, 30, 31, 32, 36, 48, 62, 63, 95}) {
    for (const int taps : {1, 2, 3, 6}) {
      ExpectPlainOutputs(taps, words * kWordBits - 7 * (words % 2), 2, Edge::kAfter, ++seed);
    }
  }
}

// The largest counts: counters of 8 and 16 bits must be emptied in time, wherever they are full among the taps.
TEST_P(BinaryTileTest, AllDifferent) {
  constexpr int kShapes[][2] = {{1, 7},    {1, 8},    {1, 31},   {1, 32},   {1, 100},  {3, 32},  {1, 1023},
                                {1, 1024}, {1, 2049}, {231, 4},  {232, 4},  {495, 2},  {496, 2}, {520, 4},
                                {1100, 2}, {1024, 1}, {2050, 1}, {129, 16}, {127, 8},  {128, 8}, {1030, 2},
                                {1, 2112}, {4, 528},  {700, 3},  {1, 2040}, {1, 2048}, {1, 4200}};
  for (const auto& [taps, words] : kShapes) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(words) + " words");
    const std::vector<Word> x(words, ~Word{0});
    const std::vector<Word> kernel(static_cast<std::size_t>(taps) * words * kBlockChannels, 0);
    const int bits = taps * words * kWordBits;
    const std::vector<const Word*> rows(static_cast<std::size_t>(taps) * kMaxTilePixels, x.data());
    constexpr int kValueRows[kMaxTilePixels] = {};
    for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
      std::vector<std::int32_t> values(kBlockChannels, bits);
      const BinaryTile tile = {rows.data(), pixels, taps, words, kernel.data(), values.data(), kValueRows};
      std::vector<std::int32_t> acc(static_cast<std::size_t>(pixels) * kBlockChannels);
      kernels().accumulate_bits(tile, acc.data());
      for (const std::int32_t sum : acc) ASSERT_EQ(sum, -bits);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = bits - static_cast<int>(i % 2);
      Word signs[kMaxTilePixels];
      kernels().compare_bits(tile, signs, 1);
      for (int p = 0; p < pixels; ++p) ASSERT_EQ(signs[p], 0xaaaaaaaau);
    }
  }
}

// A fused multiply-add would keep the bits of the product that the product's own rounding drops.
TEST_P(BinaryTileTest, ProductAndSumOfFloatsRoundSeparately) {
  const Word x = 0;
  const std::vector<Word> kernel(kBlockChannels, 0);
  const std::vector<const Word*> rows(kMaxTilePixels, &x);
  constexpr int kValueRows[kMaxTilePixels] = {};
  const std::vector<std::int32_t> values(kBlockChannels, (1 << 12) + 1);
  const std::vector<float> multiplier(kBlockChannels, 4097.0f);
  const std::vector<float> bias(kBlockChannels, -16785408.0f);  // the product is 16785409, which rounds to 16785408
  const FloatTransform transform = {multiplier.data(), bias.data(), -kInfinity, kInfinity, -kInfinity, kInfinity};
  for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
    const BinaryTile tile = {rows.data(), pixels, 1, 1, kernel.data(), values.data(), kValueRows};
    float y[kMaxTilePixels * kBlockChannels];
    kernels().floats_from_bits(tile, kBlockChannels, transform, y, kBlockChannels);
    for (int i = 0; i < pixels * kBlockChannels; ++i) ASSERT_EQ(y[i], 0.0f);
  }
}

// Clamping keeps a NaN and a -0.0 that lies at its limit.
TEST_P(BinaryTileTest, ZerosInfinitiesAndNansOfFloats) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const float kSpecials[] = {0.0f, -0.0f, kInfinity, -kInfinity, kNan, 1.0f, -1.0f, 0x1p-149f, 3.0e38f, -6.5f};
  Random random(401);
  const Word x = 0;
  const std::vector<Word> kernel(kBlockChannels, 0);
  const std::vector<const Word*> rows(kMaxTilePixels, &x);
  constexpr int kValueRows[kMaxTilePixels] = {};
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE("seed 401, round " + std::to_string(round));
    std::vector<std::int32_t> values = random.Ints(kBlockChannels, -1, 1);
    values[0] = kMin;
    values[1] = kMax;
    values[2] = (1 << 24) + 1;  // halfway between two floats
    std::vector<float> multiplier, bias;
    for (int i = 0; i < kBlockChannels; ++i) {
      multiplier.push_back(kSpecials[random.Int(0, 9)]);
      bias.push_back(kSpecials[random.Int(0, 9)]);
    }
    const Range pre = kRanges[round % 4], post = kRanges[round / 4 % 4];
    const FloatTransform transform = {multiplier.data(), bias.data(), pre.low, pre.high, post.low, post.high};
    const BinaryTile tile = {rows.data(), 2, 1, 1, kernel.data(), values.data(), kValueRows};
    float y[2 * kBlockChannels];
    kernels().floats_from_bits(tile, kBlockChannels, transform, y, kBlockChannels);
    for (int i = 0; i < 2 * kBlockChannels; ++i) {
      const int c = i % kBlockChannels;
      const float expected = PlainTransform(values[c], multiplier[c], bias[c], pre, post);
      ASSERT_TRUE(SameFloat(y[i], expected)) << y[i] << " and not " << expected << ", value " << values[c];
    }
  }
}

FOR_EACH_KERNEL_SET(BinaryTileTest);

}  // namespace
}  // namespace keras_bnn
