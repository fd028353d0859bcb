// The part of the AVX2 kernel set for real x. Included by avx2.cc alone.
//
// Half a block of 16 channels and 6 pixels fill the registers with 12 accumulators; both halves of a tile follow each
// other.
#ifndef KERAS_BNN_KERNELS_AVX2_REAL_H_
#define KERAS_BNN_KERNELS_AVX2_REAL_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "core/compiler.h"
#include "kernels/expand_quads.h"
#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kFloatPixels = 6;
constexpr int kBytePixels = 2;
constexpr int kRealLanes = 8;
constexpr int kRealHalf = 2 * kRealLanes;
constexpr int kRunQuads = 64;  // 64 * 2 * 255 fits 16 bits with a sign

// The weights of a value, for 8 channels: +1 and -1 as they lie in an expanded kernel, or made of bits.
struct ExpandedWeights {
  using Kernel = float;
  static constexpr int kStep = kBlockChannels;

  static __m256 At(const float* kernel, int channel) { return _mm256_loadu_ps(kernel + channel); }
};

struct BitWeights {
  using Kernel = Word;
  static constexpr int kStep = 1;

  static __m256 At(const Word* kernel, int channel) {
    return _mm256_or_ps(Signs(*kernel, channel), _mm256_set1_ps(1.0f));
  }

  // Lane i has the bit `channel + i` as its sign bit, and else zeros.
  static __m256 Signs(Word word, int channel) {
    const __m256i to_sign =
        _mm256_sub_epi32(_mm256_set1_epi32(31 - channel), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i bits = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(word)), to_sign);
    return _mm256_and_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(-0.0f));
  }
};

template <int P, typename Weights>
struct FloatTileOf {
  using Kernel = typename Weights::Kernel;

  static KERAS_BNN_ALWAYS_INLINE void Run(const RealRows<float>& x, const void* kernel, const float* start,
                                          int start_step, float* acc) {
    for (int half = 0; half < kBlockChannels; half += kRealHalf) {
      RunHalf(x, static_cast<const Kernel*>(kernel), half, start + half, start_step, acc + half);
    }
  }

  static KERAS_BNN_ALWAYS_INLINE void RunHalf(const RealRows<float>& x, const Kernel* kernel, int half,
                                              const float* start, int start_step, float* acc) {
    __m256 sums[P][2];
    for (int p = 0; p < P; ++p) {
      sums[p][0] = _mm256_loadu_ps(start + p * start_step);
      sums[p][1] = _mm256_loadu_ps(start + p * start_step + kRealLanes);
    }
    int row = 0;
    do {
      const float* values[P];
      for (int p = 0; p < P; ++p) values[p] = x.rows[row] + x.first + p * x.step;
      int v = 0;
      do {
        const __m256 kernel0 = Weights::At(kernel, half);
        const __m256 kernel1 = Weights::At(kernel, half + kRealLanes);
        for (int p = 0; p < P; ++p) {
          const __m256 value = _mm256_set1_ps(values[p][v]);
          sums[p][0] = _mm256_fmadd_ps(value, kernel0, sums[p][0]);
          sums[p][1] = _mm256_fmadd_ps(value, kernel1, sums[p][1]);
        }
        kernel += Weights::kStep;
      } while (++v < x.length);
    } while (++row < x.count);
    for (int p = 0; p < P; ++p) {
      _mm256_storeu_ps(acc + p * kBlockChannels, sums[p][0]);
      _mm256_storeu_ps(acc + p * kBlockChannels + kRealLanes, sums[p][1]);
    }
  }
};

template <int P>
using FloatTile = FloatTileOf<P, ExpandedWeights>;
template <int P>
using BitsTileOfFloats = FloatTileOf<P, BitWeights>;

// One pixel and B blocks, from bits: they turn over the sign of x.
template <int B>
struct FloatPixel {
  static void Run(const RealRows<float>& x, const Word* kernel, std::int64_t block_words, const float* start,
                  float* acc) {
    for (int b = 0; b < B; ++b, kernel += block_words, start += kBlockChannels, acc += kBlockChannels) {
      RunBlock(x, kernel, start, acc);
    }
  }

  static void RunBlock(const RealRows<float>& x, const Word* kernel, const float* start, float* acc) {
    constexpr int kVectors = kBlockChannels / kRealLanes;
    __m256 sums[kVectors];
    for (int i = 0; i < kVectors; ++i) sums[i] = _mm256_loadu_ps(start + i * kRealLanes);
    for (int row = 0; row < x.count; ++row) {
      const float* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; ++v, ++kernel) {
        const __m256 value = _mm256_set1_ps(values[v]);
        for (int i = 0; i < kVectors; ++i) {
          sums[i] = _mm256_add_ps(sums[i], _mm256_xor_ps(value, BitWeights::Signs(*kernel, i * kRealLanes)));
        }
      }
    }
    for (int i = 0; i < kVectors; ++i) _mm256_storeu_ps(acc + i * kRealLanes, sums[i]);
  }
};

inline __m256i LoadInts(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

inline void StoreInts(std::int32_t* p, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }

// Sums of two products each add up in 16 bits, kRunQuads of them, before they are widened to int32.
template <int P>
struct ByteTile {
  static constexpr int kVectors = kBlockChannels / kRealLanes;

  static void Run(const RealRows<std::uint8_t>& x, const void* kernel, const std::int32_t* start, int start_step,
                  std::int32_t* acc) {
    const auto* weights = static_cast<const __m256i*>(kernel);
    __m256i sums[P][kVectors];
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kVectors; ++i) sums[p][i] = _mm256_setzero_si256();
    }
    if (x.count < 1 || x.length < 1) KERAS_BNN_UNREACHABLE();
    for (int row = 0; row < x.count; ++row) {
      const std::uint8_t* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; v += 4, values += 4, weights += kVectors) {
        for (int p = 0; p < P; ++p) {
          int four;
          std::memcpy(&four, values + p * x.step, sizeof(four));
          const __m256i value = _mm256_set1_epi32(four);
          for (int i = 0; i < kVectors; ++i) {
            const __m256i products = _mm256_maddubs_epi16(value, _mm256_loadu_si256(weights + i));
            sums[p][i] = _mm256_add_epi16(sums[p][i], products);
          }
        }
      }
    }
    const __m256i ones = _mm256_set1_epi16(1);
    for (int p = 0; p < P; ++p) {
      for (int i = 0; i < kVectors; ++i) {
        const __m256i before = LoadInts(start + p * start_step + i * kRealLanes);
        const __m256i sum = _mm256_add_epi32(before, _mm256_madd_epi16(sums[p][i], ones));
        StoreInts(acc + p * kBlockChannels + i * kRealLanes, sum);
      }
    }
  }
};

struct Avx2Real {
  static constexpr FloatKernels kFloats = {1,
                                           kBlockChannels * sizeof(float),
                                           ExpandFloats,
                                           0,
                                           AccumulateTiles<FloatTile, kFloatPixels>,
                                           kAnyPixels,
                                           AccumulateBits<BitsTileOfFloats, kFloatPixels, FloatPixel>};
  static constexpr ByteKernels kBytes = {
      4, kQuadBytes, ExpandQuads, 0, AccumulateRuns<ByteTile, kBytePixels, kRunQuads, 4, kQuadBytes>, 0, nullptr};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_AVX2_REAL_H_
