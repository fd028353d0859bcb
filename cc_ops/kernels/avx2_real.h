// The part of the AVX2 kernel set for real x. Included by avx2.cc alone.
#ifndef KERAS_BNN_KERNELS_AVX2_REAL_H_
#define KERAS_BNN_KERNELS_AVX2_REAL_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kRealLanes = 8;
constexpr int kRealHalf = 2 * kRealLanes;

void StoreInts(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }

// Lane i of the result has bit `first + i` of the word as its sign bit; the lower bits are not defined.
__m256i SignBits(Word word, int first) {
  const __m256i shifts = _mm256_sub_epi32(_mm256_set1_epi32(31 - first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(word)), shifts);
}

// Lane i is -1.0 where bit `first + i` of the word is set, else 1.0.
__m256 PlusMinusOne(Word word, int first) {
  const __m256 sign = _mm256_and_ps(_mm256_castsi256_ps(SignBits(word, first)), _mm256_set1_ps(-0.0f));
  return _mm256_or_ps(sign, _mm256_set1_ps(1.0f));
}

// x * +-1 is exact, so the fused multiply-add rounds once, as adding or subtracting x does.
template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kRealHalf)
      RunHalf(rows, taps, channels, kernel, half, acc + half);
  }

  static void RunHalf(const float* const* rows, int taps, int channels, const Word* kernel, int half, float* acc) {
    __m256 sums[P][2];
    for (int p = 0; p < P; ++p) sums[p][0] = sums[p][1] = _mm256_setzero_ps();
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      for (int c = 0; c < channels; ++c, ++kernel) {
        const __m256 kernel0 = PlusMinusOne(*kernel, half);
        const __m256 kernel1 = PlusMinusOne(*kernel, half + kRealLanes);
        for (int p = 0; p < P; ++p) {
          const __m256 value = _mm256_set1_ps(rows[p][c]);
          sums[p][0] = _mm256_fmadd_ps(value, kernel0, sums[p][0]);
          sums[p][1] = _mm256_fmadd_ps(value, kernel1, sums[p][1]);
        }
      }
    }
    for (int p = 0; p < P; ++p) {
      _mm256_storeu_ps(acc + p * kBlockChannels, sums[p][0]);
      _mm256_storeu_ps(acc + p * kBlockChannels + kRealLanes, sums[p][1]);
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
        RunHalf(rows, taps, channels, kernel, zero_point, half, acc + half);
      }
    }

    static void RunHalf(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                        int half, std::int32_t* acc) {
      __m256i sums[P][2];
      for (int p = 0; p < P; ++p) sums[p][0] = sums[p][1] = _mm256_setzero_si256();
      for (int tap = 0; tap < taps; ++tap, rows += P) {
        for (int c = 0; c < channels; ++c, ++kernel) {
          const __m256i minus0 = _mm256_srai_epi32(SignBits(*kernel, half), 31);  // -1 where the kernel is -1, else 0
          const __m256i minus1 = _mm256_srai_epi32(SignBits(*kernel, half + kRealLanes), 31);
          for (int p = 0; p < P; ++p) {
            const __m256i value = _mm256_set1_epi32(rows[p][c] - zero_point);
            sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_sub_epi32(_mm256_xor_si256(value, minus0), minus0));
            sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_sub_epi32(_mm256_xor_si256(value, minus1), minus1));
          }
        }
      }
      for (int p = 0; p < P; ++p) {
        StoreInts(acc + p * kBlockChannels, sums[p][0]);
        StoreInts(acc + p * kBlockChannels + kRealLanes, sums[p][1]);
      }
    }
  };
};

using Avx2Real = RealOf<4, FloatTile, IntTiles>;

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_AVX2_REAL_H_
