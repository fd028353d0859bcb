// Ranges of bits that begin anywhere in a row of words, and bits that stand there several times.
#ifndef KERAS_BNN_KERNELS_BIT_RANGE_H_
#define KERAS_BNN_KERNELS_BIT_RANGE_H_

#include <cstdint>

#include "core/layout.h"

namespace keras_bnn {

constexpr Word LowBits(int count) { return count >= kWordBits ? ~Word{0} : (Word{1} << count) - 1; }

// Copies bits [first, first + count) of `from` to the beginning of `to`; the unused bits of its last word become 0.
inline void ExtractBits(const Word* from, int first, int count, Word* to) {
  for (int done = 0; done < count; done += kWordBits) {
    const int word = (first + done) / kWordBits;
    const int shift = (first + done) % kWordBits;
    const int used = count - done < kWordBits ? count - done : kWordBits;
    Word bits = from[word] >> shift;
    if (shift + used > kWordBits) bits |= from[word + 1] << (kWordBits - shift);
    *to++ = bits & LowBits(used);
  }
}

// Sets bits [first, first + count) of `to`, which must be 0, to the low bits of `bits`, whose other bits must be 0;
// count <= 32.
inline void InsertBits(Word bits, int first, int count, Word* to) {
  const int word = first / kWordBits;
  const int shift = first % kWordBits;
  to[word] |= bits << shift;
  if (shift + count > kWordBits) to[word + 1] |= bits >> (kWordBits - shift);
}

// The low 16 bits, each twice.
inline Word DoubleBits(Word bits) {
  bits &= 0xffffu;
  bits = (bits | bits << 8) & 0x00ff00ffu;
  bits = (bits | bits << 4) & 0x0f0f0f0fu;
  bits = (bits | bits << 2) & 0x33333333u;
  bits = (bits | bits << 1) & 0x55555555u;
  return bits | bits << 1;
}

// Writes each of the `count` bits of `from`, whose unused bits must be 0, `times` times in a row; the unused bits of
// the last word become 0.
inline void RepeatBits(const Word* from, int count, int times, Word* to) {
  const int words = static_cast<int>((std::int64_t{count} * times + kWordBits - 1) / kWordBits);
  if (times == 2) {
    for (int w = 0; w < words; ++w) to[w] = DoubleBits(from[w / 2] >> (w % 2 * (kWordBits / 2)));
  } else if (times == 4) {
    for (int w = 0; w < words; ++w) to[w] = DoubleBits(DoubleBits(from[w / 4] >> (w % 4 * (kWordBits / 4)) & 0xffu));
  } else {
    for (int w = 0; w < words; ++w) to[w] = 0;
    for (int bit = 0; bit < count; ++bit) {
      if ((from[bit / kWordBits] >> (bit % kWordBits) & 1u) == 0) continue;
      const int end = (bit + 1) * times;
      for (int first = bit * times; first < end;) {
        const int copies = end - first < kWordBits ? end - first : kWordBits;
        InsertBits(LowBits(copies), first, copies, to);
        first += copies;
      }
    }
  }
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_BIT_RANGE_H_
