// Bit layout of packed tensors, as in docs/format.md: a set bit is -1, channel c is bit c % 32 of word c / 32, unused
// bits are 0.
#ifndef KERAS_BNN_CORE_LAYOUT_H_
#define KERAS_BNN_CORE_LAYOUT_H_

#include <cstdint>

namespace keras_bnn {

using Word = std::uint32_t;

constexpr int kWordBits = 32;

// Of any a and of b > 0; nothing on the way is larger than both.
template <typename Int>
constexpr Int CeilDiv(Int a, Int b) {
  return a / b + (a % b > 0 ? 1 : 0);
}

// Words that hold `channels` bits.
constexpr int WordsFor(int channels) { return channels / kWordBits + (channels % kWordBits != 0); }

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_LAYOUT_H_
