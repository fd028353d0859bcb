// x and a kernel for the functions of a kernel set that take real x.
#ifndef KERAS_BNN_TESTS_SUPPORT_REAL_ROWS_H_
#define KERAS_BNN_TESTS_SUPPORT_REAL_ROWS_H_

#include <cstdint>
#include <vector>

#include "kernels/kernel_set.h"
#include "support/guarded_array.h"

namespace keras_bnn {

// Where the values of a tile lie in rows of x.
struct RealShape {
  int rows, length;  // of taps
  int first, step;
  int pixels;

  int row_values() const { return first + (pixels - 1) * step + length; }
};

// The sums of every pixel and channel, [pixel][32]. x is [row][value] and touches an unmapped page behind the values
// that may be read; the kernel is [row][value] words.
template <typename X, typename Acc>
std::vector<Acc> Accumulate(const RealKernels<X, Acc>& kernels, const RealShape& shape, const std::vector<X>& x,
                            const std::vector<Word>& kernel, const std::vector<Acc>& start, Edge edge) {
  std::vector<GuardedArray<X>> copies;
  std::vector<const X*> rows;
  for (int row = 0; row < shape.rows; ++row) {
    const auto from = x.begin() + row * shape.row_values();
    std::vector<X> values(from, from + shape.row_values());
    values.resize(values.size() + kReadAhead);
    copies.emplace_back(values, edge);
    rows.push_back(copies.back().data());
  }
  const GuardedArray<Word> words(kernel, edge);
  GuardedArray<unsigned char> expanded(kernels.ExpandedBytes(shape.rows, shape.length), edge);
  kernels.expand(words.data(), shape.rows, shape.length, expanded.data());
  const int start_step = start.size() == kBlockChannels ? 0 : kBlockChannels;
  GuardedArray<Acc> acc(shape.pixels * kBlockChannels, edge);
  kernels.accumulate({rows.data(), shape.rows, shape.length, shape.first, shape.step}, shape.pixels, expanded.data(),
                     start.data(), start_step, acc.data());
  return {acc.begin(), acc.end()};
}

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_REAL_ROWS_H_
