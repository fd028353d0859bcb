// float32 values as int8, as in docs/format.md.
#ifndef KERAS_BNN_KERNELS_ROUND_TO_INT8_H_
#define KERAS_BNN_KERNELS_ROUND_TO_INT8_H_

#include <cstdint>

namespace keras_bnn {
namespace {  // compiled once per kernel set, see kernels/lanes.h

// round(y / scale) + zero_point, clamped to -128 and 127: the quotient in float32, halves rounded away from 0. NaN
// gives -128. Written without calls and branches, so that loops of it become vector code.
inline std::int8_t RoundToInt8(float y, float scale, std::int32_t zero_point) {
  const auto low = static_cast<float>(-128 - zero_point);
  const auto high = static_cast<float>(127 - zero_point);
  float quotient = y / scale;
  quotient = quotient >= low ? quotient : low;  // integers, so that clamping first changes nothing
  quotient = quotient <= high ? quotient : high;
  const auto whole = static_cast<std::int32_t>(quotient);  // towards 0
  const float rest = quotient - static_cast<float>(whole);
  const std::int32_t up = rest >= 0.5f ? 1 : 0;
  const std::int32_t down = rest <= -0.5f ? 1 : 0;
  return static_cast<std::int8_t>(whole + up - down + zero_point);
}

}  // namespace
}  // namespace keras_bnn

#endif  // KERAS_BNN_KERNELS_ROUND_TO_INT8_H_
