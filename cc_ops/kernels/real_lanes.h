// What the kernel sets' parts for real x have in common. Included by those alone, and under the rules of lanes.h.
#ifndef KERAS_BNN_KERNELS_REAL_LANES_H_
#define KERAS_BNN_KERNELS_REAL_LANES_H_

#include <cstdint>

#include "kernels/lanes.h"
#include "kernels/real_kernels.h"

namespace keras_bnn {
namespace {

// Weights as float32 +1 and -1, [row][value][channel].
inline void ExpandFloats(const Word* kernel, int rows, int length, void* expanded) {
  auto* weights = static_cast<std::uint32_t*>(expanded);
  for (std::int64_t v = 0; v < std::int64_t{rows} * length; ++v, weights += kBlockChannels) {
    const Word word = kernel[v];
    for (int i = 0; i < kBlockChannels; ++i) weights[i] = 0x3f800000u | (word >> i) << 31;
  }
}

// Calls Tile<P>::Run for tiles of kPixels pixels and the rest.
template <template <int> class Tile, int kPixels, typename X, typename Acc>
void AccumulateTiles(const RealRows<X>& x, int pixels, const void* kernel, const Acc* start, int start_step, Acc* acc) {
  RealRows<X> tile = x;
  for (; pixels > 0; pixels -= kPixels) {
    DispatchTile<Tile, kPixels>(pixels < kPixels ? pixels : kPixels, tile, kernel, start, start_step, acc);
    tile.first += kPixels * x.step;
    start += kPixels * start_step;
    acc += kPixels * kBlockChannels;
  }
}

// The same for kernels whose sums of kMost units, of kUnit values and kUnitBytes bytes of the kernel, must be emptied
// into acc.
template <template <int> class Tile, int kPixels, int kMost, int kUnit, int kUnitBytes>
void AccumulateRuns(const RealRows<std::uint8_t>& x, int pixels, const void* kernel, const std::int32_t* start,
                    int start_step, std::int32_t* acc) {
  const auto* weights = static_cast<const unsigned char*>(kernel);
  ForEachRun(x.count, (x.length + kUnit - 1) / kUnit, kMost, [&](int row, int rows, int unit, int units) {
    const int rest = x.length - unit * kUnit;
    const int length = units * kUnit < rest ? units * kUnit : rest;
    const RealRows<std::uint8_t> run = {x.rows + row, rows, length, x.first + unit * kUnit, x.step};
    AccumulateTiles<Tile, kPixels>(run, pixels, weights, start, start_step, acc);
    weights += std::int64_t{rows} * units * kUnitBytes;
    start = acc;
    start_step = kBlockChannels;
  });
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_REAL_LANES_H_
