// AVX-512 with VPOPCNTDQ and VNNI: 16 channels per register, two registers per block, tiles of 8 pixels.
//
// Registers of accumulate_bits: 16 accumulators, 2 kernel words, 1 broadcast x, temporaries. Bound: one vpopcntd per
// 512 binary multiply-accumulates; per word and pixel 2 x (xor, popcount, add) and one broadcast load.
#include <immintrin.h>

#include "kernels/avx512_real.h"
#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 8;
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

template <int P>
struct BitsTile {
  static void Run(const Word* const* rows, int taps, int words, const Word* kernel, std::int32_t bits,
                  std::int32_t* acc) {
    __m512i low[P];
    __m512i high[P];
    for (int p = 0; p < P; ++p) low[p] = high[p] = _mm512_setzero_si512();
    for (int tap = 0; tap < taps; ++tap, rows += P) {
      const Word* x[P];
      for (int p = 0; p < P; ++p) x[p] = rows[p];
      for (int w = 0; w < words; ++w, kernel += kBlockChannels) {
        const __m512i kernel_low = _mm512_loadu_si512(kernel);
        const __m512i kernel_high = _mm512_loadu_si512(kernel + kLanes);
        for (int p = 0; p < P; ++p) {
          const __m512i word = _mm512_set1_epi32(static_cast<int>(x[p][w]));
          low[p] = _mm512_add_epi32(low[p], _mm512_popcnt_epi32(_mm512_xor_si512(word, kernel_low)));
          high[p] = _mm512_add_epi32(high[p], _mm512_popcnt_epi32(_mm512_xor_si512(word, kernel_high)));
        }
      }
    }
    const __m512i all = _mm512_set1_epi32(bits);
    for (int p = 0; p < P; ++p, acc += kBlockChannels) {
      _mm512_storeu_si512(acc, _mm512_sub_epi32(all, _mm512_slli_epi32(low[p], 1)));
      _mm512_storeu_si512(acc + kLanes, _mm512_sub_epi32(all, _mm512_slli_epi32(high[p], 1)));
    }
  }
};

}  // namespace

extern const KernelSet kAvx512VpopcntdqKernels =
    KernelSetOf<Avx512Lanes, kTilePixels, BitsTile, Avx512Real>::Named("avx512_vpopcntdq", 1 << 17);

}  // namespace keras_bnn
