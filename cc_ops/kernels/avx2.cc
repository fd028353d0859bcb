// AVX2 and FMA: 8 channels per register.
//
// AVX2 has no popcount, but vpshufb looks 32 bytes up in a table of 16. So 4 bits of x become a table: entry i is the
// number of bits in which they differ from i, and the same 4 bits of the kernel, in a byte for each of the 32 channels
// of a block, are looked up in it. Per 128 binary multiply-accumulates: a load of a table, vpshufb and vpaddb. The
// counts of up to kByteWords words add up in bytes, before they are widened.
#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "core/compiler.h"
#include "kernels/avx2_real.h"
#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

constexpr int kLanes = 8;
constexpr int kWordBytes = sizeof(Word);
constexpr int kByteWords = 7;     // a byte counts at most 32 per word, and 7 * 32 < 256
constexpr int kWideWords = 2044;  // whole runs of kByteWords, and 2044 * 32 < 65536

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

// For each byte of x, the tables of its low and of its high 4 bits. Those of 0 are the numbers of set bits.
struct DifferTables {
  alignas(64) std::uint8_t of[256][2][16] = {};

  constexpr DifferTables() {
    for (int x = 0; x < 256; ++x) {
      for (int i = 0; i < 16; ++i) {
        for (int bit = 0; bit < 4; ++bit) {
          of[x][0][i] += (x ^ i) >> bit & 1;
          of[x][1][i] += (x >> 4 ^ i) >> bit & 1;
        }
      }
    }
  }
};

constexpr DifferTables kDiffer;

// The low and the high 4 bits of each byte.
struct Nibbles {
  __m256i low, high;

  explicit Nibbles(__m256i bytes)
      : low(_mm256_and_si256(bytes, _mm256_set1_epi8(0x0f))),
        high(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f))) {}
};

// The number of bits in which each byte differs from x.
__m256i Differences(std::uint8_t x, const Nibbles& bytes) {
  const auto* tables = reinterpret_cast<const __m128i*>(kDiffer.of[x]);
  return _mm256_add_epi8(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(tables[0]), bytes.low),
                         _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(tables[1]), bytes.high));
}

// Byte b of the 32 words becomes bytes 32 * b to 32 * b + 31.
void ArrangeChannels(Word* words) {
  std::uint8_t bytes[kWordBytes][kBlockChannels];
  for (int c = 0; c < kBlockChannels; ++c) {
    for (int b = 0; b < kWordBytes; ++b) bytes[b][c] = static_cast<std::uint8_t>(words[c] >> (8 * b));
  }
  std::memcpy(words, bytes, sizeof(bytes));
}

// The counts of a pixel in 16 bits: of channels 0 to 7 and 16 to 23, and of the others.
struct Counts {
  __m256i even, odd;

  void Sums(const std::int32_t* starts, std::int32_t* acc) const {
    for (int v = 0; v < 4; ++v) Store(acc + v * kLanes, Sum(starts, v));
  }

  void Floats(const std::int32_t* starts, const FloatTransform& t, float* y) const {
    __m256 block[4];
    for (int v = 0; v < 4; ++v) {
      const __m256 sum = Clamp(_mm256_cvtepi32_ps(Sum(starts, v)), t.pre_low, t.pre_high);
      const __m256 product = _mm256_mul_ps(sum, _mm256_loadu_ps(t.multiplier + v * kLanes));
      block[v] = Clamp(_mm256_add_ps(product, _mm256_loadu_ps(t.bias + v * kLanes)), t.low, t.high);
    }
    for (int v = 0; v < 4; ++v) _mm256_storeu_ps(y + v * kLanes, block[v]);
  }

  Word Exceed(const std::int32_t* limits) const {
    Word bits = 0;
    for (int v = 0; v < 4; ++v) {
      const __m256 exceed = _mm256_castsi256_ps(_mm256_cmpgt_epi32(Wide(v), Load(limits + v * kLanes)));
      bits |= static_cast<Word>(_mm256_movemask_ps(exceed)) << (v * kLanes);
    }
    return bits;
  }

  // Channels 8 * v to 8 * v + 7.
  __m256i Wide(int v) const {
    const __m256i counts = v % 2 == 0 ? even : odd;
    return _mm256_cvtepu16_epi32(v < 2 ? _mm256_castsi256_si128(counts) : _mm256_extracti128_si256(counts, 1));
  }

 private:
  __m256i Sum(const std::int32_t* starts, int v) const {
    return _mm256_sub_epi32(Load(starts + v * kLanes), _mm256_slli_epi32(Wide(v), 1));
  }

