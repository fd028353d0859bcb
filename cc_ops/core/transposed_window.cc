#include "core/transposed_window.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/refusal.h"

namespace keras_bnn {

TransposedWindow TransposedWindow::Place(const char* axis, int input, int size, int stride, int pad_before,
                                         int pad_after) {
  if (input < 1) Refuse("the %s is %d pixels; expected at least 1", axis, input);
  const std::int64_t covered = (std::int64_t{input} - 1) * stride + size;
  const std::int64_t output = covered - pad_before - pad_after;
  if (output < 1) {
    Refuse("the paddings %d and %d cut off all %lld pixels that the %s of %d pixels gives; expected smaller ones",
           pad_before, pad_after, static_cast<long long>(covered), axis, input);
  }
  // Every position that a kernel computes lies within this distance from 0, so int arithmetic cannot overflow later.
  if (std::max(covered, output) + pad_before + stride > std::numeric_limits<int>::max()) {
    Refuse("the %s of %d pixels with %d taps and stride %d gives over 2^31 pixels", axis, input, size, stride);
  }
  return {input, size, stride, pad_before, static_cast<int>(output)};
}

}  // namespace keras_bnn
