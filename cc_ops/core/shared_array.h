// Constant values that arrays with equal values share, all over the process: interpreters of one model hold one copy of
// its repacked weights.
#ifndef KERAS_BNN_CORE_SHARED_ARRAY_H_
#define KERAS_BNN_CORE_SHARED_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/layout.h"

namespace keras_bnn {

// T is Word or std::int32_t. May be made and dropped by several threads at once.
template <typename T>
class SharedArray {
 public:
  SharedArray() = default;
  SharedArray(std::vector<T> values);  // NOLINT(google-explicit-constructor): stands in for a vector

  const T* data() const { return values_ == nullptr ? nullptr : values_->data(); }
  std::size_t size() const { return values_ == nullptr ? 0 : values_->size(); }
  bool empty() const { return size() == 0; }
  std::size_t bytes() const { return size() * sizeof(T); }

 private:
  std::shared_ptr<const std::vector<T>> values_;
};

// The bytes of all arrays, each counted once however many share it.
std::size_t SharedArrayBytes();

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_SHARED_ARRAY_H_
