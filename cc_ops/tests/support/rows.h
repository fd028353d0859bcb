// A kernel set's view of x: a table of pointers, one per tap and pixel, to rows that each touch an unmapped page.
#ifndef KERAS_BNN_TESTS_SUPPORT_ROWS_H_
#define KERAS_BNN_TESTS_SUPPORT_ROWS_H_

#include <utility>
#include <vector>

#include "support/guarded_array.h"

namespace keras_bnn {

template <typename X>
class Rows {
 public:
  // `rows` is [tap][pixel], each a row of x.
  Rows(const std::vector<std::vector<X>>& rows, Edge edge) : Rows(rows, 1, 1, edge) {}

  // The same for `pixels` pixels, with a table of `stride` pointers for each tap: those past its last pixel are null.
  Rows(const std::vector<std::vector<X>>& rows, std::size_t pixels, std::size_t stride, Edge edge)
      : table_(rows.size() / pixels * stride, edge) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows_.emplace_back(rows[i], edge);
      table_[i / pixels * stride + i % pixels] = rows_.back().data();
    }
  }

  const X* const* table() const { return table_.data(); }

 private:
  std::vector<GuardedArray<X>> rows_;
  GuardedArray<const X*> table_;
};

}  // namespace keras_bnn

#endif  // KERAS_BNN_TESTS_SUPPORT_ROWS_H_
