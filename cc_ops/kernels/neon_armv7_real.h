// The part of the set for real x. Included by neon_armv7.cc alone.
#ifndef KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_
#define KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_

#include <arm_neon.h>

#include <cstdint>

#include "kernels/neon_armv7_floats.h"
#include "kernels/neon_bytes.h"
#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kFloatPixels = 4;   // with a quarter of a block: 8 accumulators, 4 vectors of x and 2 of weights
constexpr int kFloatVectors = 2;  // of a quarter of a block
constexpr int kBytePixels = 2;    // with a whole block: 8 accumulators, 4 masks, x

template <int P>
struct FloatTile {
  using Sums = float32x4_t[P][kFloatVectors];

  static void Run(const RealRows<float>& x, const void* kernel, const float* start, int start_step, float* acc) {
    const auto* weights = static_cast<const float*>(kernel);
    if (!AreTerms(x, start, start_step)) return RunPlain(x, weights, start, start_step, acc);
    constexpr int kQuarter = kFloatVectors * kLanes;
    for (int i = 0; i < kBlockChannels; i += kQuarter) RunQuarter(x, weights + i, start + i, start_step, acc + i);
  }

  // The values of all pixels of a row lie in one piece, perhaps with others between them.
  static bool AreTerms(const RealRows<float>& x, const float* start, int start_step) {
    bool terms = true;
    for (int p = 0; p < P; ++p) terms &= AreZeroOrAtLeast(kLeastTerm, start + p * start_step, kBlockChannels);
    const auto length = static_cast<int>((P - 1) * x.step) + x.length;
    for (int row = 0; row < x.count; ++row) terms &= AreZeroOrAtLeast(kLeastTerm, x.rows[row] + x.first, length);
    return terms;
  }

  static void RunPlain(const RealRows<float>& x, const float* weights, const float* start, int start_step, float* acc) {
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kBlockChannels; ++i) acc[p * kBlockChannels + i] = start[p * start_step + i];
    }
    for (int row = 0; row < x.count; ++row) {
      for (int v = 0; v < x.length; ++v, weights += kBlockChannels) {
        for (int p = 0; p < P; ++p) {
          const float value = x.rows[row][x.first + p * x.step + v];
          float* sums = acc + p * kBlockChannels;
          for (int i = 0; i < kBlockChannels; ++i) sums[i] += value * weights[i];
        }
      }
    }
  }

  static void RunQuarter(const RealRows<float>& x, const float* kernel, const float* start, int start_step,
                         float* acc) {
    Sums sums;
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) sums[p][i] = vld1q_f32(start + p * start_step + kLanes * i);
    }
    for (int row = 0; row < x.count; ++row) {
      const float* values[P];
      for (int p = 0; p < P; ++p) values[p] = x.rows[row] + x.first + p * x.step;
      int v = 0;
      for (; v + 2 <= x.length; v += 2, kernel += 2 * kBlockChannels) {
        float32x2_t two[P];
        for (int p = 0; p < P; ++p) two[p] = vld1_f32(values[p] + v);
        AddValue<0>(two, kernel, sums);
        AddValue<1>(two, kernel + kBlockChannels, sums);
      }
      if (v < x.length) {
        float32x2_t one[P];
        for (int p = 0; p < P; ++p) one[p] = vld1_dup_f32(values[p] + v);
        AddValue<0>(one, kernel, sums);
        kernel += kBlockChannels;
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) vst1q_f32(acc + p * kBlockChannels + kLanes * i, sums[p][i]);
    }
  }

  template <int kLane>
  static void AddValue(const float32x2_t (&x)[P], const float* kernel, Sums& sums) {
    float32x4_t k[kFloatVectors];
    for (int i = 0; i < kFloatVectors; ++i) k[i] = vld1q_f32(kernel + kLanes * i);
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kFloatVectors; ++i) sums[p][i] = vmlaq_lane_f32(sums[p][i], k[i], x[p], kLane);
    }
  }
};

struct NeonReal {
  static constexpr FloatKernels kFloats = {
      1, kBlockChannels * sizeof(float), ExpandFloats, 0, AccumulateTiles<FloatTile, kFloatPixels>, 0, nullptr};
  static constexpr ByteKernels kBytes = {
      1, kBlockChannels, ExpandPairs, 255, AccumulateRuns<ByteTile, kBytePixels, kRunValues, 1, kBlockChannels>,
      0, nullptr};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_NEON_ARMV7_REAL_H_
