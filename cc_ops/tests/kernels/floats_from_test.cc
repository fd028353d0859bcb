// floats_from_int and floats_from_float of every kernel set: one rounding per operation, and nothing written beside y.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/guarded_array.h"
#include "support/kernel_set_test.h"
#include "support/plain.h"
#include "support/random.h"

namespace keras_bnn {
namespace {

constexpr Range kRanges[] = {kNoActivation, {0.0f, kInfinity}, {-1.0f, 1.0f}, {0.0f, 6.0f}};
constexpr float kUntouched = -12345.0f;

class FloatsFromTest : public KernelSetTest {
 protected:
  void Convert(const std::int32_t* acc, int pixels, int channels, const FloatTransform& t, float* y, int stride) {
    kernels().floats_from_int(acc, pixels, channels, t, y, stride);
  }
  void Convert(const float* acc, int pixels, int channels, const FloatTransform& t, float* y, int stride) {
    kernels().floats_from_float(acc, pixels, channels, t, y, stride);
  }

  // acc is [pixel][32]. multiplier and bias have 32 values.
  template <typename Acc>
  void ExpectPlainValues(const std::vector<Acc>& acc_values, int channels, int stride,
                         const std::vector<float>& multiplier, const std::vector<float>& bias, Range pre, Range post,
                         Edge edge) {
    const int pixels = static_cast<int>(acc_values.size()) / kBlockChannels;
    const GuardedArray<Acc> acc(acc_values, edge);
    const GuardedArray<float> multipliers(multiplier, edge);
    const GuardedArray<float> biases(bias, edge);
    GuardedArray<float> y((pixels - 1) * stride + channels, edge);
    std::fill(y.begin(), y.end(), kUntouched);
    const FloatTransform transform = {multipliers.data(), biases.data(), pre.low, pre.high, post.low, post.high};

    Convert(acc.data(), pixels, channels, transform, y.data(), stride);

    for (std::size_t i = 0; i < y.size(); ++i) {
      const int p = static_cast<int>(i) / stride;
      const int c = static_cast<int>(i) % stride;
      float expected = kUntouched;
      if (c < channels) {
        expected = PlainTransform(acc_values[p * kBlockChannels + c], multiplier[c], bias[c], pre, post);
      }
      ASSERT_TRUE(SameFloat(y[i], expected)) << y[i] << " and not " << expected << ", pixel " << p << " channel " << c;
    }
  }

  template <typename Acc>
  std::vector<Acc> RandomAcc(int pixels, Random* random) {
    std::vector<Acc> acc;
    for (int i = 0; i < pixels * kBlockChannels; ++i) {
      if constexpr (std::is_same_v<Acc, float>) {
        acc.push_back(random->Float());
      } else {
        // Small ones, and large ones whose conversion to float32 rounds.
        acc.push_back(random->OneIn(3) ? random->Int(-(1 << 30), 1 << 30) : random->Int(-40, 40));
      }
    }
    return acc;
  }

