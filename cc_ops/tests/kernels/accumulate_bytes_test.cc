// Sums of 8-bit x of every kernel set against plain sums.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/kernel_set_test.h"
#include "support/random.h"
#include "support/real_rows.h"

namespace keras_bnn {
namespace {

class AccumulateBytesTest : public KernelSetTest {
 protected:
  // `low` and `high` are the values that x takes.
  void ExpectPlainSums(const RealShape& shape, int low, int high, Edge edge, std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(shape.rows) + " rows of " + std::to_string(shape.length) + ", " +
                 std::to_string(shape.pixels) + " pixels, step " + std::to_string(shape.step) + ", seed " +
                 std::to_string(seed));
    Random random(seed);
    std::vector<std::uint8_t> x;
    for (int i = 0; i < shape.rows * shape.row_values(); ++i) {
      x.push_back(static_cast<std::uint8_t>(random.Int(low, high)));
    }
    std::vector<Word> kernel(shape.rows * shape.length);
    for (Word& word : kernel) word = (random.Bits() | 1u) & ~Word{2};  // channel 0 is all -1, channel 1 all +1
    const std::vector<std::int32_t> start =
        random.Ints(kBlockChannels * (random.OneIn(2) ? 1 : shape.pixels), -1000, 1000);
    const std::vector<std::int32_t> acc = Accumulate(kernels().bytes, shape, x, kernel, start, edge);

    for (int p = 0; p < shape.pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        const int lane = p * kBlockChannels + o;
        std::int32_t expected = start[lane % start.size()];
        for (int row = 0; row < shape.rows; ++row) {
          for (int i = 0; i < shape.length; ++i) {
            const bool negative = (kernel[row * shape.length + i] >> o) % 2 == 1;
            const int value = x[row * shape.row_values() + shape.first + p * shape.step + i];
            expected += negative ? kernels().bytes.excess - value : value;
          }
        }
        ASSERT_EQ(acc[lane], expected) << "pixel " << p << " channel " << o;
      }
    }
  }
};

TEST_P(AccumulateBytesTest, EveryNumberOfPixels) {
  std::uint32_t seed = 100;
  for (const int length : {1, 2, 3, 4, 9, 33}) {
    for (int pixels = 1; pixels <= 20; ++pixels) {
      for (const Edge edge : kEdges) ExpectPlainSums({1, length, 0, length, pixels}, 0, 255, edge, ++seed);
    }
  }
}

TEST_P(AccumulateBytesTest, RowsAndSteps) {
  std::uint32_t seed = 200;
  for (const int rows : {2, 3, 7}) {
    for (const int length : {1, 2, 3, 5, 9, 64}) {
      for (const int step : {1, 3, length + 2}) {
        for (const Edge edge : kEdges)
          ExpectPlainSums({rows, length, seed % 4 == 0 ? 5 : 0, step, 9}, 0, 255, edge, ++seed);
      }
    }
  }
}

// Counters of 16 bits are emptied in time.
TEST_P(AccumulateBytesTest, LargestSums) {
  std::uint32_t seed = 400;
  for (const int length : {255, 256, 257, 258, 259, 1000, 1023}) {
    for (const int value : {0, 255}) {
      ExpectPlainSums({1, length, 0, length, 3}, value, value, Edge::kAfter, ++seed);
      ExpectPlainSums({3, length, 0, 1, 2}, value, value, Edge::kAfter, ++seed);
    }
  }
  for (const int rows : {64, 65, 128, 129, 257}) {
    for (const int length : {1, 2, 3, 5}) ExpectPlainSums({rows, length, 0, 1, 2}, 255, 255, Edge::kAfter, ++seed);
  }
}

FOR_EACH_KERNEL_SET(AccumulateBytesTest);

}  // namespace
}  // namespace keras_bnn
