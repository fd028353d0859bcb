// Constant values that arrays with equal values share, all over the process: interpreters of one model hold one copy of
// its repacked weights.
#ifndef KERAS_BNN_CORE_SHARED_ARRAY_H_
#define KERAS_BNN_CORE_SHARED_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/layout.h"

namespace keras_bnn {

// T is Word or std::int32_t. May be made and dropped by several threads at once.
template <typename T>
class SharedArray {
 public:
  SharedArray() = default;
  SharedArray(std::vector<T> values);  // NOLINT(google-explicit-constructor): stands in for a vector

  SharedArray(const SharedArray& other);
  SharedArray(SharedArray&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  ~SharedArray();
  SharedArray& operator=(SharedArray other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }

  const T* data() const { return entry_ == nullptr ? nullptr : entry_->values.data(); }
  std::size_t size() const { return entry_ == nullptr ? 0 : entry_->values.size(); }
  bool empty() const { return size() == 0; }
  std::size_t bytes() const { return size() * sizeof(T); }

 private:
  template <typename>
  friend class SharedArrayRegistry;

  // std::shared_ptr would count users too, but that of libstdc++ 12 asks for a newer glibc than this library may.
  struct Entry {
    const std::vector<T> values;
    const std::uint64_t hash;
    int users;
  };

  Entry* entry_ = nullptr;
};

// The bytes of all arrays, each counted once however many share it.
std::size_t SharedArrayBytes();

}  // namespace keras_bnn

#endif  // KERAS_BNN_CORE_SHARED_ARRAY_H_
