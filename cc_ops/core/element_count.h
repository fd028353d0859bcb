// Products that become the sizes of arrays. Nothing else in the library multiplies sizes without a limit: tensors and
// arrays have fewer than 2^31 elements, so that positions fit an int, and offsets, positions times a stride, an int64.
#ifndef KERAS_BNN_CORE_ELEMENT_COUNT_H_
#define KERAS_BNN_CORE_ELEMENT_COUNT_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>

namespace keras_bnn {

constexpr std::int64_t kMostElements = std::numeric_limits<std::int32_t>::max();

// Whether the product of the factors, none of them negative, is at most `most`. Factors of 0 are left out: offsets
// inside an image must fit even when the batch is empty.
template <typename Factors>
bool ProductFits(const Factors& factors, std::int64_t most) {
  for (const std::int64_t factor : factors) {
    if (factor > most) return false;
    if (factor > 1) most /= factor;
  }
  return true;
}

// The number of elements of an array whose size is the product of the factors. Refuses one that is too large, also for
// the addresses of this machine; `what` names the array.
std::size_t ElementCount(const char* what, std::size_t element_bytes, std::initializer_list<std::int64_t> factors);

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_ELEMENT_COUNT_H_
