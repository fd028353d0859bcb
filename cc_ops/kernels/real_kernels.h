// The inner loops for real x, once per instruction set, as parts of its KernelSet: for float32 x with float32 sums, and
// for 8-bit x, as values from 0 to 255, with int32 sums.
//
// As with packed bits a vector lane is an output channel, and values of x are broadcast to all lanes. The taps of a row
// of the kernel lie side by side in x, and those of the next output pixel begin a constant number of values later:
//
//     acc[pixel][channel] = start[channel] + sum over rows and i of +-rows[row][pixel * step + i]
//
// x * +-1 is exact, so a fused multiply-add rounds once, as adding or subtracting x does.
#ifndef KERAS_BNN_KERNELS_REAL_KERNELS_H_
#define KERAS_BNN_KERNELS_REAL_KERNELS_H_

#include <cstdint>

#include "core/layout.h"

namespace keras_bnn {

// Values that must be readable behind those of a row's last pixel; they do not count.
constexpr int kReadAhead = 3;

// The parts of a row that are expanded apart from each other begin at multiples of this.
constexpr int kExpandedTogether = 4;

// x under some rows of taps.
template <typename X>
struct RealRows {
  const X* const* rows;
  int count;           // of rows, at least 1
  int length;          // values of a row of taps, at least 1
  std::int64_t first;  // values of a row before those of the first pixel
  std::int64_t step;   // values from a pixel to the next
};

template <typename X, typename Acc>
struct RealKernels {
  // A kernel is not read as bits but as what `expand` makes of them: for each row of taps and each `unit` of values,
  // the last one filled up, `unit_bytes` for the 32 channels of a block.
  int unit;
  int unit_bytes;
  void (*expand)(const Word* kernel, int rows, int length, void* expanded);  // kernel is [row][value], bit = channel

  // What the sum is too large by for each weight of -1: the caller takes it off the start.
  std::int32_t excess;

  // The sum of a pixel begins with start[pixel * start_step + channel]; start may be acc. acc is [pixel][32]. Integers
  // wrap around, so that only the sum in the end must fit.
  void (*accumulate)(const RealRows<X>& x, int pixels, const void* kernel, const Acc* start, int start_step, Acc* acc);

  std::int64_t ExpandedBytes(int rows, int length) const {
    return std::int64_t{rows} * ((length + unit - 1) / unit) * unit_bytes;
  }
};

using FloatKernels = RealKernels<float, float>;
using ByteKernels = RealKernels<std::uint8_t, std::int32_t>;

}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_REAL_KERNELS_H_
