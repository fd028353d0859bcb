// The part of the NEON kernel set for real x. Included by neon.cc alone.
#ifndef KERAS_BNN_KERNELS_NEON_REAL_H_
#define KERAS_BNN_KERNELS_NEON_REAL_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kFloatPixels = 5;   // with half a block: 20 accumulators, 5 vectors of x and 4 of weights
constexpr int kFloatVectors = 4;  // of half a block
constexpr int kBytePixels = 6;    // with a whole block: 24 accumulators, 4 masks, x
constexpr int kByteVectors = 4;   // of a whole block, 16 bits a channel
constexpr int kRunValues = 256;   // 256 * 255 fits 16 bits

template <int P>
struct FloatTile {
  using Sums = float32x4_t[P][kFloatVectors];

  static void Run(const RealRows<float>& x, const void* kernel, const float* start, int start_step, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kBlockChannels / 2) {
      RunHalf(x, static_cast<const float*>(kernel) + half, start + half, start_step, acc + half);
    }
  }

  static void RunHalf(const RealRows<float>& x, const float* kernel, const float* start, int start_step, float* acc) {
    Sums sums;
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) sums[p][i] = vld1q_f32(start + p * start_step + 4 * i);
    }
    for (int row = 0; row < x.count; ++row) {
      const float* values[P];
      for (int p = 0; p < P; ++p) values[p] = x.rows[row] + x.first + p * x.step;
      int v = 0;
      for (; v + 4 <= x.length; v += 4, kernel += 4 * kBlockChannels) {
        float32x4_t four[P];
        for (int p = 0; p < P; ++p) four[p] = vld1q_f32(values[p] + v);
        AddValue<0>(four, kernel, sums);
        AddValue<1>(four, kernel + kBlockChannels, sums);
        AddValue<2>(four, kernel + 2 * kBlockChannels, sums);
        AddValue<3>(four, kernel + 3 * kBlockChannels, sums);
      }
      for (; v < x.length; ++v, kernel += kBlockChannels) {
        float32x4_t one[P];
        for (int p = 0; p < P; ++p) one[p] = vld1q_dup_f32(values[p] + v);
        AddValue<0>(one, kernel, sums);
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) vst1q_f32(acc + p * kBlockChannels + 4 * i, sums[p][i]);
    }
  }

  template <int kLane>
  static void AddValue(const float32x4_t (&x)[P], const float* kernel, Sums& sums) {
    float32x4_t k[kFloatVectors];
    for (int i = 0; i < kFloatVectors; ++i) k[i] = vld1q_f32(kernel + 4 * i);
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) sums[p][i] = vfmaq_laneq_f32(sums[p][i], k[i], x[p], kLane);
    }
  }
};

// Two bytes anywhere in memory.
typedef std::uint16_t __attribute__((aligned(1), may_alias)) ValuePair;

// A mask of 8 bits for each weight, all ones where it is -1: two values at a time as [channel][value], and the last one
// of an odd row as [channel].
inline void ExpandPairs(const Word* kernel, int rows, int length, void* expanded) {
  auto* masks = static_cast<std::uint8_t*>(expanded);
  for (int row = 0; row < rows; ++row, kernel += length) {
    for (int v = 0; v < length; v += 2) {
      const int values = v + 1 < length ? 2 : 1;
      for (int i = 0; i < kBlockChannels; ++i) {
        for (int j = 0; j < values; ++j) *masks++ = static_cast<std::uint8_t>((kernel[v + j] >> i & 1u) * 0xffu);
      }
    }
  }
}

// Adds x, or 255 - x for a weight of -1: that is an exclusive or. Pairs of these add up in 16 bits by one instruction,
// kRunValues of them before they are widened to int32.
template <int P>
struct ByteTile {
  using Sums = uint16x8_t[P][kByteVectors];

  static void Run(const RealRows<std::uint8_t>& x, const void* kernel, const std::int32_t* start, int start_step,
                  std::int32_t* acc) {
    const auto* masks = static_cast<const std::uint8_t*>(kernel);
    Sums sums;
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kByteVectors; ++i) sums[p][i] = vdupq_n_u16(0);
    }
    for (int row = 0; row < x.count; ++row) {
      const std::uint8_t* values[P];
      for (int p = 0; p < P; ++p) values[p] = x.rows[row] + x.first + p * x.step;
      for (int v = 0; v + 2 <= x.length; v += 2, masks += 2 * kBlockChannels) AddPair(values, v, masks, sums);
      if (x.length % 2 != 0) {
        AddLast(values, x.length - 1, masks, sums);
        masks += kBlockChannels;
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kByteVectors; ++i) {
        const std::int32_t* before = start + p * start_step + 8 * i;
        std::int32_t* to = acc + p * kBlockChannels + 8 * i;
        const uint32x4_t low = vaddw_u16(vreinterpretq_u32_s32(vld1q_s32(before)), vget_low_u16(sums[p][i]));
        const uint32x4_t high = vaddw_high_u16(vreinterpretq_u32_s32(vld1q_s32(before + 4)), sums[p][i]);
        vst1q_s32(to, vreinterpretq_s32_u32(low));
        vst1q_s32(to + 4, vreinterpretq_s32_u32(high));
      }
    }
  }

  static void AddPair(const std::uint8_t* const (&values)[P], int v, const std::uint8_t* masks, Sums& sums) {
    uint8x16_t mask[kByteVectors];
    for (int i = 0; i < kByteVectors; ++i) mask[i] = vld1q_u8(masks + 16 * i);
    for (int p = 0; p < P; ++p) {
      const auto* two = reinterpret_cast<const ValuePair*>(values[p] + v);
      const uint8x16_t pair = vreinterpretq_u8_u16(vdupq_n_u16(*two));
      for (int i = 0; i < kByteVectors; ++i) sums[p][i] = vpadalq_u8(sums[p][i], veorq_u8(pair, mask[i]));
    }
  }

  static void AddLast(const std::uint8_t* const (&values)[P], int v, const std::uint8_t* masks, Sums& sums) {
    for (int i = 0; i < kByteVectors; i += 2) {
      const uint8x16_t mask = vld1q_u8(masks + 8 * i);
      for (int p = 0; p < P; ++p) {
        const uint8x16_t value = veorq_u8(vld1q_dup_u8(values[p] + v), mask);
        sums[p][i] = vaddw_u8(sums[p][i], vget_low_u8(value));
        sums[p][i + 1] = vaddw_high_u8(sums[p][i + 1], value);
      }
    }
  }
};

struct NeonReal {
  static constexpr FloatKernels kFloats = {1, kBlockChannels * sizeof(float), ExpandFloats, 0,
                                           AccumulateTiles<FloatTile, kFloatPixels>};
  static constexpr ByteKernels kBytes = {1, kBlockChannels, ExpandPairs, 255,
                                         AccumulateRuns<ByteTile, kBytePixels, kRunValues, 1, kBlockChannels>};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_REAL_H_
