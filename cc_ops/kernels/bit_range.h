// Ranges of bits that begin anywhere in a row of words.
#ifndef KERAS_BNN_KERNELS_BIT_RANGE_H_
#define KERAS_BNN_KERNELS_BIT_RANGE_H_

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

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_BIT_RANGE_H_
