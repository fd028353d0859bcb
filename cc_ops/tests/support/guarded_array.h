// Arrays that touch an unmapped page, so that an access past that end stops the test at once.
//
// A test of a kernel runs twice: with Edge::kAfter the array ends where the unmapped page begins, with Edge::kBefore it
// begins where one ends. Under AddressSanitizer an array is a block of the heap instead, which it guards at both ends.
#ifndef KERAS_BNN_TESTS_SUPPORT_GUARDED_ARRAY_H_
#define KERAS_BNN_TESTS_SUPPORT_GUARDED_ARRAY_H_

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define KERAS_BNN_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define KERAS_BNN_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define KERAS_BNN_ADDRESS_SANITIZER 0
#endif

namespace keras_bnn {

enum class Edge { kBefore, kAfter };

constexpr Edge kEdges[] = {Edge::kBefore, Edge::kAfter};

template <typename T>
class GuardedArray {
 public:
#if KERAS_BNN_ADDRESS_SANITIZER
  GuardedArray(std::size_t size, Edge) : size_(size), data_(new T[size]()) {}
#else
  GuardedArray(std::size_t size, Edge edge) : size_(size) {
    const auto page = sysconf(_SC_PAGESIZE);
    const std::size_t inside = (size * sizeof(T) + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    void* mapping = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) Die("mmap");
    mapping_ = static_cast<unsigned char*>(mapping);
    if (inside > 0 && mprotect(mapping_ + page, inside, PROT_READ | PROT_WRITE) != 0) Die("mprotect");
    const std::size_t before = edge == Edge::kAfter ? inside - size * sizeof(T) : 0;
    data_ = reinterpret_cast<T*>(mapping_ + page + before);
  }
#endif

  GuardedArray(const std::vector<T>& values, Edge edge) : GuardedArray(values.size(), edge) {
    std::copy(values.begin(), values.end(), data_);
  }

  GuardedArray(GuardedArray&& other) noexcept
      : size_(other.size_),
        mapped_(other.mapped_),
        mapping_(std::exchange(other.mapping_, nullptr)),
        data_(std::exchange(other.data_, nullptr)) {}

  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;
  GuardedArray& operator=(GuardedArray&&) = delete;

  ~GuardedArray() {
#if KERAS_BNN_ADDRESS_SANITIZER
    delete[] data_;
#else
    if (mapping_ != nullptr) munmap(mapping_, mapped_);
#endif
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  [[noreturn]] static void Die(const char* call) {
    std::perror(call);
    std::abort();
  }

  std::size_t size_;
  std::size_t mapped_ = 0;
  unsigned char* mapping_ = nullptr;
  T* data_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_GUARDED_ARRAY_H_
