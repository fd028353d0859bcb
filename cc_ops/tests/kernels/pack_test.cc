// pack_float, pack_int8 and pack_scaled of every kernel set.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/guarded_array.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

class PackTest : public KernelSetTest {
 protected:
  // Bit c of the words is expected[c]; unused bits are 0.
  static void ExpectBits(const GuardedArray<Word>& words, const std::vector<bool>& expected) {
    for (std::size_t bit = 0; bit < words.size() * kWordBits; ++bit) {
      const bool wanted = bit < expected.size() && expected[bit];
      ASSERT_EQ((words[bit / kWordBits] >> (bit % kWordBits)) & 1u, wanted ? 1u : 0u) << "bit " << bit;
    }
  }

  void ExpectSignsOf(const std::vector<float>& x, Edge edge) {
    const GuardedArray<float> row(x, edge);
    GuardedArray<Word> words(WordsFor(static_cast<int>(x.size())), edge);
    std::fill(words.begin(), words.end(), ~Word{0});
    kernels().pack_float(row.data(), static_cast<int>(x.size()), words.data());
    std::vector<bool> expected;
    for (const float value : x) expected.push_back(value < 0.0f);
    ExpectBits(words, expected);
  }
};

constexpr int kChannels[] = {1,  2,  7,  8,   15,  16,  17,  31,  32,  33,  47,  63,
                             64, 65, 96, 127, 128, 129, 255, 256, 257, 511, 513, 5003};

TEST_P(PackTest, FloatOfEveryWidth) {
  std::uint32_t seed = 100;
  for (const int channels : kChannels) {
    for (const Edge edge : kEdges) {
      Random random(++seed);
      SCOPED_TRACE(std::to_string(channels) + " channels, seed " + std::to_string(seed));
      ExpectSignsOf(random.Floats(channels), edge);
    }
  }
}

using Limits = std::numeric_limits<float>;
const std::vector<float> kSpecials = {0.0f,
                                      -0.0f,
                                      Limits::quiet_NaN(),
                                      -Limits::quiet_NaN(),
                                      Limits::infinity(),
                                      -Limits::infinity(),
                                      Limits::denorm_min(),
                                      -Limits::denorm_min(),
                                      Limits::min() / 2,
                                      -Limits::min() / 2,
                                      Limits::max(),
                                      Limits::lowest()};

TEST_P(PackTest, FloatZerosNansSubnormalsInfinities) {
  const std::uint32_t expected = 1u << 5 | 1u << 7 | 1u << 9 | 1u << 11;
  Word word = 0;
  kernels().pack_float(kSpecials.data(), static_cast<int>(kSpecials.size()), &word);
  EXPECT_EQ(word, expected);
  for (std::size_t channels = 1; channels <= 70; ++channels) {  // each one at every place of a vector
    std::vector<float> x;
    for (std::size_t c = 0; c < channels; ++c) x.push_back(kSpecials[(c * 5 + channels) % kSpecials.size()]);
    ExpectSignsOf(x, Edge::kAfter);
  }
}

TEST_P(PackTest, FloatSpecialAtEveryPlaceOfALongRow) {
  constexpr int kRow = 300;
  Random random(150);
  std::vector<float> plain;
  for (int c = 0; c < kRow; ++c) plain.push_back(random.OneIn(2) ? -1.5f : 0.25f);
  ExpectSignsOf(plain, Edge::kAfter);
  std::vector<Word> expected(WordsFor(kRow));
  for (int c = 0; c < kRow; ++c) expected[c / kWordBits] |= Word{plain[c] < 0.0f} << (c % kWordBits);
  for (const float special : kSpecials) {
    for (int c = 0; c < kRow; ++c) {
      std::vector<float> x = plain;
      x[c] = special;
      std::vector<Word> words(WordsFor(kRow));
      kernels().pack_float(x.data(), kRow, words.data());
      std::vector<Word> wanted = expected;
      wanted[c / kWordBits] &= ~(Word{1} << (c % kWordBits));
      wanted[c / kWordBits] |= Word{special < 0.0f} << (c % kWordBits);
      ASSERT_EQ(words, wanted) << special << " at " << c;
    }
  }
}

TEST_P(PackTest, Int8OfEveryWidthAndZeroPoint) {
  std::uint32_t seed = 200;
  for (const int channels : kChannels) {
    for (const int zero_point : {-128, -127, -1, 0, 1, 5, 127}) {
      for (const Edge edge : kEdges) {
        Random random(++seed);
        SCOPED_TRACE(std::to_string(channels) + " channels, zero point " + std::to_string(zero_point) + ", seed " +
                     std::to_string(seed));
        std::vector<std::int8_t> x;
        std::vector<bool> expected;
        for (int c = 0; c < channels; ++c) {
          const int near = std::min(127, std::max(-128, zero_point + random.Int(-1, 1)));
          x.push_back(static_cast<std::int8_t>(random.OneIn(2) ? near : random.Int(-128, 127)));
          expected.push_back(x.back() < zero_point);
        }
        const GuardedArray<std::int8_t> row(x, edge);
        GuardedArray<Word> words(WordsFor(channels), edge);
        std::fill(words.begin(), words.end(), ~Word{0});
        kernels().pack_int8(row.data(), channels, zero_point, words.data());
        ExpectBits(words, expected);
      }
    }
  }
}

TEST_P(PackTest, ScaledOfEveryWidth) {
  std::uint32_t seed = 300;
  for (const int channels : kChannels) {
    for (const Edge edge : kEdges) {
      Random random(++seed);
      SCOPED_TRACE(std::to_string(channels) + " channels, seed " + std::to_string(seed));
      std::vector<float> x = random.Floats(channels);
      std::vector<float> multiplier = random.Floats(channels);
      std::vector<float> bias = random.Floats(channels);
      const int at = random.Int(0, channels - 1);
      x[at] = 4097.0f;
      multiplier[at] = -4097.0f;
      bias[at] = 16785408.0f;  // the product is -16785409, which rounds to -16785408
      std::vector<bool> expected;
      for (int c = 0; c < channels; ++c) {
        expected.push_back(PlainTransform(x[c], multiplier[c], bias[c], kNoActivation, kNoActivation) < 0.0f);
      }
      const GuardedArray<float> row(x, edge);
      const GuardedArray<float> multipliers(multiplier, edge);
      const GuardedArray<float> biases(bias, edge);
      GuardedArray<Word> words(WordsFor(channels), edge);
      std::fill(words.begin(), words.end(), ~Word{0});
      kernels().pack_scaled(row.data(), channels, multipliers.data(), biases.data(), words.data());
      ExpectBits(words, expected);
    }
  }
}

FOR_EACH_KERNEL_SET(PackTest);

}  // namespace
}  // namespace keras_bnn
