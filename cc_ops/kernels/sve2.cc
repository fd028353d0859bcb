// SVE2: as many channels per register as the CPU has 32-bit lanes, in code that is the same for every vector length.
//
// CNT counts a whole 32-bit lane, so that nothing is widened: eor, cnt and add per vector of channels and word of x.
// Registers of the counting loop: 16 accumulators, the vectors of the kernel, a broadcast x, temporaries. With vectors
// of 128 bits a block of 32 channels takes two rounds of 4 pixels times 4 vectors of channels, with 256 bits one;
// longer vectors take one round of 8 pixels times 2 vectors, of which predicates cut off what is too much. Outputs are
// made of the counts while they are in registers.
#include "kernels/sve2.h"

#include <arm_sve.h>

#include <limits>

#include "core/compiler.h"

namespace keras_bnn {
namespace {

template <auto kValue>
struct Constant {
  static constexpr auto value = kValue;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Outputs are made of the counts of one pixel after the other: of each vector of channels, which begins v vectors after
// channel `first`, and then of all of them. `values` is the pixel's row from channel `first`; `bits` collects what the
// vectors leave for the end. `channels` are those of the block that have an output.

// values - 2 * counts
svint32_t Sums(svbool_t some, const std::int32_t* values, int v, svint32_t counts) {
  return svmls_x(some, svld1_vnum(some, values, v), counts, 2);
}

struct ToSums {
  std::int32_t* acc;
  int channels = kBlockChannels;

  KERAS_BNN_ALWAYS_INLINE svuint32_t Vector(int p, int first, int v, svbool_t some, svint32_t counts,
                                            const std::int32_t* values, svuint32_t bits) const {
    svst1_vnum(some, acc + p * kBlockChannels + first, v, Sums(some, values, v, counts));
    return bits;
  }

  void Pixel(int, int, svuint32_t) const {}
};

svfloat32_t Clamp(svbool_t some, svfloat32_t x, float low, float high) {
  x = svsel(svcmplt(some, x, low), svdup_f32(low), x);  // the maximum of -0.0 and 0.0 would not be x
  return svsel(svcmpgt(some, x, high), svdup_f32(high), x);
}

struct ToFloats {
  FloatTransform t;
  bool clamps;
  float* y;
  std::int64_t stride;
  int channels;

  KERAS_BNN_ALWAYS_INLINE svuint32_t Vector(int p, int first, int v, svbool_t some, svint32_t counts,
                                            const std::int32_t* values, svuint32_t bits) const {
    svfloat32_t value = svcvt_f32_x(some, Sums(some, values, v, counts));
    if (clamps) value = Clamp(some, value, t.pre_low, t.pre_high);
    value = svmul_x(some, value, svld1_vnum(some, t.multiplier + first, v));
    value = svadd_x(some, value, svld1_vnum(some, t.bias + first, v));
    if (clamps) value = Clamp(some, value, t.low, t.high);
    svst1_vnum(some, y + p * stride + first, v, value);
    return bits;
  }

  void Pixel(int, int, svuint32_t) const {}
};

struct ToBits {
  Word* words;
  std::int64_t stride;
  int channels = kBlockChannels;

  KERAS_BNN_ALWAYS_INLINE svuint32_t Vector(int, int first, int v, svbool_t some, svint32_t counts,
                                            const std::int32_t* values, svuint32_t bits) const {
    const svbool_t exceed = svcmpgt(some, counts, svld1_vnum(some, values, v));
    const auto lane = static_cast<Word>(first + v * static_cast<int>(svcntw()));
    return svorr_m(exceed, bits, svlsl_x(svptrue_b32(), svdup_u32(1), svindex_u32(lane, 1)));
  }

