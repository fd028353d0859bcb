// The part of the AVX-512 kernel set for real x. Included by avx512_vpopcntdq.cc alone.
// Registers: 16 accumulators of 8 pixels, 2 vectors of weights, 1 broadcast x.
#ifndef KERAS_BNN_KERNELS_AVX512_REAL_H_
#define KERAS_BNN_KERNELS_AVX512_REAL_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "core/compiler.h"
#include "kernels/expand_quads.h"
#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kRealPixels = 8;
constexpr int kRealLanes = 16;

// The weights of a value: +1 and -1 as they lie in an expanded kernel, or made of bits, which are masks.
struct ExpandedWeights {
  using Kernel = float;
  static constexpr int kStep = kBlockChannels;

  static __m512 Low(const float* kernel) { return _mm512_loadu_ps(kernel); }
  static __m512 High(const float* kernel) { return _mm512_loadu_ps(kernel + kRealLanes); }
};

struct BitWeights {
  using Kernel = Word;
  static constexpr int kStep = 1;

  static __m512 Low(const Word* kernel) { return PlusMinusOne(static_cast<__mmask16>(*kernel)); }
  static __m512 High(const Word* kernel) { return PlusMinusOne(static_cast<__mmask16>(*kernel >> kRealLanes)); }
  static __m512 PlusMinusOne(__mmask16 negative) {
    return _mm512_mask_blend_ps(negative, _mm512_set1_ps(1.0f), _mm512_set1_ps(-1.0f));
  }
};

template <int P, typename Weights>
struct FloatTileOf {
  static KERAS_BNN_ALWAYS_INLINE void Run(const RealRows<float>& x, const void* kernel, const float* start,
                                          int start_step, float* acc) {
    __m512 low[P];
    __m512 high[P];
    for (int p = 0; p < P; ++p) {
      low[p] = _mm512_loadu_ps(start + p * start_step);
      high[p] = _mm512_loadu_ps(start + p * start_step + kRealLanes);
    }
    const auto* weights = static_cast<const typename Weights::Kernel*>(kernel);
    int row = 0;
    do {
      const float* values[P];
      for (int p = 0; p < P; ++p) values[p] = x.rows[row] + x.first + p * x.step;
      int v = 0;
      do {
        const __m512 kernel_low = Weights::Low(weights);
        const __m512 kernel_high = Weights::High(weights);
        for (int p = 0; p < P; ++p) {
          const __m512 value = _mm512_set1_ps(values[p][v]);
          low[p] = _mm512_fmadd_ps(value, kernel_low, low[p]);
          high[p] = _mm512_fmadd_ps(value, kernel_high, high[p]);
        }
        weights += Weights::kStep;
      } while (++v < x.length);
    } while (++row < x.count);
    for (int p = 0; p < P; ++p, acc += kBlockChannels) {
      _mm512_storeu_ps(acc, low[p]);
      _mm512_storeu_ps(acc + kRealLanes, high[p]);
    }
  }
};

template <int P>
using FloatTile = FloatTileOf<P, ExpandedWeights>;
template <int P>
using BitsTileOfFloats = FloatTileOf<P, BitWeights>;

// One pixel and B blocks, from bits.
template <int B>
struct FloatPixel {
  static void Run(const RealRows<float>& x, const Word* kernel, std::int64_t block_words, const float* start,
                  float* acc) {
    __m512 low[B];
    __m512 high[B];
    for (int b = 0; b < B; ++b) {
      low[b] = _mm512_loadu_ps(start + b * kBlockChannels);
      high[b] = _mm512_loadu_ps(start + b * kBlockChannels + kRealLanes);
    }
    for (int row = 0; row < x.count; ++row) {
      const float* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; ++v, ++kernel) {
        const __m512 value = _mm512_set1_ps(values[v]);
        for (int b = 0; b < B; ++b) {
          const Word* word = kernel + b * block_words;
          low[b] = _mm512_fmadd_ps(value, BitWeights::Low(word), low[b]);
          high[b] = _mm512_fmadd_ps(value, BitWeights::High(word), high[b]);
        }
      }
    }
    for (int b = 0; b < B; ++b) {
      _mm512_storeu_ps(acc + b * kBlockChannels, low[b]);
      _mm512_storeu_ps(acc + b * kBlockChannels + kRealLanes, high[b]);
    }
  }
};

// GCC 12 moves the accumulators of the intrinsic from register to register in each step.
inline __m512i AddProducts(__m512i sum, __m512i x, __m512i weights) {
#if defined(KERAS_BNN_GNU)
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(weights));
  return sum;
#else
  return _mm512_dpbusd_epi32(sum, x, weights);
#endif
}

template <int P>
struct ByteTile {
  static void Run(const RealRows<std::uint8_t>& x, const void* kernel, const std::int32_t* start, int start_step,
                  std::int32_t* acc) {
    __m512i low[P];
    __m512i high[P];
    for (int p = 0; p < P; ++p) {
      low[p] = _mm512_loadu_si512(start + p * start_step);
      high[p] = _mm512_loadu_si512(start + p * start_step + kRealLanes);
    }
    const auto* weights = static_cast<const std::int8_t*>(kernel);
    int row = 0;
    do {
      const std::uint8_t* values = x.rows[row] + x.first;
      int v = 0;
      do {
        const __m512i kernel_low = _mm512_loadu_si512(weights);
        const __m512i kernel_high = _mm512_loadu_si512(weights + 4 * kRealLanes);
        for (int p = 0; p < P; ++p) {
          int quad;
          std::memcpy(&quad, values + p * x.step, sizeof(quad));
          const __m512i value = _mm512_set1_epi32(quad);
          low[p] = AddProducts(low[p], value, kernel_low);
          high[p] = AddProducts(high[p], value, kernel_high);
        }
        values += 4;
        weights += 4 * kBlockChannels;
        v += 4;
      } while (v < x.length);
    } while (++row < x.count);
    for (int p = 0; p < P; ++p, acc += kBlockChannels) {
      _mm512_storeu_si512(acc, low[p]);
      _mm512_storeu_si512(acc + kRealLanes, high[p]);
    }
  }
};

struct Avx512Real {
  static constexpr FloatKernels kFloats = {1,
                                           kBlockChannels * sizeof(float),
                                           ExpandFloats,
                                           0,
                                           AccumulateTiles<FloatTile, kRealPixels>,
                                           kAnyPixels,
                                           AccumulateBits<BitsTileOfFloats, kRealPixels, FloatPixel>};
  static constexpr ByteKernels kBytes = {4, kQuadBytes, ExpandQuads, 0, AccumulateTiles<ByteTile, kRealPixels>,
                                         0, nullptr};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_AVX512_REAL_H_
