// SVE2: as many channels per register as the CPU has 32-bit lanes, in code that is the same for every vector length.
//
// CNT counts a whole 32-bit lane, so that nothing is widened: eor, cnt and add per vector of channels and word of x.
// Registers of the counting loop: 16 accumulators, which are 4 pixels times 4 vectors, or 8 times 2; the vectors of the
// kernel, a broadcast x, temporaries. With vectors of 128 bits a block of 32 channels takes two rounds of 4 vectors,
// with 256 bits one, with 512 bits one of 2 vectors; predicates cut off what longer ones have too much.
//
// The counts of a tile go through memory: the loops over vectors of channels that make outputs of them are the outer
// ones, so that multipliers and biases are read once.
#include "kernels/sve2.h"

#include <arm_sve.h>

namespace keras_bnn {
namespace {

constexpr int kPixels = 8;
static_assert(kMaxTilePixels == kPixels, "a tile is one or two rounds of pixels");

// There are no arrays of vectors whose length is known at run time only: each has a name, and the compiler drops what
// is not used of 8 pixels and 4 vectors.
// clang-format off
#define KERAS_BNN_EACH_PIXEL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

#define KERAS_BNN_CLEAR(p) \
  svuint32_t s##p##0 = zero, s##p##1 = zero, s##p##2 = zero, s##p##3 = zero;

#define KERAS_BNN_TAKE_ROW(p) \
  const Word* x##p = p < P ? rows[p < P ? p : 0] : nullptr;

#define KERAS_BNN_COUNT(s, k) s = svadd_x(all, s, svcnt_x(all, sveor_x(all, x, k)))

#define KERAS_BNN_COUNT_PIXEL(p)                       \
  if constexpr (p < P) {                               \
    const svuint32_t x = svdup_u32(x##p[i]);           \
    KERAS_BNN_COUNT(s##p##0, k0);                      \
    KERAS_BNN_COUNT(s##p##1, k1);                      \
    if constexpr (V > 2) KERAS_BNN_COUNT(s##p##2, k2); \
    if constexpr (V > 2) KERAS_BNN_COUNT(s##p##3, k3); \
  }

#define KERAS_BNN_ADVANCE(p) \
  if constexpr (p < P) x##p += kStep;

#define KERAS_BNN_STORE(s, p, v) svst1_vnum(some##v, counts + p * kBlockChannels, v, svreinterpret_s32(s))

#define KERAS_BNN_STORE_PIXEL(p)                          \
  if constexpr (p < P) {                                  \
    KERAS_BNN_STORE(s##p##0, p, 0);                       \
    KERAS_BNN_STORE(s##p##1, p, 1);                       \
    if constexpr (V > 2) KERAS_BNN_STORE(s##p##2, p, 2);  \
    if constexpr (V > 2) KERAS_BNN_STORE(s##p##3, p, 3);  \
  }
// clang-format on

// P pixels and V vectors of channels, of which the block still has `channels`; a tap has a multiple of kStep words.
template <int P, int V, int kStep>
void CountVectors(const Word* const* rows, int taps, int words, const Word* kernel, int channels,
                  std::int32_t* counts) {
  static_assert(P <= kPixels && (V == 2 || V == 4));
  const auto lanes = static_cast<int>(svcntw());
  const svbool_t all = svptrue_b32();
  const svbool_t some0 = svwhilelt_b32(0, channels);
  const svbool_t some1 = svwhilelt_b32(lanes, channels);
  const svbool_t some2 = svwhilelt_b32(2 * lanes, channels);
  const svbool_t some3 = svwhilelt_b32(3 * lanes, channels);
  const svuint32_t zero = svdup_u32(0);
  KERAS_BNN_EACH_PIXEL(KERAS_BNN_CLEAR)
  for (int tap = 0; tap < taps; ++tap, rows += kMaxTilePixels) {
    KERAS_BNN_EACH_PIXEL(KERAS_BNN_TAKE_ROW)
    for (int w = 0; w < words; w += kStep) {
#pragma GCC unroll 4
      for (int i = 0; i < kStep; ++i, kernel += kBlockChannels) {
        const svuint32_t k0 = svld1_vnum(some0, kernel, 0);
        const svuint32_t k1 = svld1_vnum(some1, kernel, 1);
        const svuint32_t k2 = V > 2 ? svld1_vnum(some2, kernel, 2) : k0;
        const svuint32_t k3 = V > 2 ? svld1_vnum(some3, kernel, 3) : k0;
        KERAS_BNN_EACH_PIXEL(KERAS_BNN_COUNT_PIXEL)
      }
      KERAS_BNN_EACH_PIXEL(KERAS_BNN_ADVANCE)
    }
  }
  KERAS_BNN_EACH_PIXEL(KERAS_BNN_STORE_PIXEL)
}

#undef KERAS_BNN_EACH_PIXEL
#undef KERAS_BNN_CLEAR
#undef KERAS_BNN_TAKE_ROW
#undef KERAS_BNN_COUNT
#undef KERAS_BNN_COUNT_PIXEL
#undef KERAS_BNN_ADVANCE
#undef KERAS_BNN_STORE
#undef KERAS_BNN_STORE_PIXEL

// `pixels` pixels from `rows`, at most P, and all channels.
template <int P, int V>
void CountPixels(const BinaryTile& tile, const Word* const* rows, int pixels, std::int32_t* counts) {
  if constexpr (P > 1) {
    if (pixels < P) return CountPixels<P - 1, V>(tile, rows, pixels, counts);
  }
  for (int first = 0; first < kBlockChannels; first += V * static_cast<int>(svcntw())) {
    const Word* kernel = tile.kernel + first;
    const int channels = kBlockChannels - first;
    if (tile.words % 4 == 0) {
      CountVectors<P, V, 4>(rows, tile.taps, tile.words, kernel, channels, counts + first);
    } else if (tile.words % 2 == 0) {
      CountVectors<P, V, 2>(rows, tile.taps, tile.words, kernel, channels, counts + first);
    } else {
      CountVectors<P, V, 1>(rows, tile.taps, tile.words, kernel, channels, counts + first);
    }
  }
}

void Count(const BinaryTile& tile, std::int32_t* counts) {
  constexpr int kHalf = kPixels / 2;
  if (4 * svcntw() > kBlockChannels) {
    CountPixels<kPixels, 2>(tile, tile.rows, tile.pixels, counts);
  } else {
    CountPixels<kHalf, 4>(tile, tile.rows, tile.pixels < kHalf ? tile.pixels : kHalf, counts);
    if (tile.pixels > kHalf) {
      CountPixels<kHalf, 4>(tile, tile.rows + kHalf, tile.pixels - kHalf, counts + kHalf * kBlockChannels);
    }
  }
}

// values - 2 * counts
svint32_t Sums(svbool_t some, const std::int32_t* values, const std::int32_t* counts) {
  return svmls_x(some, svld1(some, values), svld1(some, counts), 2);
}

svfloat32_t Clamp(svbool_t some, svfloat32_t x, float low, float high) {
  x = svsel(svcmplt(some, x, low), svdup_f32(low), x);  // the maximum of -0.0 and 0.0 would not be x
  return svsel(svcmpgt(some, x, high), svdup_f32(high), x);
}

template <bool kClamps>
void FloatsFromCounts(const BinaryTile& tile, const std::int32_t* counts, int channels, const FloatTransform& t,
                      float* y, std::int64_t stride) {
  const FloatTransform limits = t;  // y may not change them
  for (int i = 0; i < channels; i += static_cast<int>(svcntw())) {
    const svbool_t some = svwhilelt_b32(i, channels);
    const svfloat32_t multiplier = svld1(some, t.multiplier + i), bias = svld1(some, t.bias + i);
    for (int p = 0; p < tile.pixels; ++p) {
      const svint32_t sums = Sums(some, tile.ValuesOf(p) + i, counts + p * kBlockChannels + i);
      svfloat32_t value = svcvt_f32_x(some, sums);
      if constexpr (kClamps) value = Clamp(some, value, limits.pre_low, limits.pre_high);
      value = svadd_x(some, svmul_x(some, value, multiplier), bias);
      if constexpr (kClamps) value = Clamp(some, value, limits.low, limits.high);
      svst1(some, y + p * stride + i, value);
    }
  }
}

}  // namespace

void Sve2AccumulateBits(const BinaryTile& tile, std::int32_t* acc) {
  std::int32_t counts[kPixels * kBlockChannels];
  Count(tile, counts);
  for (int i = 0; i < kBlockChannels; i += static_cast<int>(svcntw())) {
    const svbool_t some = svwhilelt_b32(i, kBlockChannels);
    for (int p = 0; p < tile.pixels; ++p) {
      const int pixel = p * kBlockChannels;
      svst1(some, acc + pixel + i, Sums(some, tile.ValuesOf(p) + i, counts + pixel + i));
    }
  }
}

void Sve2FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& t, float* y, std::int64_t stride) {
  constexpr float kInfinity = __builtin_huge_valf();
  std::int32_t counts[kPixels * kBlockChannels];
  Count(tile, counts);
  if (t.pre_low == -kInfinity && t.pre_high == kInfinity && t.low == -kInfinity && t.high == kInfinity) {
    FloatsFromCounts<false>(tile, counts, channels, t, y, stride);
  } else {
    FloatsFromCounts<true>(tile, counts, channels, t, y, stride);
  }
}

void Sve2CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride) {
  std::int32_t counts[kPixels * kBlockChannels];
  Count(tile, counts);
  for (int p = 0; p < tile.pixels; ++p) {
    svuint32_t bits = svdup_u32(0);
    svuint32_t bit = svlsl_x(svptrue_b32(), svdup_u32(1), svindex_u32(0, 1));  // of each lane
    for (int i = 0; i < kBlockChannels; i += static_cast<int>(svcntw())) {
      const svbool_t some = svwhilelt_b32(i, kBlockChannels);
      const svint32_t limits = svld1(some, tile.ValuesOf(p) + i);
      const svbool_t exceed = svcmpgt(some, svld1(some, counts + p * kBlockChannels + i), limits);
      bits = svorr_m(exceed, bits, bit);
      bit = svlsl_x(svptrue_b32(), bit, svcntw());
    }
    words[p * stride] = svorv(svptrue_b32(), bits);
  }
}

}  // namespace keras_bnn
