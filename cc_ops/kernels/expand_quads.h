// Kernels of 8-bit x for the x86 kernel sets, whose instructions multiply four bytes of x by four of weights. Included
// by those alone, and under the rules of lanes.h.
#ifndef KERAS_BNN_KERNELS_EXPAND_QUADS_H_
#define KERAS_BNN_KERNELS_EXPAND_QUADS_H_

#include <immintrin.h>

#include <cstring>

#include "core/layout.h"

namespace keras_bnn {
namespace {

constexpr int kQuadBytes = 4 * kWordBits;

// Weights as bytes +1 and -1, and 0 behind the end of a row: [row][four values][channel][value].
inline void ExpandQuads(const Word* kernel, int rows, int length, void* expanded) {
  // Byte i of word j of the four becomes byte j of lane i: bits of 8 channels, for the four values.
  const __m256i transpose =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m256i own_bit = _mm256_setr_epi32(0x01010101, 0x02020202, 0x04040404, 0x08080808, 0x10101010, 0x20202020,
                                            0x40404040, static_cast<int>(0x80808080));
  auto* weights = static_cast<__m256i*>(expanded);
  const auto store = [&](__m256i bits, __m256i used) {
    const __m256i negative = _mm256_cmpeq_epi8(_mm256_and_si256(bits, own_bit), own_bit);
    _mm256_storeu_si256(weights++, _mm256_and_si256(_mm256_or_si256(negative, _mm256_set1_epi8(1)), used));
  };
  for (int row = 0; row < rows; ++row, kernel += length) {
    for (int v = 0; v < length; v += 4) {
      __m128i words;
      __m256i used = _mm256_set1_epi8(-1);
      if (v + 4 <= length) {
        std::memcpy(&words, kernel + v, sizeof(words));
      } else {
        Word rest[4] = {};
        for (int i = v; i < length; ++i) rest[i - v] = kernel[i];
        std::memcpy(&words, rest, sizeof(words));
        used = _mm256_set1_epi32((1 << 8 * (length - v)) - 1);
      }
      const __m256i bits = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(words), transpose);
      store(_mm256_shuffle_epi32(bits, 0x00), used);
      store(_mm256_shuffle_epi32(bits, 0x55), used);
      store(_mm256_shuffle_epi32(bits, 0xaa), used);
      store(_mm256_shuffle_epi32(bits, 0xff), used);
    }
  }
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_EXPAND_QUADS_H_