  template <typename Acc>
  void ExpectPlainValuesOfAllShapes() {
    std::uint32_t seed = 100;
    for (int pixels = 1; pixels <= kMaxTilePixels; ++pixels) {
      for (const int channels : {1, 2, 7, 8, 15, 16, 17, 31, 32}) {
        for (const Edge edge : kEdges) {
          Random random(++seed);
          SCOPED_TRACE(std::to_string(pixels) + " pixels, " + std::to_string(channels) + " channels, seed " +
                       std::to_string(seed));
          const int stride = channels + random.Int(0, 3) * 5;
          ExpectPlainValues(RandomAcc<Acc>(pixels, &random), channels, stride, random.Floats(kBlockChannels),
                            random.Floats(kBlockChannels), kRanges[random.Int(0, 3)], kRanges[random.Int(0, 3)], edge);
        }
      }
    }
  }
};

TEST_P(FloatsFromTest, Int) { ExpectPlainValuesOfAllShapes<std::int32_t>(); }

TEST_P(FloatsFromTest, Float) { ExpectPlainValuesOfAllShapes<float>(); }

// A fused multiply-add would keep the bits of the product that the product's own rounding drops.
TEST_P(FloatsFromTest, ProductAndSumRoundSeparately) {
  const std::vector<std::int32_t> acc(kBlockChannels, (1 << 12) + 1);
  const std::vector<float> multiplier(kBlockChannels, 4097.0f);
  const std::vector<float> bias(kBlockChannels, -16785408.0f);  // the product is 16785409, which rounds to 16785408
  ExpectPlainValues(acc, kBlockChannels, kBlockChannels, multiplier, bias, kNoActivation, kNoActivation, Edge::kAfter);
  float y[kBlockChannels];
  const FloatTransform transform = {multiplier.data(), bias.data(), -kInfinity, kInfinity, -kInfinity, kInfinity};
  kernels().floats_from_int(acc.data(), 1, kBlockChannels, transform, y, kBlockChannels);
  for (const float value : y) EXPECT_EQ(value, 0.0f);
}

TEST_P(FloatsFromTest, ExtremeAccumulators) {
  constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  std::vector<std::int32_t> acc(kBlockChannels, 0);
  acc[0] = kMin;
  acc[1] = kMax;
  acc[2] = (1 << 24) + 1;  // halfway between two floats
  acc[3] = (1 << 24) + 3;
  acc[4] = -(1 << 24) - 1;
  const std::vector<float> ones(kBlockChannels, 1.0f);
  const std::vector<float> zeros(kBlockChannels, 0.0f);
  for (const Range range : kRanges) {
    ExpectPlainValues(acc, 32, 32, ones, zeros, range, kNoActivation, Edge::kAfter);
    ExpectPlainValues(acc, 32, 32, ones, zeros, kNoActivation, range, Edge::kAfter);
  }
}

TEST_P(FloatsFromTest, ZerosInfinitiesAndNans) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const float kSpecials[] = {0.0f, -0.0f, kInfinity, -kInfinity, kNan, 1.0f, -1.0f, 0x1p-149f, 3.0e38f, -6.5f};
  Random random(301);
  for (int round = 0; round < 100; ++round) {
    SCOPED_TRACE("seed 301, round " + std::to_string(round));
    std::vector<float> acc, multiplier, bias;
    for (int i = 0; i < kBlockChannels; ++i) {
      acc.push_back(kSpecials[random.Int(0, 9)]);
      multiplier.push_back(kSpecials[random.Int(0, 9)]);
      bias.push_back(kSpecials[random.Int(0, 9)]);
    }
    ExpectPlainValues(acc, 1 + round % 32, 32, multiplier, bias, kRanges[round % 4], kRanges[round / 4 % 4],
                      Edge::kAfter);
  }
}

// Vector units may take subnormal numbers for 0: in each operand, as a product of normal numbers and as their sum.
TEST_P(FloatsFromTest, Subnormals) {
  const std::vector<float> ones(kBlockChannels, 1.0f);
  const std::vector<float> zeros(kBlockChannels, 0.0f);
  const auto expect = [&](const std::vector<float>& acc, const std::vector<float>& multiplier,
                          const std::vector<float>& bias, Range pre, Range post) {
    ExpectPlainValues(acc, 32, 32, multiplier, bias, pre, post, Edge::kAfter);
    ExpectPlainValues(std::vector<std::int32_t>(kBlockChannels, -3), 32, 32, multiplier, bias, pre, post, Edge::kAfter);
  };
  for (int exponent = -149; exponent <= -40; ++exponent) {
    for (const float sign : {1.0f, -1.0f}) {
      const float tiny = sign * std::ldexp(1.0f, exponent);
      SCOPED_TRACE(tiny);
      for (const int channel : {0, 7, 31}) {
        std::vector<float> values = ones;
        values[channel] = tiny;
        expect(values, ones, zeros, kNoActivation, kNoActivation);
        expect(values, values, zeros, kNoActivation, kNoActivation);
        expect(ones, values, zeros, kNoActivation, kNoActivation);
        std::vector<float> neighbours = zeros;
        neighbours[channel] = 3.0f * std::nextafter(tiny, kInfinity);  // cancels all but a last bit of -3 * tiny
        expect(ones, values, neighbours, kNoActivation, kNoActivation);
        expect(zeros, ones, neighbours, kNoActivation, kNoActivation);
      }
      for (const Range range : {Range{tiny, kInfinity}, Range{-kInfinity, tiny}}) {
        expect(ones, ones, zeros, range, kNoActivation);
        expect(ones, ones, zeros, kNoActivation, range);
        expect(zeros, ones, zeros, kNoActivation, range);
      }
    }
  }
}

FOR_EACH_KERNEL_SET(FloatsFromTest);

}  // namespace
}  // namespace keras_bnn
