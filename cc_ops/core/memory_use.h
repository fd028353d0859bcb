// What an op holds in memory.
#ifndef KERAS_BNN_CORE_MEMORY_USE_H_
#define KERAS_BNN_CORE_MEMORY_USE_H_

#include <cstddef>
#include <vector>

namespace keras_bnn {

struct MemoryUse {
  std::size_t weights = 0;  // bytes of repacked constants, which other ops may share
  std::size_t scratch = 0;  // bytes that runs write, of all threads
};

template <typename T>
std::size_t BytesIn(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_MEMORY_USE_H_
