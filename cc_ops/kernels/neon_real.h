// The part of the NEON kernel set for real x. Included by neon.cc alone.
#ifndef KERAS_BNN_KERNELS_NEON_REAL_H_
#define KERAS_BNN_KERNELS_NEON_REAL_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/neon_bytes.h"
#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kFloatPixels = 5;   // with half a block: 20 accumulators, 5 vectors of x and 4 of weights
constexpr int kFloatVectors = 4;  // of half a block
constexpr int kBytePixels = 6;    // with a whole block: 24 accumulators, 4 masks, x

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

// One pixel, from bits: each becomes the sign bit of its lane, of a weight +1 or -1.
inline void AccumulateFloatBits(const RealRows<float>& x, int /*pixels*/, const Word* kernel, std::int64_t block_words,
                                int blocks, const float* start, float* acc) {
  static const std::int32_t kShift[4] = {31, 30, 29, 28};
  constexpr int kVectors = kBlockChannels / 4;
  const int32x4_t first_shift = vld1q_s32(kShift);
  const uint32x4_t sign_bit = vdupq_n_u32(0x80000000u);
  for (int b = 0; b < blocks; ++b, kernel += block_words, start += kBlockChannels, acc += kBlockChannels) {
    const Word* words = kernel;
    float32x4_t sums[kVectors];
    for (int i = 0; i < kVectors; ++i) sums[i] = vld1q_f32(start + 4 * i);
    for (int row = 0; row < x.count; ++row) {
      const float* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; ++v, ++words) {
        const float32x4_t value = vld1q_dup_f32(values + v);
        const uint32x4_t word = vld1q_dup_u32(words);
        for (int i = 0; i < kVectors; ++i) {
          const uint32x4_t bits = vshlq_u32(word, vsubq_s32(first_shift, vdupq_n_s32(4 * i)));
          const float32x4_t weights = vbslq_f32(sign_bit, vreinterpretq_f32_u32(bits), vdupq_n_f32(1.0f));
          sums[i] = vfmaq_f32(sums[i], value, weights);
        }
      }
    }
    for (int i = 0; i < kVectors; ++i) vst1q_f32(acc + 4 * i, sums[i]);
  }
}

struct NeonReal {
  static constexpr FloatKernels kFloats = {1,
                                           kBlockChannels * sizeof(float),
                                           ExpandFloats,
                                           0,
                                           AccumulateTiles<FloatTile, kFloatPixels>,
                                           1,
                                           AccumulateFloatBits};
  static constexpr ByteKernels kBytes = {
      1, kBlockChannels, ExpandPairs, 255, AccumulateRuns<ByteTile, kBytePixels, kRunValues, 1, kBlockChannels>,
      0, nullptr};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_REAL_H_
