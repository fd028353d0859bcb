// A fuzz case as a run of choices. Past the end of the input every choice is 0, the plain one, so that short inputs are
// whole cases too.
#ifndef KERAS_BNN_FUZZ_INPUT_H_
#define KERAS_BNN_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keras_bnn {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), end_(data + size) {}

  std::uint8_t Byte() { return data_ == end_ ? 0 : *data_++; }

  // In [0, count), count at most 256.
  int Choice(int count) { return Byte() % count; }

  // In [low, high], at most 256 values.
  int Int(int low, int high) { return low + Choice(high - low + 1); }

  // Seldom the case: n at most 256.
  bool OneIn(int n) { return Byte() % n == n - 1; }

  template <typename T>
  T Whole() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= std::uint64_t{Byte()} << (8 * i);
    return static_cast<T>(value);
  }

  std::vector<std::uint8_t> Bytes(std::size_t most) {
    const auto left = static_cast<std::size_t>(end_ - data_);
    std::vector<std::uint8_t> bytes(data_, data_ + (left < most ? left : most));
    data_ += bytes.size();
    return bytes;
  }

 private:
  const std::uint8_t* data_;
  const std::uint8_t* end_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_FUZZ_INPUT_H_