  // Where the operands are both zeros or one is NaN, vmaxps and vminps give the second.
  static __m256 Clamp(__m256 x, float low, float high) {
    return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), x));
  }
};

// Adds the counts of words [first, first + words) of each tap, at most kByteWords words of x in all. Not inlined, so
// that GCC has the registers of a function for 8 pixels.
template <int P>
KERAS_BNN_NEVER_INLINE void AddRun(const Word* const* rows, int taps, int first, int words, const std::uint8_t* kernel,
                                   Counts* counts) {
  const Word* const* const end = rows + std::ptrdiff_t{taps} * kMaxTilePixels;
  const std::ptrdiff_t bytes = std::ptrdiff_t{words} * kWordBytes;
  __m256i sums[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sums[p] = _mm256_setzero_si256();
  do {
    const std::uint8_t* x[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) x[p] = reinterpret_cast<const std::uint8_t*>(rows[p] + first);
    std::ptrdiff_t at = 0;
    do {
#pragma GCC unroll 4
      for (int i = 0; i < kWordBytes; ++i, ++at, kernel += kBlockChannels) {
        if constexpr (P == 1) {  // with no second pixel for the kernel's nibbles, one table for all x is faster
          const __m256i differ = _mm256_xor_si256(Load(kernel), _mm256_set1_epi8(static_cast<char>(x[0][at])));
          sums[0] = _mm256_add_epi8(sums[0], Differences(0, Nibbles(differ)));
        } else {
          const Nibbles nibbles(Load(kernel));
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) {
            sums[p] = _mm256_add_epi8(sums[p], Differences(x[p][at], nibbles));
#if defined(KERAS_BNN_GNU)
            __asm__("" : "+x"(sums[p]));  // GCC 12 would keep some in memory
#endif
          }
        }
      }
    } while (at < bytes);
    rows += kMaxTilePixels;
  } while (rows != end);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const __m256i zero = _mm256_setzero_si256();
    counts[p].even = _mm256_add_epi16(counts[p].even, _mm256_unpacklo_epi8(sums[p], zero));
    counts[p].odd = _mm256_add_epi16(counts[p].odd, _mm256_unpackhi_epi8(sums[p], zero));
  }
}

// Counts at most kWideWords words of x.
template <int P>
void CountWords(const Word* const* rows, int taps, int first_word, int words, const Word* kernel, Counts* counts) {
  for (int p = 0; p < P; ++p) counts[p].even = counts[p].odd = _mm256_setzero_si256();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(kernel);
  ForEachRun(taps, words, kByteWords, [&](int first_tap, int run_taps, int word, int run_words) {
    AddRun<P>(rows + std::ptrdiff_t{first_tap} * kMaxTilePixels, run_taps, first_word + word, run_words, bytes, counts);
    bytes += std::ptrdiff_t{run_taps} * run_words * kWordBytes * kBlockChannels;
  });
}

template <int P>
struct CountTile {
  template <typename Finish>
  static void Run(const BinaryTile& tile, const Finish& finish) {
    if (std::int64_t{tile.taps} * tile.words > kWideWords) return RunLong(tile, finish);
    Counts counts[P];
    CountWords<P>(tile.rows, tile.taps, 0, tile.words, tile.kernel, counts);
    for (int p = 0; p < P; ++p) finish(p, counts[p]);
  }

  template <typename Finish>
  static void RunLong(const BinaryTile& tile, const Finish& finish) {
    std::int32_t sums[P][kBlockChannels] = {};
    const Word* kernel = tile.kernel;
    ForEachRun(tile.taps, tile.words, kWideWords, [&](int first_tap, int taps, int first_word, int words) {
      Counts counts[P];
      CountWords<P>(tile.rows + std::ptrdiff_t{first_tap} * kMaxTilePixels, taps, first_word, words, kernel, counts);
      kernel += std::ptrdiff_t{taps} * words * kBlockChannels;
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < 4; ++v) {
          std::int32_t* lanes = sums[p] + v * kLanes;
          Store(lanes, _mm256_add_epi32(Load(lanes), counts[p].Wide(v)));
        }
      }
    });
    for (int p = 0; p < P; ++p) finish(p, StoredCounts<Avx2Lanes>{sums[p]});
  }
};

constexpr KernelSet Avx2Kernels() {
  KernelSet set = KernelSetOf<Avx2Lanes, CountTile, Avx2Real>::Named("avx2", 400);
  set.arrange_channels = ArrangeChannels;
  return set;
}

}  // namespace

extern const KernelSet kAvx2Kernels = Avx2Kernels();

}  // namespace keras_bnn
