// AVX2 and FMA: 8 channels per register. A block is done in two halves of 16 channels, in tiles of 4 pixels, so that
// the 8 accumulators, the kernel words and the temporaries fit into 16 registers.
//
// AVX2 has no popcount: each byte is looked up by nibble (vpshufb). The counts of up to kRunWords words add up in bytes
// before they are widened to int32.
#include <immintrin.h>

#include "kernels/avx2_real.h"
#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kTilePixels = 4;
constexpr int kLanes = 8;
constexpr int kHalf = 2 * kLanes;
constexpr int kRunWords = 31;  // a byte counts at most 8 per word, and 31 * 8 < 256

struct Avx2Lanes {
  static Word NegativeBits(const float* x) {
    Word bits = 0;
    for (int i = 0; i < kWordBits; i += kLanes) {
      const __m256 negative = _mm256_cmp_ps(_mm256_loadu_ps(x + i), _mm256_setzero_ps(), _CMP_LT_OQ);
      bits |= static_cast<Word>(_mm256_movemask_ps(negative)) << i;
    }
    return bits;
  }

  static Word LessBits(const std::int32_t* a, const std::int32_t* b) {
    Word bits = 0;
    for (int i = 0; i < kWordBits; i += kLanes) {
      const __m256i left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
      const __m256i right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i));
      const __m256 less = _mm256_castsi256_ps(_mm256_cmpgt_epi32(right, left));
      bits |= static_cast<Word>(_mm256_movemask_ps(less)) << i;
    }
    return bits;
  }
};

__m256i Load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

void Store(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }

// The number of set bits of each byte.
__m256i PopCountBytes(__m256i x) {
  const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibble = _mm256_set1_epi8(0x0f);
  const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, nibble));
  const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
  return _mm256_add_epi8(low, high);
}

// The sum of the four bytes of each int32 lane.
__m256i SumBytes(__m256i bytes) {
  const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// sums += counts
template <int P>
void AddCounts(const __m256i (&counts)[P][2], std::int32_t* sums) {
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < 2; ++v) {
      std::int32_t* lane = sums + p * kBlockChannels + v * kLanes;
      Store(lane, _mm256_add_epi32(Load(lane), SumBytes(counts[p][v])));
    }
  }
}

template <int P>
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    alignas(32) std::int32_t sums[P * kBlockChannels] = {};
    CountPixels<(P < kTilePixels ? P : kTilePixels)>(tile, 0, sums);
    if constexpr (P > kTilePixels) {
      CountPixels<P - kTilePixels>(tile, kTilePixels, sums + kTilePixels * kBlockChannels);
    }
    for (int p = 0; p < P; ++p) finish(p, StoredCounts<Avx2Lanes>{sums + p * kBlockChannels});
  }

  template <int Q>
  static void CountPixels(const BinaryTile& tile, int first, std::int32_t* sums) {
    for (int half = 0; half < kBlockChannels; half += kHalf) CountHalf<Q>(tile, first, half, sums + half);
  }

  template <int Q>
  static void CountHalf(const BinaryTile& tile, int first, int half, std::int32_t* sums) {
    const Word* kernel = tile.kernel + half;
    ForEachRun(tile.taps, tile.words, kRunWords, [&](int first_tap, int run_taps, int first_word, int run_words) {
      __m256i counts[Q][2];
      for (int p = 0; p < Q; ++p) counts[p][0] = counts[p][1] = _mm256_setzero_si256();
      const Word* const* rows = tile.rows + first_tap * kMaxTilePixels + first;
      for (int tap = 0; tap < run_taps; ++tap, rows += kMaxTilePixels) {
        for (int w = first_word; w < first_word + run_words; ++w, kernel += kBlockChannels) {
          const __m256i kernel0 = Load(kernel);
          const __m256i kernel1 = Load(kernel + kLanes);
          for (int p = 0; p < Q; ++p) {
            const __m256i word = _mm256_set1_epi32(static_cast<int>(rows[p][w]));
            counts[p][0] = _mm256_add_epi8(counts[p][0], PopCountBytes(_mm256_xor_si256(word, kernel0)));
            counts[p][1] = _mm256_add_epi8(counts[p][1], PopCountBytes(_mm256_xor_si256(word, kernel1)));
          }
        }
      }
      AddCounts(counts, sums);
    });
  }
};

}  // namespace

extern const KernelSet kAvx2Kernels = KernelSetOf<Avx2Lanes, kTilePixels, CountTile, Avx2Real>::Named("avx2", 1 << 16);

}  // namespace keras_bnn