  void Pixel(int p, int first, svuint32_t bits) const {
    const Word word = svorv(svptrue_b32(), bits);
    words[p * stride] = first == 0 ? word : words[p * stride] | word;
  }
};

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

#define KERAS_BNN_FINISH(s, p, v) \
  bits = finish.Vector(pixel + p, first, v, some##v, svreinterpret_s32(s), values, bits)

#define KERAS_BNN_FINISH_PIXEL(p)                                                  \
  if constexpr (p < P) {                                                           \
    svuint32_t bits = zero;                                                        \
    const std::int32_t* values = tile.values + tile.value_rows[pixel + p] + first; \
    KERAS_BNN_FINISH(s##p##0, p, 0);                                               \
    KERAS_BNN_FINISH(s##p##1, p, 1);                                               \
    if constexpr (V > 2) KERAS_BNN_FINISH(s##p##2, p, 2);                          \
    if constexpr (V > 2) KERAS_BNN_FINISH(s##p##3, p, 3);                          \
    finish.Pixel(pixel + p, first, bits);                                          \
  }
// clang-format on

// P pixels and V vectors of channels.
template <int P, int V, typename Finish>
void CountVectors(const BinaryTile& tile, int pixel, int first, const Finish& outputs) {
  static_assert(P * V <= 16 && (V == 2 || V == 4));
  const auto lanes = static_cast<int>(svcntw());
  const svbool_t all = svptrue_b32();
  const svbool_t some0 = svwhilelt_b32(first, outputs.channels);
  const svbool_t some1 = svwhilelt_b32(first + lanes, outputs.channels);
  const svbool_t some2 = svwhilelt_b32(first + 2 * lanes, outputs.channels);
  const svbool_t some3 = svwhilelt_b32(first + 3 * lanes, outputs.channels);
  const svuint32_t zero = svdup_u32(0);
  const Finish finish = outputs;  // what is written may not change it
  KERAS_BNN_EACH_PIXEL(KERAS_BNN_CLEAR)
  // A tap has a multiple of kStep words, or just as many.
  const auto count_taps = [&](auto step, auto is_one_step) __attribute__((always_inline)) {
    constexpr int kStep = decltype(step)::value;
    constexpr bool kOneStep = decltype(is_one_step)::value;
    const Word* const* rows = tile.rows + pixel;
    const Word* kernel = tile.kernel + first;
    for (int tap = 0; tap < tile.taps; ++tap, rows += kMaxTilePixels) {
      KERAS_BNN_EACH_PIXEL(KERAS_BNN_TAKE_ROW)
      int left = tile.words;
      do {
#pragma GCC unroll 4
        for (int i = 0; i < kStep; ++i, kernel += kBlockChannels) {
          const svuint32_t k0 = svld1_vnum(some0, kernel, 0);
          const svuint32_t k1 = svld1_vnum(some1, kernel, 1);
          const svuint32_t k2 = V > 2 ? svld1_vnum(some2, kernel, 2) : k0;
          const svuint32_t k3 = V > 2 ? svld1_vnum(some3, kernel, 3) : k0;
          KERAS_BNN_EACH_PIXEL(KERAS_BNN_COUNT_PIXEL)
        }
        KERAS_BNN_EACH_PIXEL(KERAS_BNN_ADVANCE)
        left -= kStep;
      } while (!kOneStep && left > 0);
    }
  };
  if (tile.words == 2) {
    count_taps(Constant<2>(), Constant<true>());
  } else if (tile.words == 4) {
    count_taps(Constant<4>(), Constant<true>());
  } else if (tile.words % 4 == 0) {
    count_taps(Constant<4>(), Constant<false>());
  } else {
    count_taps(Constant<1>(), Constant<false>());
  }
  KERAS_BNN_EACH_PIXEL(KERAS_BNN_FINISH_PIXEL)
}

#undef KERAS_BNN_EACH_PIXEL
#undef KERAS_BNN_CLEAR
#undef KERAS_BNN_TAKE_ROW
#undef KERAS_BNN_COUNT
#undef KERAS_BNN_COUNT_PIXEL
#undef KERAS_BNN_ADVANCE
#undef KERAS_BNN_FINISH
#undef KERAS_BNN_FINISH_PIXEL
#undef KERAS_BNN_ALWAYS_INLINE

// P pixels and all channels.
template <int P, int V, typename Finish>
void CountRounds(const BinaryTile& tile, int pixel, const Finish& finish) {
  for (int first = 0; first < finish.channels; first += V * static_cast<int>(svcntw())) {
    CountVectors<P, V>(tile, pixel, first, finish);
  }
}

// From `pixel` on, as many times P pixels as there are, and then the rest.
template <int P, int V, typename Finish>
void CountPixels(const BinaryTile& tile, int pixel, const Finish& finish) {
  for (; pixel + P <= tile.pixels; pixel += P) CountRounds<P, V>(tile, pixel, finish);
  if constexpr (P > 1) CountPixels<P / 2, V>(tile, pixel, finish);
}

template <typename Finish>
void Count(const BinaryTile& tile, const Finish& finish) {
  if (4 * svcntw() <= kBlockChannels) {
    CountPixels<4, 4>(tile, 0, finish);
  } else {
    CountPixels<8, 2>(tile, 0, finish);
  }
}

}  // namespace

void Sve2AccumulateBits(const BinaryTile& tile, std::int32_t* acc) { Count(tile, ToSums{acc}); }

void Sve2FloatsFromBits(const BinaryTile& tile, int channels, const FloatTransform& t, float* y, std::int64_t stride) {
  const bool clamps = t.pre_low != -kInfinity || t.pre_high != kInfinity || t.low != -kInfinity || t.high != kInfinity;
  Count(tile, ToFloats{t, clamps, y, stride, channels});
}

void Sve2CompareBits(const BinaryTile& tile, Word* words, std::int64_t stride) { Count(tile, ToBits{words, stride}); }

}  // namespace keras_bnn
