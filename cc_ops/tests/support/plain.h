// The arithmetic of docs/format.md written as plainly as possible: what kernels and ops are compared with.
#ifndef KERAS_BNN_TESTS_SUPPORT_PLAIN_H_
#define KERAS_BNN_TESTS_SUPPORT_PLAIN_H_

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/layout.h"
#include "kernels/conv_layer.h"

namespace keras_bnn {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Range kNoActivation = {-kInfinity, kInfinity};

// Rows of +-1 as packed rows.
inline std::vector<Word> PackSigns(const std::vector<int>& signs, int channels) {
  const int words = channels / 32 + (channels % 32 == 0 ? 0 : 1);
  const std::size_t rows = signs.size() / channels;
  std::vector<Word> packed(rows * words, 0);
  for (std::size_t row = 0; row < rows; ++row) {
    for (int c = 0; c < channels; ++c) {
      if (signs[row * channels + c] < 0) {
        packed[row * words + c / 32] |= std::uint32_t{1} << (c % 32);
      }
    }
  }
  return packed;
}

// Packed rows as +-1.
inline std::vector<int> UnpackSigns(const std::vector<Word>& packed, int channels) {
  const int words = channels / 32 + (channels % 32 == 0 ? 0 : 1);
  std::vector<int> signs;
  for (std::size_t row = 0; row < packed.size() / words; ++row) {
    for (int c = 0; c < channels; ++c) {
      const Word word = packed[row * words + c / 32];
      signs.push_back((word >> (c % 32)) % 2 == 1 ? -1 : 1);
    }
  }
  return signs;
}

// y = activation(pre_activation(acc) * multiplier + bias). Volatile: every operation rounds to float32 once.
template <typename Acc>
float PlainTransform(Acc acc, float multiplier, float bias, Range pre_activation, Range activation) {
  volatile float y = static_cast<float>(acc);
  if (y < pre_activation.low) y = pre_activation.low;
  if (y > pre_activation.high) y = pre_activation.high;
  y = y * multiplier;
  y = y + bias;
  if (y < activation.low) y = activation.low;
  if (y > activation.high) y = activation.high;
  return y;
}

// One step of an accumulator: acc + x * weight, rounded once.
inline float PlainStep(float acc, float x, int weight) {
  volatile float sum = weight > 0 ? acc + x : acc - x;
  return sum;
}
inline std::int32_t PlainStep(std::int32_t acc, std::int32_t x, int weight) { return acc + x * weight; }

inline std::uint32_t BitsOf(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

// The same bits, or both NaN (the sign and payload of a NaN are no part of the format).
inline bool SameFloat(float a, float b) { return (a != a && b != b) || BitsOf(a) == BitsOf(b); }

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_PLAIN_H_
