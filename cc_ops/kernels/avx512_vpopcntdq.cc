// AVX-512 with VPOPCNTDQ: 16 channels per register, two registers per block, tiles of 8 pixels.
//
// Registers of the functions for binary x: 16 accumulators, 2 kernel words, 1 broadcast x, temporaries. Bound: one
// vpopcntd per 512 binary multiply-accumulates; per word and pixel 2 x (xor, popcount, add) and one broadcast load.
#include <immintrin.h>

#include <cstddef>

#include "kernels/avx512_real.h"
#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kLanes = 16;

// The masks of two registers as one word. Done on mask registers, because GCC 12 with -fsanitize=thread reads a mask
// that it put on the stack as 32 bits and not as 16.
Word Join(__mmask16 low, __mmask16 high) { return _cvtmask32_u32(_mm512_kunpackw(high, low)); }

struct Avx512Lanes {
  static Word NegativeBits(const float* x) {
    const __m512 zero = _mm512_setzero_ps();
    const __mmask16 low = _mm512_cmp_ps_mask(_mm512_loadu_ps(x), zero, _CMP_LT_OQ);
    const __mmask16 high = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + kLanes), zero, _CMP_LT_OQ);
    return Join(low, high);
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    const __mmask16 low = _mm512_cmplt_epi32_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
    const __mmask16 high = _mm512_cmplt_epi32_mask(_mm512_loadu_si512(a + kLanes), _mm512_loadu_si512(b + kLanes));
    return Join(low, high);
  }
};

// The counts of a pixel.
struct Counts {
  __m512i low, high;

  void Sums(const std::int32_t* starts, std::int32_t* acc) const {
    _mm512_storeu_si512(acc, Sum(starts, low));
    _mm512_storeu_si512(acc + kLanes, Sum(starts + kLanes, high));
  }

  void Floats(const std::int32_t* starts, const FloatTransform& t, float* y) const {
    const __m512 y_low = Transform(Sum(starts, low), t, 0);
    const __m512 y_high = Transform(Sum(starts + kLanes, high), t, kLanes);
    _mm512_storeu_ps(y, y_low);
    _mm512_storeu_ps(y + kLanes, y_high);
  }

  Word Exceed(const std::int32_t* limits) const {
    return Join(_mm512_cmpgt_epi32_mask(low, _mm512_loadu_si512(limits)),
                _mm512_cmpgt_epi32_mask(high, _mm512_loadu_si512(limits + kLanes)));
  }

 private:
  static __m512i Sum(const std::int32_t* starts, __m512i counts) {
    return _mm512_sub_epi32(_mm512_loadu_si512(starts), _mm512_slli_epi32(counts, 1));
  }

  static __m512 Transform(__m512i sums, const FloatTransform& t, int first) {
    __m512 y = Clamp(_mm512_cvtepi32_ps(sums), t.pre_low, t.pre_high);
    y = _mm512_mul_ps(y, _mm512_loadu_ps(t.multiplier + first));
    return Clamp(_mm512_add_ps(y, _mm512_loadu_ps(t.bias + first)), t.low, t.high);
  }

  // Where the operands are both zeros or one is NaN, vmaxps and vminps give the second.
  static __m512 Clamp(__m512 x, float low, float high) {
    return _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), x));
  }
};

template <int P>
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    __m512i low[P];
    __m512i high[P];
    for (int p = 0; p < P; ++p) low[p] = high[p] = _mm512_setzero_si512();
    const Word* const* rows = tile.rows;
    const Word* const* const end = rows + std::ptrdiff_t{tile.taps} * kMaxTilePixels;
    const Word* kernel = tile.kernel;
    do {
      const Word* x[P];
      for (int p = 0; p < P; ++p) x[p] = rows[p];
      int w = 0;
      do {
        const __m512i kernel_low = _mm512_loadu_si512(kernel);
        const __m512i kernel_high = _mm512_loadu_si512(kernel + kLanes);
        for (int p = 0; p < P; ++p) {
          const __m512i word = _mm512_set1_epi32(static_cast<int>(x[p][w]));
          low[p] = _mm512_add_epi32(low[p], _mm512_popcnt_epi32(_mm512_xor_si512(word, kernel_low)));
          high[p] = _mm512_add_epi32(high[p], _mm512_popcnt_epi32(_mm512_xor_si512(word, kernel_high)));
        }
        kernel += kBlockChannels;
      } while (++w < tile.words);
      rows += kMaxTilePixels;
    } while (rows != end);
#pragma GCC unroll 8  // else GCC keeps the accumulators in memory
    for (int p = 0; p < P; ++p) finish(p, Counts{low[p], high[p]});
  }
};

}  // namespace

extern const KernelSet kAvx512VpopcntdqKernels =
    KernelSetOf<Avx512Lanes, CountTile, Avx512Real>::Named("avx512_vpopcntdq", 1 << 17);

}  // namespace keras_bnn
