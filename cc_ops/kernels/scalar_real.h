// The part of the scalar kernel set for real x. Included by scalar.cc alone.
#ifndef KERAS_BNN_KERNELS_SCALAR_REAL_H_
#define KERAS_BNN_KERNELS_SCALAR_REAL_H_

#include <cstdint>

#include "kernels/lanes.h"

namespace keras_bnn {
namespace {

// x * +-1 is exact, also for floats, so the sum rounds once, as adding or subtracting x does.
template <int P, typename X, typename Acc>
void AccumulateReal(const X* const* rows, int taps, int channels, const Word* kernel, Acc zero_point, Acc* acc) {
  for (int p = 0; p < P; ++p, acc += kBlockChannels) {
    for (int i = 0; i < kBlockChannels; ++i) acc[i] = 0;
    const Word* k = kernel;
    for (int tap = 0; tap < taps; ++tap) {
      const X* x = rows[tap * P + p];
      for (int c = 0; c < channels; ++c, ++k) {
        const Acc value = static_cast<Acc>(x[c]) - zero_point;
        for (int i = 0; i < kBlockChannels; ++i)
          acc[i] += value * static_cast<Acc>(1 - 2 * static_cast<int>(*k >> i & 1u));
      }
    }
  }
}

template <int P>
struct FloatTile {
  static void Run(const float* const* rows, int taps, int channels, const Word* kernel, float* acc) {
    AccumulateReal<P>(rows, taps, channels, kernel, 0.0f, acc);
  }
};

template <typename X>
struct IntTiles {
  template <int P>
  struct Tile {
    static void Run(const X* const* rows, int taps, int channels, const Word* kernel, std::int32_t zero_point,
                    std::int32_t* acc) {
      AccumulateReal<P>(rows, taps, channels, kernel, zero_point, acc);
    }
  };
};

using ScalarReal = RealOf<4, FloatTile, IntTiles>;

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_SCALAR_REAL_H_
