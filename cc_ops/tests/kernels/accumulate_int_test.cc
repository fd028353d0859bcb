// accumulate_int8 and accumulate_uint8 of every kernel set against plain sums.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/kernel_set_test.h"
#include "support/random.h"
#include "support/rows.h"

namespace keras_bnn {
namespace {

class AccumulateIntTest : public KernelSetTest {
 protected:
  template <typename X>
  void Accumulate(const Rows<X>& rows, int pixels, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                  std::int32_t* acc) {
    if constexpr (std::is_same_v<X, std::int8_t>) {
      kernels().accumulate_int8(rows.table(), pixels, taps, channels, kernel, zero_point, acc);
    } else {
      kernels().accumulate_uint8(rows.table(), pixels, taps, channels, kernel, zero_point, acc);
    }
  }

  // `low` and `high` are the values that x takes.
  template <typename X>
  void ExpectPlainSums(int taps, int channels, int pixels, int zero_point, int low, int high, Edge edge,
                       std::uint32_t seed) {
    SCOPED_TRACE(std::to_string(taps) + " taps, " + std::to_string(channels) + " channels, " + std::to_string(pixels) +
                 " pixels, zero point " + std::to_string(zero_point) + ", seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::vector<X>> x(taps * pixels);
    for (std::vector<X>& row : x) {
      for (int c = 0; c < channels; ++c) row.push_back(static_cast<X>(random.Int(low, high)));
    }
    std::vector<Word> kernel_words(taps * channels);
    for (Word& word : kernel_words) word = (random.Bits() | 1u) & ~Word{2};  // channel 0 is all -1, channel 1 all +1
    const GuardedArray<Word> kernel(kernel_words, edge);
    const Rows<X> rows(x, edge);
    GuardedArray<std::int32_t> acc(pixels * kBlockChannels, edge);

    Accumulate(rows, pixels, taps, channels, kernel.data(), zero_point, acc.data());

    for (int p = 0; p < pixels; ++p) {
      for (int o = 0; o < kBlockChannels; ++o) {
        std::int32_t expected = 0;
        for (int tap = 0; tap < taps; ++tap) {
          for (int c = 0; c < channels; ++c) {
            const int weight = (kernel_words[tap * channels + c] >> o) % 2 == 1 ? -1 : 1;
            const int q = x[tap * pixels + p][c];
            expected += (q - zero_point) * weight;
          }
        }
        ASSERT_EQ(acc[p * kBlockChannels + o], expected) << "pixel " << p << " channel " << o;
      }
    }
  }

  template <typename X>
  void ExpectPlainSumsOfAllShapes() {
    constexpr int kLow = std::numeric_limits<X>::min();
    constexpr int kHigh = std::numeric_limits<X>::max();
    std::uint32_t seed = 100;
    for (const int channels : {1, 3, 31, 33, 65}) {
      for (int pixels = 1; pixels <= kernels().tile_pixels; ++pixels) {
        for (const Edge edge : kEdges)
          ExpectPlainSums<X>(1, channels, pixels, kLow + 3 * pixels, kLow, kHigh, edge, ++seed);
      }
    }
    for (const int taps : {2, 9}) {
      for (const int zero_point : {kLow, kLow + 128, kHigh}) {
        ExpectPlainSums<X>(taps, 5, 3, zero_point, kLow, kHigh, Edge::kAfter, ++seed);
        ExpectPlainSums<X>(taps, 300, 2, zero_point, kLow, kLow, Edge::kAfter, ++seed);  // the largest sums
        ExpectPlainSums<X>(taps, 300, 2, zero_point, kHigh, kHigh, Edge::kAfter, ++seed);
      }
    }
  }
};

TEST_P(AccumulateIntTest, Int8) { ExpectPlainSumsOfAllShapes<std::int8_t>(); }

TEST_P(AccumulateIntTest, UInt8) { ExpectPlainSumsOfAllShapes<std::uint8_t>(); }

FOR_EACH_KERNEL_SET(AccumulateIntTest);

}  // namespace
}  // namespace keras_bnn
