// The part of the NEON kernel set for real x: 4 pixels and half a block of 16 channels fill the registers. Included by
// neon.cc alone.
#ifndef KERAS_BNN_KERNELS_NEON_REAL_H_
#define KERAS_BNN_KERNELS_NEON_REAL_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kRealPixels = 4;
constexpr int kRealLanes = 4;
constexpr int kRealVectors = 4;  // of a half block
constexpr int kRealHalf = kRealVectors * kRealLanes;

// Lane i of the result has bit `first + i` of the word as its sign bit; the lower bits are not defined.
int32x4_t SignBits(Word word, int first) {
  static const std::int32_t kShift[kRealLanes] = {31, 30, 29, 28};
  const int32x4_t shift = vsubq_s32(vld1q_s32(kShift), vdupq_n_s32(first));
  return vshlq_s32(vdupq_n_s32(static_cast<std::int32_t>(word)), shift);
}

// Lane i is -1.0 where bit `first + i` of the word is set, else 1.0.
float32x4_t PlusMinusOne(Word word, int first) {
  const uint32x4_t sign_bit = vdupq_n_u32(0x80000000u);
  return vbslq_f32(sign_bit, vreinterpretq_f32_s32(SignBits(word, first)), vdupq_n_f32(1.0f));
}

// The pixels of a tile that real x does at once, and where the accumulators of the others begin.
constexpr int FirstPixels(int pixels) { return pixels < kRealPixels ? pixels : kRealPixels; }
constexpr int kSecondPixels = kRealPixels * kBlockChannels;

// x * +-1 is exact, so the fused multiply-add rounds once, as adding or subtracting x does.
template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kRealHalf) {
      RunHalf<FirstPixels(P)>(rows, taps, channels, kernel, half, acc + half);
      if constexpr (P > kRealPixels) {
        RunHalf<P - kRealPixels>(rows + kRealPixels, taps, channels, kernel, half, acc + kSecondPixels + half);
      }
    }
  }

  template <int Q>
  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    float32x4_t sums[Q][kRealVectors];
    for (int p = 0; p < Q; ++p) {
      for (int v = 0; v < kRealVectors; ++v) sums[p][v] = vdupq_n_f32(0.0f);
    }
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        float32x4_t k[kRealVectors];
        for (int v = 0; v < kRealVectors; ++v) k[v] = PlusMinusOne(*kernel, half + v * kRealLanes);
        for (int p = 0; p < Q; ++p) {
          const float32x4_t value = vld1q_dup_f32(rows[p] + c);
          for (int v = 0; v < kRealVectors; ++v) sums[p][v] = vfmaq_f32(sums[p][v], value, k[v]);
        }
      }
    }
    for (int p = 0; p < Q; ++p) {
      for (int v = 0; v < kRealVectors; ++v) vst1q_f32(acc + p * kBlockChannels + v * kRealLanes, sums[p][v]);
    }
  }
};

template <typename X>
struct IntTiles {
  template <int P>
  struct Tile {
    static void Run(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                    std::int32_t* acc) {
      for (int half = 0; half < kBlockChannels; half += kRealHalf) {
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
      int32x4_t sums[Q][kRealVectors];
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < kRealVectors; ++v) sums[p][v] = vdupq_n_s32(0);
      }
      for (int tap = 0; tap < taps; ++tap, rows += P) {
        for (int c = 0; c < channels; ++c, ++kernel) {
          int32x4_t minus[kRealVectors];  // -1 where the kernel is -1, else 0
          for (int v = 0; v < kRealVectors; ++v) minus[v] = vshrq_n_s32(SignBits(*kernel, half + v * kRealLanes), 31);
          for (int p = 0; p < Q; ++p) {
            const int32x4_t value = vdupq_n_s32(rows[p][c] - zero_point);
            for (int v = 0; v < kRealVectors; ++v) {
              sums[p][v] = vaddq_s32(sums[p][v], vsubq_s32(veorq_s32(value, minus[v]), minus[v]));
            }
          }
        }
      }
      for (int p = 0; p < Q; ++p) {
        for (int v = 0; v < kRealVectors; ++v) vst1q_s32(acc + p * kBlockChannels + v * kRealLanes, sums[p][v]);
      }
    }
  };
};

using NeonReal = RealOf<8, FloatTile, IntTiles>;

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_REAL_H_
