// bits_from_int and bits_from_float of every kernel set.
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

constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
constexpr Word kUntouched = 0xdeadbeef;

class BitsFromTest : public KernelSetTest {};

TEST_P(BitsFromTest, IntIsBelowThreshold) {
  std::uint32_t seed = 100;
  for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
    for (const std::size_t stride : {1, 2, 5}) {
      for (const Edge edge : kEdges) {
        Random random(++seed);
        SCOPED_TRACE(std::to_string(pixels) + " pixels, stride " + std::to_string(stride) + ", seed " +
                     std::to_string(seed));
        GuardedArray<std::int32_t> acc(pixels * kBlockChannels, edge);
        GuardedArray<std::int32_t> thresholds(kBlockChannels, edge);
        for (std::int32_t& threshold : thresholds) threshold = random.Int(-3, 3);
        thresholds[3] = kMin;  // always +1
        thresholds[4] = kMax;  // always -1
        for (std::int32_t& a : acc) a = random.OneIn(10) ? random.Int(kMin, kMax) : random.Int(-4, 4);
        acc[3] = kMin;
        acc[4] = kMax - 1;
        GuardedArray<Word> words((pixels - 1) * stride + 1, edge);
        std::fill(words.begin(), words.end(), kUntouched);

        kernels().bits_from_int(acc.data(), pixels, thresholds.data(), words.data(), static_cast<std::int64_t>(stride));

        for (std::size_t i = 0; i < words.size(); ++i) {
          if (i % stride != 0) {
            ASSERT_EQ(words[i], kUntouched) << "word " << i;
            continue;
          }
          for (std::size_t c = 0; c < kBlockChannels; ++c) {
            const std::int32_t a = acc[i / stride * kBlockChannels + c];
            ASSERT_EQ((words[i] >> c) & 1u, a < thresholds[c] ? 1u : 0u) << "channel " << c << ", acc " << a;
          }
        }
      }
    }
  }
}

TEST_P(BitsFromTest, FloatIsBelowZero) {
  constexpr Range kRanges[] = {kNoActivation, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const float kSpecials[] = {0.0f, -0.0f, kInfinity, -kInfinity, kNan, 0x1p-149f, -0x1p-149f, -1.0f};
  std::uint32_t seed = 200;
  for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
    for (const Edge edge : kEdges) {
      for (int round = 0; round < 8; ++round) {
        Random random(++seed);
        SCOPED_TRACE(std::to_string(pixels) + " pixels, seed " + std::to_string(seed));
        const auto any = [&] { return random.OneIn(4) ? kSpecials[random.Int(0, 7)] : random.Float(); };
        GuardedArray<float> acc(pixels * kBlockChannels, edge);
        GuardedArray<float> multiplier(kBlockChannels, edge);
        GuardedArray<float> bias(kBlockChannels, edge);
        for (float& a : acc) a = any();
        for (std::size_t c = 0; c < kBlockChannels; ++c) {
          multiplier[c] = any();
          bias[c] =
              random.OneIn(2) ? PlainTransform(acc[c], -multiplier[c], 0.0f, kNoActivation, kNoActivation) : any();
        }
        const Range pre = kRanges[random.Int(0, 3)];
        const Range post = kRanges[random.Int(0, 3)];
        GuardedArray<Word> words(pixels, edge);
        const FloatTransform transform = {multiplier.data(), bias.data(), pre.low, pre.high, post.low, post.high};

        kernels().bits_from_float(acc.data(), pixels, transform, words.data(), 1);

        for (int p = 0; p < pixels; ++p) {
          for (std::size_t c = 0; c < kBlockChannels; ++c) {
            const float y = PlainTransform(acc[p * kBlockChannels + c], multiplier[c], bias[c], pre, post);
            ASSERT_EQ((words[p] >> c) & 1u, y < 0.0f ? 1u : 0u) << "pixel " << p << " channel " << c << ", y " << y;
          }
        }
      }
    }
  }
}

FOR_EACH_KERNEL_SET(BitsFromTest);

}  // namespace
}  // namespace keras_bnn
