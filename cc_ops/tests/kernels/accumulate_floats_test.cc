// Sums of float32 x of every kernel set: the very bits of the sum in the order of the file format.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"
#include "support/real_rows.h"

namespace keras_bnn {
namespace {

int WeightAt(Word word, int channel) { return (word >> channel) % 2 == 1 ? -1 : 1; }

class AccumulateFloatsTest : public KernelSetTest {
 protected:
  // The kernel is random; `start` has values for the 32 channels, or for those of each pixel.
  void ExpectSequentialSums(const RealShape& shape, const std::vector<float>& x, const std::vector<float>& start,
                            Edge edge, Random* random) {
    std::vector<Word> kernel(shape.rows * shape.length);
    for (Word& word : kernel) word = random->Bits();
    const std::vector<float> acc = Accumulate(kernels().floats, shape, x, kernel, start, edge);
    for (int p = 0; p < shape.pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        const int lane = p * kBlockChannels + o;
        float expected = start[lane % start.size()];
        for (int row = 0; row < shape.rows; ++row) {
          const float* values = x.data() + row * shape.row_values() + shape.first + p * shape.step;
          const Word* words = kernel.data() + row * shape.length;
          for (int i = 0; i < shape.length; ++i) expected = PlainStep(expected, values[i], WeightAt(words[i], o));
        }
        ASSERT_TRUE(SameFloat(acc[lane], expected))
            << acc[lane] << " and not " << expected << ", pixel " << p << " channel " << o;
      }
    }
  }

  void ExpectSequentialSums(const RealShape& shape, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(shape.rows) + " rows of " + std::to_string(shape.length) + ", " +
                 std::to_string(shape.pixels) + " pixels, step " + std::to_string(shape.step) + ", seed " +
                 std::to_string(seed));
    Random random(seed);
    const std::vector<float> x = random.Floats(shape.rows * shape.row_values());
    const std::vector<float> start = random.Floats(kBlockChannels * (random.OneIn(2) ? 1 : shape.pixels));
    ExpectSequentialSums(shape, x, start, edge, &random);
  }

  const std::vector<float> zeros_ = std::vector<float>(kBlockChannels, 0.0f);
};

TEST_P(AccumulateFloatsTest, EveryNumberOfPixels) {
  std::uint32_t seed = 100;
  for (const int length : {1, 3, 4, 9, 33}) {
    for (int pixels = 1; pixels <= 20; ++pixels) {
      for (const Edge edge : kEdges) ExpectSequentialSums({1, length, 0, length, pixels}, edge, ++seed);
    }
  }
}

TEST_P(AccumulateFloatsTest, RowsAndSteps) {
  std::uint32_t seed = 200;
  for (const int rows : {2, 3, 7}) {
    for (const int length : {1, 2, 3, 5, 9, 64}) {
      for (const int step : {1, 3, length + 2}) {
        for (const Edge edge : kEdges)
          ExpectSequentialSums({rows, length, seed % 4 == 0 ? 5 : 0, step, 9}, edge, ++seed);
      }
    }
  }
}

TEST_P(AccumulateFloatsTest, InfinitiesNansAndSubnormals) {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  Random random(301);
  for (const float special : {kInfinity, -kInfinity, kNan, kTiny, -kTiny, kLargest, -kLargest, -0.0f}) {
    SCOPED_TRACE(special);
    std::vector<float> x;
    for (int i = 0; i < 2 * 3; ++i) {
      for (const float value :
           {random.Float(), special, i % 2 == 0 ? special : random.Float() * 0x1p-126f, random.Float()}) {
        x.push_back(value);
      }
    }
    ExpectSequentialSums({2, 4, 0, 4, 3}, x, zeros_, Edge::kAfter, &random);
    ExpectSequentialSums({2, 2, 0, 2, 1}, {special, special, -special, special}, zeros_, Edge::kAfter, &random);
  }
}

// The sum starts from +0.0, so it can never be -0.0.
TEST_P(AccumulateFloatsTest, ZerosAddUpToPositiveZero) {
  Random random(302);
  ExpectSequentialSums({1, 3, 0, 3, 2}, {0.0f, -0.0f, 0.0f, -0.0f, -0.0f, -0.0f}, zeros_, Edge::kAfter, &random);
}

// Guards the tests above: on their data, another order of the sum gives other bits.
TEST(AccumulateFloatsDataTest, OrderShowsInTheBits) {
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

FOR_EACH_KERNEL_SET(AccumulateFloatsTest);

}  // namespace
}  // namespace keras_bnn
