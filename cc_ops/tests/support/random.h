// Seeded test data: the same on every platform, about half negative, with zeros and -0.0.
#ifndef KERAS_BNN_TESTS_SUPPORT_RANDOM_H_
#define KERAS_BNN_TESTS_SUPPORT_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "core/layout.h"

namespace keras_bnn {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t Bits() { return static_cast<std::uint32_t>(engine_()); }

  // In [low, high].
  int Int(int low, int high) {
    const std::uint64_t span = static_cast<std::uint64_t>(std::int64_t{high} - low) + 1;
    return static_cast<int>(low + static_cast<std::int64_t>(Bits() % span));
  }

  bool OneIn(int n) { return Int(1, n) == 1; }

  int Sign() { return OneIn(2) ? -1 : 1; }

  // Magnitudes from 2^-8 to 2^8, so that the order of a sum shows in its bits; one in eight is 0 or -0.
  float Float() {
    const float sign = static_cast<float>(Sign());
    if (OneIn(8)) return sign * 0.0f;
    const float mantissa = 1.0f + static_cast<float>(Bits() >> 9) * 0x1p-23f;
    return sign * std::ldexp(mantissa, Int(-8, 7));
  }

  std::vector<int> Signs(int count) {
    std::vector<int> signs(count);
    for (int& sign : signs) sign = Sign();
    return signs;
  }

  std::vector<float> Floats(int count) {
    std::vector<float> floats(count);
    for (float& x : floats) x = Float();
    return floats;
  }

  std::vector<int> Ints(int count, int low, int high) {
    std::vector<int> ints(count);
    for (int& x : ints) x = Int(low, high);
    return ints;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_RANDOM_H_
