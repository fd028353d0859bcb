// Arrays of words with the operators of vectors, for compilers that have no vectors of their own. Included by
// depthwise_lanes.h alone.
#ifndef KERAS_BNN_KERNELS_WORD_ARRAY_H_
#define KERAS_BNN_KERNELS_WORD_ARRAY_H_

#include "core/layout.h"

namespace keras_bnn {
namespace {

template <int N>
struct WordArray {
  Word words[N];

  Word& operator[](int i) { return words[i]; }
  const Word& operator[](int i) const { return words[i]; }

  WordArray operator~() const { return *this ^ ~Word{0}; }
  WordArray operator-() const { return WordArray{} - *this; }

  friend WordArray operator&(const WordArray& a, const WordArray& b) {
    return Each([&](int i) { return a[i] & b[i]; });
  }
  friend WordArray operator|(const WordArray& a, const WordArray& b) {
    return Each([&](int i) { return a[i] | b[i]; });
  }
  friend WordArray operator^(const WordArray& a, const WordArray& b) {
    return Each([&](int i) { return a[i] ^ b[i]; });
  }
  friend WordArray operator+(const WordArray& a, const WordArray& b) {
    return Each([&](int i) { return a[i] + b[i]; });
  }
  friend WordArray operator-(const WordArray& a, const WordArray& b) {
    return Each([&](int i) { return a[i] - b[i]; });
  }

  friend WordArray operator&(const WordArray& a, Word b) {
    return Each([&](int i) { return a[i] & b; });
  }
  friend WordArray operator^(const WordArray& a, Word b) {
    return Each([&](int i) { return a[i] ^ b; });
  }
  friend WordArray operator+(const WordArray& a, Word b) {
    return Each([&](int i) { return a[i] + b; });
  }
  friend WordArray operator<<(const WordArray& a, int bits) {
    return Each([&](int i) { return a[i] << bits; });
  }
  friend WordArray operator>>(const WordArray& a, int bits) {
    return Each([&](int i) { return a[i] >> bits; });
  }

  template <typename Other>
  WordArray& operator&=(const Other& other) {
    return *this = *this & other;
  }
  template <typename Other>
  WordArray& operator|=(const Other& other) {
    return *this = *this | other;
  }
  template <typename Other>
  WordArray& operator^=(const Other& other) {
    return *this = *this ^ other;
  }

 private:
  template <typename Function>
  static WordArray Each(const Function& function) {
    WordArray result;
    for (int i = 0; i < N; ++i) result.words[i] = function(i);
    return result;
  }
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_WORD_ARRAY_H_
