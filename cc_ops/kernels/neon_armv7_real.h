// The part of the set for real x: 4 pixels and a quarter or half of a block fill the registers. Included by
// neon_armv7.cc alone.
#ifndef KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_
#define KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/lanes.h"
#include "kernels/neon_armv7_floats.h"

namespace keras_bnn {
namespace {

constexpr int kRealPixels = 4;
constexpr int kHalf = kBlockChannels / 2;
constexpr int kRunValues = 128;  // 128 * 255 < 2^15

// The pixels of a tile that real x does at once, and where the accumulators of the others begin.
constexpr int FirstPixels(int pixels) { return pixels < kRealPixels ? pixels : kRealPixels; }
constexpr int kSecondPixels = kRealPixels * kBlockChannels;

// Lane i is -1.0 where bit `first + i` of the word is set, else 1.0.
float32x4_t PlusMinusOne(Word word, int first) {
  static const std::int32_t kShift[kLanes] = {31, 30, 29, 28};
  const int32x4_t shift = vsubq_s32(vld1q_s32(kShift), vdupq_n_s32(first));
  const uint32x4_t sign = vandq_u32(vshlq_u32(vdupq_n_u32(word), shift), vdupq_n_u32(0x80000000u));
  return vreinterpretq_f32_u32(vorrq_u32(sign, vreinterpretq_u32_f32(vdupq_n_f32(1.0f))));
}

template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    bool far_from_zero = true;
    for (int row = 0; row < taps * P; ++row) far_from_zero &= AreZeroOrAtLeast(kLeastTerm, rows[row], channels);
    if (!far_from_zero) return RunPlain(rows, taps, channels, kernel, acc);
    for (int half = 0; half < kBlockChannels; half += kHalf) {
      RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, half, acc + half);
      if constexpr (P > kRealPixels) {
        RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, half, acc + kSecondPixels + half);
      }
    }
  }

  static void RunPlain(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int i = 0; i < P * kBlockChannels; ++i) acc[i] = 0.0f;
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        for (int p = 0; p < P; ++p) {
          const float x = rows[p][c];
          float* sums = acc + p * kBlockChannels;
          for (int i = 0; i < kBlockChannels; ++i) sums[i] += (*kernel >> i & 1u) != 0 ? -x : x;
        }
      }
    }
  }

  // x * +-1 is exact, so a multiply-add rounds once, as adding or subtracting x does.
  template <int Q>
  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    constexpr int kVectors = kHalf / kLanes;
    for (int quarter = 0; quarter < kVectors; quarter += 2) {
      const Word* k = kernel;
      const float* const* tap_rows = rows;
      float32x4_t sums[Q][2];
      for (int p = 0; p < Q; ++p) sums[p][0] = sums[p][1] = vdupq_n_f32(0.0f);
      for (int tap = 0; tap < taps; ++tap, tap_rows += P) {
        for (int c = 0; c < channels; ++c, ++k) {
          const int first = half + quarter * kLanes;
          const float32x4_t sign[2] = {PlusMinusOne(*k, first), PlusMinusOne(*k, first + kLanes)};
          for (int p = 0; p < Q; ++p) {
            const float32x4_t value = vld1q_dup_f32(tap_rows[p] + c);
            for (int v = 0; v < 2; ++v) sums[p][v] = vmlaq_f32(sums[p][v], value, sign[v]);
          }
        }
      }
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < 2; ++v) vst1q_f32(acc + p * kBlockChannels + (quarter + v) * kLanes, sums[p][v]);
      }
    }
  }
};

// The sum of +-x is that of all x, less twice those whose kernel is -1. These add up in 16 bits, 8 channels per
// register.
template <typename X>
struct IntTiles {
  template <int P>
  struct Tile {
    static void Run(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                    std::int32_t* acc) {
      for (int half = 0; half < kBlockChannels; half += kHalf) {
        RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, zero_point, half, acc + half);
        if constexpr (P > kRealPixels) {
          RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, zero_point, half,
                                   acc + kSecondPixels + half);
        }
      }
    }

    template <int Q>
    static void RunHalf(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                        int half, std::int32_t* acc) {
      static const std::uint16_t kBits[kHalf] = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                                 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
      const uint16x8_t own[2] = {vld1q_u16(kBits), vld1q_u16(kBits + kHalf / 2)};
      std::int32_t all[Q] = {};
      for (int p = 0; p < Q; ++p) {
        for (int i = 0; i < kHalf; ++i) acc[p * kBlockChannels + i] = 0;
      }
      ForEachRun(taps, channels, kRunValues, [&](int first_tap, int run_taps, int first_channel, int run_channels) {
        int16x8_t sums[Q][2];
        for (int p = 0; p < Q; ++p) sums[p][0] = sums[p][1] = vdupq_n_s16(0);
        for (int tap = first_tap; tap < first_tap + run_taps; ++tap) {
          const X* const* x = rows + tap * P;
          for (int c = first_channel; c < first_channel + run_channels; ++c, ++kernel) {
            const uint16x8_t bits = vdupq_n_u16(static_cast<std::uint16_t>(*kernel >> half));
            const int16x8_t minus[2] = {vreinterpretq_s16_u16(vtstq_u16(bits, own[0])),
                                        vreinterpretq_s16_u16(vtstq_u16(bits, own[1]))};
            for (int p = 0; p < Q; ++p) {
              const std::int32_t value = x[p][c] - zero_point;
              all[p] += value;
              const int16x8_t values = vdupq_n_s16(static_cast<std::int16_t>(value));
              for (int v = 0; v < 2; ++v) sums[p][v] = vaddq_s16(sums[p][v], vandq_s16(values, minus[v]));
            }
          }
        }
        for (int p = 0; p < Q; ++p) {
          for (int v = 0; v < 2; ++v) {
            std::int32_t* lanes = acc + p * kBlockChannels + 2 * v * kLanes;
            vst1q_s32(lanes, vmlsl_n_s16(vld1q_s32(lanes), vget_low_s16(sums[p][v]), 2));
            vst1q_s32(lanes + kLanes, vmlsl_n_s16(vld1q_s32(lanes + kLanes), vget_high_s16(sums[p][v]), 2));
          }
        }
      });
      for (int p = 0; p < Q; ++p) {
        for (int i = 0; i < kHalf; ++i) acc[p * kBlockChannels + i] += all[p];
      }
    }
  };
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_
