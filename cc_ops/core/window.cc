#include "core/window.h"

#include <cstdint>
#include <limits>

#include "core/layout.h"
#include "core/refusal.h"

namespace keras_bnn {

Window Window::Place(const char* axis, int input, int size, int stride, int dilation, Padding padding, int pad_before,
                     int pad_after) {
  if (input < 1) Refuse("the %s is %d pixels; expected at least 1", axis, input);
  const std::int64_t covered = (std::int64_t{size} - 1) * dilation + 1;
  std::int64_t before = 0;
  std::int64_t output = 0;
  if (padding == Padding::kSame) {
    output = CeilDiv<std::int64_t>(input, stride);
    const std::int64_t missing = (output - 1) * stride + covered - input;
    before = missing > 0 ? missing / 2 : 0;
  } else {
    before = padding == Padding::kExplicit ? pad_before : 0;
    const std::int64_t after = padding == Padding::kExplicit ? pad_after : 0;
    const std::int64_t room = before + input + after - covered;
    output = room < 0 ? 0 : room / stride + 1;
  }
  if (output < 1) {
    Refuse(
        "the window of %lld pixels (%d taps, dilation %d) is larger than the padded %s of %lld pixels; expected a "
        "larger image",
        static_cast<long long>(covered), size, dilation, axis,
        static_cast<long long>(padding == Padding::kExplicit ? before + input + pad_after : input));
  }
  // Every position that a kernel computes lies within this distance from 0, so int arithmetic cannot overflow later.
  const std::int64_t reach = output * stride + covered + before;
  if (reach > std::numeric_limits<int>::max()) {
    Refuse("the %s of %d pixels with %d taps, stride %d and dilation %d reaches over 2^31 pixels", axis, input, size,
           stride, dilation);
  }
  return {input, size, stride, dilation, static_cast<int>(before), static_cast<int>(output)};
}

}  // namespace keras_bnn
