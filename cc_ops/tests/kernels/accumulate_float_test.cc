// accumulate_float of every kernel set: the very bits of the sum in the order of the file format.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/rows.h"

namespace keras_bnn {
namespace {

int WeightAt(Word word, int channel) { return (word >> channel) % 2 == 1 ? -1 : 1; }

class AccumulateFloatTest : public KernelSetTest {
 protected:
  // x is [tap][pixel] rows; the kernel is random.
  void ExpectSequentialSums(const std::vector<std::vector<float>>& x, int taps, int pixels, Edge edge, Random* random) {
    const std::size_t channels = x[0].size();
    std::vector<Word> kernel_words(taps * channels);
    for (Word& word : kernel_words) word = random->Bits();
    const GuardedArray<Word> kernel(kernel_words, edge);
    const Rows<float> rows(x, edge);
    GuardedArray<float> acc(pixels * kBlockChannels, edge);

    kernels().accumulate_float(rows.table(), pixels, taps, static_cast<int>(channels), kernel.data(), acc.data());

    for (int p = 0; p < pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        float expected = 0.0f;
        for (int tap = 0; tap < taps; ++tap) {
          const std::vector<float>& row = x[tap * pixels + p];
          const Word* weights = kernel_words.data() + tap * channels;
          for (std::size_t c = 0; c < channels; ++c) expected = PlainStep(expected, row[c], WeightAt(weights[c], o));
        }
        const float found = acc[p * kBlockChannels + o];
        ASSERT_TRUE(SameFloat(found, expected))
            << found << " and not " << expected << ", pixel " << p << " channel " << o;
      }
    }
  }

  void ExpectSequentialSums(int taps, int channels, int pixels, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(channels) + " channels, " + std::to_string(pixels) +
                 " pixels, seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::vector<float>> x;
    for (int i = 0; i < taps * pixels; ++i) x.push_back(random.Floats(channels));
    ExpectSequentialSums(x, taps, pixels, edge, &random);
  }
};

TEST_P(AccumulateFloatTest, EveryNumberOfPixels) {
  std::uint32_t seed = 100;
  for (const int channels : {1, 3, 31, 32, 33, 100}) {
    for (int pixels = 1; pixels <= kernels().tile_pixels; ++pixels) {
      for (const Edge edge : kEdges) ExpectSequentialSums(1, channels, pixels, edge, ++seed);
    }
  }
}

TEST_P(AccumulateFloatTest, ManyTaps) {
  std::uint32_t seed = 200;
  for (const int taps : {2, 9, 25}) {
    for (const int channels : {1, 3, 17}) ExpectSequentialSums(taps, channels, 3, Edge::kAfter, ++seed);
  }
}

TEST_P(AccumulateFloatTest, InfinitiesNansAndSubnormals) {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  Random random(301);
  for (const float special : {kInfinity, -kInfinity, kNan, kTiny, -kTiny, kLargest, -kLargest, -0.0f}) {
    SCOPED_TRACE(special);
    std::vector<std::vector<float>> x;
    for (int i = 0; i < 2 * 3; ++i) {
      x.push_back({random.Float(), special, i % 2 == 0 ? special : random.Float() * 0x1p-126f, random.Float()});
    }
    ExpectSequentialSums(x, 2, 3, Edge::kAfter, &random);
    ExpectSequentialSums({{special, special}, {-special, special}}, 2, 1, Edge::kAfter, &random);
  }
}

// The sum starts from +0.0, so it can never be -0.0.
TEST_P(AccumulateFloatTest, ZerosAddUpToPositiveZero) {
  Random random(302);
  ExpectSequentialSums({{0.0f, -0.0f, 0.0f}, {-0.0f, -0.0f, -0.0f}}, 1, 2, Edge::kAfter, &random);
}

// Guards the tests above: on their data, another order of the sum gives other bits.
TEST(AccumulateFloatDataTest, OrderShowsInTheBits) {
  Random random(303);
  const std::vector<float> x = random.Floats(100);
  float forward = 0.0f;
  float backward = 0.0f;
  for (std::size_t i = 0; i < x.size(); ++i) {
    forward = PlainStep(forward, x[i], 1);
    backward = PlainStep(backward, x[x.size() - 1 - i], 1);
  }
  EXPECT_FALSE(SameFloat(forward, backward));
}

FOR_EACH_KERNEL_SET(AccumulateFloatTest);

}  // namespace
}  // namespace keras_bnn
