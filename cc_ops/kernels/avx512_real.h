// The part of the AVX-512 kernel set for real x. Included by avx512_vpopcntdq.cc alone.
#ifndef KERAS_BNN_KERNELS_AVX512_REAL_H_
#define KERAS_BNN_KERNELS_AVX512_REAL_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kRealLanes = 16;

// x * +-1 is exact, so the fused multiply-add rounds once, as adding or subtracting x does.
template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 minus_one = _mm512_set1_ps(-1.0f);
    __m512 low[P];
    __m512 high[P];
    for (int p = 0; p < P; ++p) low[p] = high[p] = _mm512_setzero_ps();
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      const float* x[P];
      for (int p = 0; p < P; ++p) x[p] = rows[p];
      for (int c = 0; c < channels; ++c, ++kernel) {
        const __m512 kernel_low = _mm512_mask_blend_ps(static_cast<__mmask16>(*kernel), one, minus_one);
        const __m512 kernel_high = _mm512_mask_blend_ps(static_cast<__mmask16>(*kernel >> kRealLanes), one, minus_one);
        for (int p = 0; p < P; ++p) {
          const __m512 value = _mm512_set1_ps(x[p][c]);
          low[p] = _mm512_fmadd_ps(value, kernel_low, low[p]);
          high[p] = _mm512_fmadd_ps(value, kernel_high, high[p]);
        }
      }
    }
    for (int p = 0; p < P; ++p, acc += kBlockChannels) {
      _mm512_storeu_ps(acc, low[p]);
      _mm512_storeu_ps(acc + kRealLanes, high[p]);
    }
  }
};

template <typename X>
struct IntTiles {
  template <int P>
  struct Tile {
    static void Run(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                    std::int32_t* acc) {
      __m512i low[P];
      __m512i high[P];
      for (int p = 0; p < P; ++p) low[p] = high[p] = _mm512_setzero_si512();
      for (int tap = 0; tap < taps; ++tap, rows += P) {
        for (int c = 0; c < channels; ++c, ++kernel) {
          const auto negative_low = static_cast<__mmask16>(*kernel);
          const auto negative_high = static_cast<__mmask16>(*kernel >> kRealLanes);
          for (int p = 0; p < P; ++p) {
            const __m512i value = _mm512_set1_epi32(rows[p][c] - zero_point);
            low[p] = _mm512_mask_sub_epi32(_mm512_add_epi32(low[p], value), negative_low, low[p], value);
            high[p] = _mm512_mask_sub_epi32(_mm512_add_epi32(high[p], value), negative_high, high[p], value);
          }
        }
      }
      for (int p = 0; p < P; ++p, acc += kBlockChannels) {
        _mm512_storeu_si512(acc, low[p]);
        _mm512_storeu_si512(acc + kRealLanes, high[p]);
      }
    }
  };
};

using Avx512Real = RealOf<8, FloatTile, IntTiles>;

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_AVX512_REAL_H_
