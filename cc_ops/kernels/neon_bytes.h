// The sums of 8-bit x by NEON, on aarch64 and on 32-bit ARM alike. Included by the sets' parts for real x alone.
#ifndef KERAS_BNN_KERNELS_NEON_BYTES_H_
#define KERAS_BNN_KERNELS_NEON_BYTES_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kByteVectors = 4;  // of a whole block, 16 bits a channel
constexpr int kRunValues = 256;  // 256 * 255 fits 16 bits

// Two bytes anywhere in memory.
typedef std::uint16_t __attribute__((aligned(1), may_alias)) ValuePair;

// A mask of 8 bits for each weight, all ones where it is -1: two values at a time as [channel][value], and the last one
// of an odd row as [channel].
inline void ExpandPairs(const Word* kernel, int rows, int length, void* expanded) {
  static const std::uint8_t kOwnBit[16] = {1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128};
  const uint8x16_t own_bit = vld1q_u8(kOwnBit);
  auto* masks = static_cast<std::uint8_t*>(expanded);
  for (int row = 0; row < rows; ++row, kernel += length) {
    int v = 0;
    for (; v + 2 <= length; v += 2, masks += 2 * kBlockChannels) {
      const uint8x8_t words = vld1_u8(reinterpret_cast<const std::uint8_t*>(kernel + v));
      // Lane i has the bytes i of both words: bits of 8 channels.
      const uint16x4_t bits = vreinterpret_u16_u8(vzip_u8(words, vext_u8(words, words, 4)).val[0]);
      vst1q_u8(masks, vtstq_u8(vreinterpretq_u8_u16(vdupq_lane_u16(bits, 0)), own_bit));
      vst1q_u8(masks + 16, vtstq_u8(vreinterpretq_u8_u16(vdupq_lane_u16(bits, 1)), own_bit));
      vst1q_u8(masks + 32, vtstq_u8(vreinterpretq_u8_u16(vdupq_lane_u16(bits, 2)), own_bit));
      vst1q_u8(masks + 48, vtstq_u8(vreinterpretq_u8_u16(vdupq_lane_u16(bits, 3)), own_bit));
    }
    if (v < length) {
      for (int i = 0; i < kBlockChannels; ++i) *masks++ = static_cast<std::uint8_t>((kernel[v] >> i & 1u) * 0xffu);
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
        const uint32x4_t high = vaddw_u16(vreinterpretq_u32_s32(vld1q_s32(before + 4)), vget_high_u16(sums[p][i]));
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
        sums[p][i + 1] = vaddw_u8(sums[p][i + 1], vget_high_u8(value));
      }
    }
  }
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_BYTES_H_
