// The depthwise part of a kernel set, nearly the same C++ for every instruction set. Included by lanes.h alone, under
// its rules. Vectors are those of GCC and Clang, which become what registers the set's flags allow; for other compilers
// they are arrays.
//
// A word holds one tap of 32 channels, and a vector that of kMaxTilePixels pixels. So 256 sums are counted side by
// side, as bits: the words of `digits` are the binary digits of 32 counters, and to add a word to them is a carry that
// ripples through the digits.
#ifndef KERAS_BNN_KERNELS_DEPTHWISE_LANES_H_
#define KERAS_BNN_KERNELS_DEPTHWISE_LANES_H_

#include <cstdint>
#include <cstring>

#include "core/compiler.h"
#include "kernels/kernel_set.h"

#if defined(KERAS_BNN_GNU) && defined(__AVX2__)
#include <immintrin.h>
#elif !defined(KERAS_BNN_GNU)
#include "kernels/word_array.h"
#endif

namespace keras_bnn {
namespace {

// Channels of a vector: as many as lanes can be shifted by different numbers of bits.
#if defined(KERAS_BNN_GNU) && defined(__AVX512F__)
constexpr int kPartLanes = 16;
#elif defined(KERAS_BNN_GNU) && defined(__AVX2__)
constexpr int kPartLanes = 8;
#else
constexpr int kPartLanes = 4;
#endif

#if defined(KERAS_BNN_GNU)
typedef Word TileWords __attribute__((vector_size(kMaxTilePixels * sizeof(Word))));
typedef Word FourWords __attribute__((vector_size(4 * sizeof(Word))));
typedef Word PartWords __attribute__((vector_size(kPartLanes * sizeof(Word))));

// The lanes of a and, from number kMaxTilePixels on, of b.
template <int... indices>
void Shuffle(const TileWords& a, const TileWords& b, TileWords* result) {
  *result = __builtin_shufflevector(a, b, indices...);
}
#else
using TileWords = WordArray<kMaxTilePixels>;
using FourWords = WordArray<4>;
using PartWords = WordArray<kPartLanes>;

template <int... indices>
void Shuffle(const TileWords& a, const TileWords& b, TileWords* result) {
  *result = {(indices < kMaxTilePixels ? a : b)[indices % kMaxTilePixels]...};
}
#endif

constexpr int kCounterDigits = kComparedDigits - 1;
constexpr int kMostCounted = kMostCompared;

static_assert(kMostCounted == (1 << kCounterDigits) - 1, "counters are compared as they are");

static_assert(kMaxTilePixels == 8, "the shuffles below are written for 8 pixels");

inline void LoadTile(const Word* words, TileWords* tile) { std::memcpy(tile, words, sizeof(TileWords)); }

inline PartWords LoadPart(const std::int32_t* values) {
  PartWords part;
  std::memcpy(&part, values, sizeof(part));
  return part;
}

// Gathers the digits of the channels 4 n + j in the n-th nibble of word j: counts[pixel] is these four words, so that
// a shift by 4 n gives the counts of four neighbouring channels.
inline void GatherCounts(const TileWords (&digits)[kCounterDigits], FourWords (&counts)[kMaxTilePixels]) {
  TileWords w[4];
  for (int j = 0; j < 4; ++j) {
    w[j] = digits[0] >> j & 0x11111111u;
    for (int digit = 1; digit < kCounterDigits; ++digit) w[j] |= (digits[digit] >> j & 0x11111111u) << digit;
  }
  TileWords low01, low23, high01, high23, pixels[4];
  Shuffle<0, 8, 1, 9, 2, 10, 3, 11>(w[0], w[1], &low01);
  Shuffle<0, 8, 1, 9, 2, 10, 3, 11>(w[2], w[3], &low23);
  Shuffle<4, 12, 5, 13, 6, 14, 7, 15>(w[0], w[1], &high01);
  Shuffle<4, 12, 5, 13, 6, 14, 7, 15>(w[2], w[3], &high23);
  Shuffle<0, 1, 8, 9, 2, 3, 10, 11>(low01, low23, &pixels[0]);
  Shuffle<4, 5, 12, 13, 6, 7, 14, 15>(low01, low23, &pixels[1]);
  Shuffle<0, 1, 8, 9, 2, 3, 10, 11>(high01, high23, &pixels[2]);
  Shuffle<4, 5, 12, 13, 6, 7, 14, 15>(high01, high23, &pixels[3]);
  std::memcpy(counts, pixels, sizeof(pixels));
}

// Twice the counts of channels [part * kPartLanes, (part + 1) * kPartLanes).
inline PartWords DoubledCounts(const FourWords& counts, int part) {
#if defined(KERAS_BNN_GNU) && defined(__AVX512F__)
  const auto all = reinterpret_cast<PartWords>(_mm512_broadcast_i32x4(reinterpret_cast<__m128i>(counts)));
  const PartWords shifts = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  return (all >> (shifts + part * kPartLanes) & 15u) << 1;
#elif defined(KERAS_BNN_GNU) && defined(__AVX2__)
  const auto all = reinterpret_cast<PartWords>(_mm256_broadcastsi128_si256(reinterpret_cast<__m128i>(counts)));
  const PartWords shifts = {0, 0, 0, 0, 4, 4, 4, 4};
  return (all >> (shifts + part * kPartLanes) & 15u) << 1;
#else
  return (part == 0 ? counts << 1 : counts >> (4 * part - 1)) & 30u;
#endif
}

// acc[channel] = start[channel] - 2 * count; start(part) has those of a part.
template <typename Start>
inline void TakeOffCounts(const FourWords& counts, const Start& start, std::int32_t* acc) {
  for (int part = 0; part < kWordBits / kPartLanes; ++part) {
    const PartWords rest = start(part) - DoubledCounts(counts, part);
    std::memcpy(acc + part * kPartLanes, &rest, sizeof(rest));
  }
}

// Adds to the counters, for taps [begin, end), the bits in which x and kernel differ.
inline void CountDiffering(const Word* const* x, const Word* const* inside, int first, int begin, int end,
                           const Word* kernel, TileWords (&digits)[kCounterDigits]) {
  for (int tap = begin; tap < end; ++tap) {
    TileWords carry;
    LoadTile(x[tap] + first, &carry);
    carry ^= kernel[tap];
    if (inside != nullptr) {
      TileWords mask;
      LoadTile(inside[tap] + first, &mask);
      carry &= mask;
    }
    for (TileWords& digit : digits) {
      const TileWords next = digit & carry;
      digit ^= carry;
      carry = next;
    }
  }
}

inline void AccumulateDepthwiseBits(const Word* const* x, const Word* const* inside, int first, int pixels, int taps,
                                    const Word* kernel, const std::int32_t* bits, std::int32_t* acc) {
  int begin = 0;
  do {
    const int end = taps - begin < kMostCounted ? taps : begin + kMostCounted;
    TileWords digits[kCounterDigits] = {};
    CountDiffering(x, inside, first, begin, end, kernel, digits);
    FourWords counts[kMaxTilePixels];
    GatherCounts(digits, counts);
    for (int p = 0; p < pixels; ++p) {
      std::int32_t* pixel_acc = acc + p * kBlockChannels;
      if (begin == 0) {
        const PartWords start = PartWords{} + static_cast<Word>(bits[first + p]);
        TakeOffCounts(counts[p], [&](int) { return start; }, pixel_acc);
      } else {
        TakeOffCounts(counts[p], [&](int part) { return LoadPart(pixel_acc + part * kPartLanes); }, pixel_acc);
      }
    }
    begin = end;
  } while (begin < taps);
}

// Taps that do not count are half different: the counters begin with half their number, and where it is odd, the
// numbers to reach are those for a sum that is 1 less. The counters are then compared as they are, digit by digit from
// the lowest: a borrow of count - least is left where the count is smaller.
inline void CompareDepthwiseBits(const Word* const* x, const Word* const* inside, int first, int pixels, int taps,
                                 const Word* kernel, const std::int32_t* outside, const Word* least, Word* words,
                                 std::int64_t stride) {
  TileWords missing;
  std::memcpy(&missing, outside + first, sizeof(missing));
  const TileWords odd = -(missing & 1u);
  TileWords digits[kCounterDigits];
  for (int digit = 0; digit < kCounterDigits; ++digit) digits[digit] = -(missing >> (digit + 1) & 1u);
  CountDiffering(x, inside, first, 0, taps, kernel, digits);
  TileWords borrow = {};
  for (int digit = 0; digit < kCounterDigits; ++digit) {
    const TileWords subtracted = (odd & least[kComparedDigits + digit]) | (~odd & least[digit]);
    borrow = (~digits[digit] & (borrow | subtracted)) | (borrow & subtracted);
  }
  // A number with the highest digit is never reached.
  const TileWords never = (odd & least[kComparedDigits + kCounterDigits]) | (~odd & least[kCounterDigits]);
  const TileWords reached = ~(borrow | never);
  for (int p = 0; p < pixels; ++p) words[p * stride] = reached[p];
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_DEPTHWISE_LANES_H_
