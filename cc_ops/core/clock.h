// A clock that no change of the date moves.
#ifndef KERAS_BNN_CORE_CLOCK_H_
#define KERAS_BNN_CORE_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace keras_bnn {

inline std::uint64_t Nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_CLOCK_H_
