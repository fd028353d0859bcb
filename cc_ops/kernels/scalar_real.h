// The part of the scalar kernel set for real x. Included by scalar.cc alone.
#ifndef KERAS_BNN_KERNELS_SCALAR_REAL_H_
#define KERAS_BNN_KERNELS_SCALAR_REAL_H_

#include <cstdint>

#include "kernels/real_lanes.h"

namespace keras_bnn {
namespace {

constexpr int kRunValues = 257;  // 257 * 255 fits 16 bits

template <int P>
struct FloatTile {
  static_assert(P == 1, "one pixel at a time");

  static void Run(const RealRows<float>& x, const void* kernel, const float* start, int /*start_step*/, float* acc) {
    const auto* weights = static_cast<const float*>(kernel);
    float sums[kBlockChannels];
    for (int i = 0; i < kBlockChannels; ++i) sums[i] = start[i];
    for (int row = 0; row < x.count; ++row) {
      const float* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; ++v, weights += kBlockChannels) {
        for (int i = 0; i < kBlockChannels; ++i) sums[i] += values[v] * weights[i];
      }
    }
    for (int i = 0; i < kBlockChannels; ++i) acc[i] = sums[i];
  }
};

// A mask of 16 bits for each weight, all ones where it is -1.
inline void ExpandMasks(const Word* kernel, int rows, int length, void* expanded) {
  auto* masks = static_cast<std::uint16_t*>(expanded);
  for (std::int64_t v = 0; v < std::int64_t{rows} * length; ++v, masks += kBlockChannels) {
    for (int i = 0; i < kBlockChannels; ++i) masks[i] = static_cast<std::uint16_t>((kernel[v] >> i & 1u) * 0xffu);
  }
}

// Adds x, or 255 - x for a weight of -1: that is an exclusive or. Sums of kRunValues fit 16 bits.
template <int P>
struct ByteTile {
  static_assert(P == 1, "one pixel at a time");

  static void Run(const RealRows<std::uint8_t>& x, const void* kernel, const std::int32_t* start, int /*start_step*/,
                  std::int32_t* acc) {
    const auto* masks = static_cast<const std::uint16_t*>(kernel);
    std::uint16_t sums[kBlockChannels] = {};
    for (int row = 0; row < x.count; ++row) {
      const std::uint8_t* values = x.rows[row] + x.first;
      for (int v = 0; v < x.length; ++v, masks += kBlockChannels) {
        for (int i = 0; i < kBlockChannels; ++i) sums[i] = static_cast<std::uint16_t>(sums[i] + (values[v] ^ masks[i]));
      }
    }
    for (int i = 0; i < kBlockChannels; ++i) {
      acc[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(start[i]) + sums[i]);
    }
  }
};

struct ScalarReal {
  static constexpr FloatKernels kFloats = {1, kBlockChannels * sizeof(float), ExpandFloats, 0,
                                           AccumulateTiles<FloatTile, 1>};
  static constexpr ByteKernels kBytes = {
      1, kBlockChannels * sizeof(std::uint16_t), ExpandMasks, 255,
      AccumulateRuns<ByteTile, 1, kRunValues, 1, kBlockChannels * sizeof(std::uint16_t)>};
};

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_SCALAR_REAL_H_
